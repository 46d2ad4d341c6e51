"""Many curves at once: the same reports count as when one trial is read."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.services import lookup
from server.services.runs.curve import counted_reports
from server.services.shown.curve_memo import CurveKey, CurveMemo, ThinCurve
from server.services.shown.curves import Wanted, read_curves
from server.store import reports, run_starts, timeline, trials
from sturgeon.messages import Lease, Study
from tests.server.studies import BOWL, DIGITS

if TYPE_CHECKING:
    from server.store.engine import Database, Transaction
    from server.store.trials import TrialRow
    from tests.running import RunningServer

MANY = {"budget": {"max_trials": 50}}


def database_of(server: RunningServer) -> Database:
    database: Database = server.app.state.database
    return database


def test_curves_come_by_number_thinned_and_without_missing_values(server: RunningServer, bowl: Study) -> None:
    one, other = server.client.ask(bowl.name, count=2).leases
    values = [5.0, 3.0, 4.0, None, 1.0, 6.0, 2.0, 2.5]
    told = [{"step": 10 * i, "epoch": i, "metrics": {"loss": value, "x": 1.0}} for i, value in enumerate(values)]
    server.client.report(bowl.name, other.number, other.fence, told)

    curves = server.client.curves(bowl.name, points=4)

    assert (curves.metric, curves.direction, curves.axis) == ("loss", "minimize", "epoch")
    [curve] = curves.curves  # the trial without reports has none
    assert (curve.number, curve.state) == (other.number, "running")
    assert (curve.epochs, curve.values) == ([0, 4, 5, 7], [5.0, 1.0, 6.0, 2.5])
    assert server.client.curves(bowl.name, numbers=[one.number]).curves == []
    assert server.client.curves(bowl.name, metric="x").direction is None


def test_only_curves_that_have_changed_come_with_a_cursor(server: RunningServer, bowl: Study) -> None:
    leases = server.client.ask(bowl.name, count=2).leases
    for lease in leases:
        server.client.report(bowl.name, lease.number, lease.fence, [{"step": 1, "metrics": {"loss": 1.0}}])
    before = server.client.curves(bowl.name)
    server.client.report(bowl.name, 1, leases[1].fence, [{"step": 2, "metrics": {"loss": 0.5}}])

    after = server.client.curves(bowl.name, since=before.cursor)

    assert [curve.number for curve in before.curves] == [0, 1]
    assert [(curve.number, curve.epochs) for curve in after.curves] == [(1, [1, 2])]
    assert after.axis == "step"  # the program reports no epochs
    assert server.client.curves(bowl.name, since=after.cursor).curves == []


def test_a_curve_that_has_lost_its_points_comes_empty_with_a_cursor(server: RunningServer) -> None:
    """A page that is open has drawn it, and would keep it."""
    server.client.create_study(DIGITS)
    [lease] = server.client.ask("digits").leases
    server.client.report("digits", 0, lease.fence, [{"step": 1, "epoch": 1, "metrics": {"dev_error": 0.5}}])
    before = server.client.curves("digits")
    version = server.client.rollback("digits", 0, step=0).desired.version
    server.client.report("digits", 0, lease.fence, [], version, 0)  # the run has gone back

    after = server.client.curves("digits", since=before.cursor)

    assert [(curve.number, curve.values) for curve in before.curves] == [(0, [0.5])]
    assert [(curve.number, curve.values) for curve in after.curves] == [(0, [])]
    assert server.client.curves("digits").curves == []


@pytest.mark.parametrize("kind", [BOWL, DIGITS], ids=["starts again", "goes on"])
@pytest.mark.parametrize("seed", range(3))
def test_all_curves_have_the_reports_that_count(server: RunningServer, kind: dict[str, Any], seed: int) -> None:
    """Runs that went on, began again and went back, at random; each curve is as `counted_reports` has it."""
    study = server.client.create_study(kind | MANY)
    for _ in range(12):
        server.client.enqueue(study.name, dict.fromkeys(study.space, 1))
    rnd = random.Random(seed)
    with database_of(server).writing() as tx:
        row = lookup.lock_study(tx, study.name)
        for trial in lookup.lock_trials(tx, row, range(12)).values():
            _live(tx, rnd, trial)
        counted = {
            number: [(one.step, one.metrics[study.metric]) for one in counted_reports(tx, row, trial)]
            for number, trial in lookup.lock_trials(tx, row, range(12)).items()
        }
        answer = read_curves(tx, CurveMemo(), row, Wanted(points=1000))

    curves = {one["number"]: list(zip(one["epochs"], one["values"], strict=True)) for one in answer["curves"]}
    having = {number: [pair for pair in pairs if pair[1] is not None] for number, pairs in counted.items()}
    assert curves == {number: pairs for number, pairs in having.items() if pairs}


def _live(tx: Transaction, rnd: random.Random, trial: TrialRow) -> None:
    """The reports of up to three runs."""
    begun = {"begun_fence": rnd.choice([None, 1, 2])}
    if steered := rnd.random() < 0.5:
        begun["desired"] = {"version": 9}  # type: ignore[dict-item]
    trials.update(tx, trial, **begun)
    generation, told = 0, {}
    for fence in range(1, rnd.randint(1, 3) + 1):
        first = rnd.randint(0, 6)
        if fence > 1 and rnd.random() < 0.7:
            run_starts.insert(tx, trial.id, fence, first)  # type: ignore[arg-type]
        for step in range(first, first + rnd.randint(1, 6)):
            if steered and rnd.random() < 0.2:
                generation += 1
                entry = {"trial_id": trial.id, "version": generation, "verb": "rollback", "params": {}, "actor": "ada"}
                entry |= {"reason": "", "watching": False, "state": "applied", "from_step": step, "at": 1}
                timeline.insert(tx, entry | {"restore": rnd.randint(0, step)})
            told[fence, generation, step] = {"loss": rnd.random(), "dev_error": rnd.choice([None, rnd.random()])}
    common = {"trial_id": trial.id, "epoch": None, "at": 1}
    places = [dict(zip(("fence", "rollback_generation", "step"), place, strict=True)) for place in told]
    reports.insert(tx, [common | place | {"metrics": m} for place, m in zip(places, told.values(), strict=True)])


def test_a_trials_curves_have_its_changes_at_their_epochs(server: RunningServer, leased_trial: Lease) -> None:
    number, fence = leased_trial.number, leased_trial.fence
    told = [{"step": step, "epoch": step / 10, "metrics": {"loss": 1.0, "acc": 0.5}} for step in (10, 20)]
    server.client.report("bowl", number, fence, told[:1])
    steered = server.client.pause("bowl", number, reason="to look at it")
    server.client.report("bowl", number, fence, told[1:], applied_version=steered.desired.version, applied_step=15)

    curves = server.client.trial_curves("bowl", number)

    assert curves.metrics.keys() == {"loss", "acc"}
    assert curves.metrics["loss"].epochs == [1, 2]
    [change] = curves.interventions
    assert (change.kind, change.step, change.epoch, change.state) == ("pause", 15, 1.5, "applied")
    assert change.reason == "to look at it"


@pytest.mark.usefixtures("bowl")
@pytest.mark.parametrize("query", ["points=3", "points=5001", "numbers=1,,2", "numbers=x", "metric=a,b", "since=%00"])
def test_curves_that_cannot_be_are_refused(http: httpx.Client, query: str) -> None:
    assert http.get(f"/v1/studies/bowl/curves?{query}").status_code == 422


def test_curves_that_are_kept_take_no_more_memory_than_is_allowed() -> None:
    memo = CurveMemo(most_points=5)
    keys = [CurveKey(1, trial, 1, "loss", 4) for trial in range(3)]  # type: ignore[arg-type]
    for key in keys:
        memo.keep(key, ThinCurve([1.0, 2.0], [3.0, 4.0], has_epochs=True))

    assert [memo.find(key) is not None for key in keys] == [False, True, True]
    assert memo.find(keys[2]._replace(changed=2)) is None  # the trial has changed since
