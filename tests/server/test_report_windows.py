"""What a report reads of a long run decides as the whole run would, and does not grow with it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import pytest

from server.policies import guard
from server.policies.curve import Point
from server.policies.marks import MarkRule, best_value, last_alarm
from server.policies.registry import RULES as POLICY_RULES
from server.policies.registry import propose
from server.policies.view import ParamsChange, PolicyView
from server.services.panda import curve_marks
from server.services.panda.curve_marks import StoredPoints, point_of
from server.services.panda.policy_runner import POLICIES as POLICIES_OF
from server.services.runs.curve import StoredCurve, present_run_reports
from server.store import reports, run_starts, studies, tables, timeline, trial_lists, trials
from server.store.engine import Transaction
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.identifiers import Step
from sturgeon.messages import Desired, Guard
from tests.server.studies import BOWL
from tests.server.test_drift_policy import DRIFT, STREAM, USUAL

if TYPE_CHECKING:
    from tests.running import RunningServer

METRIC, GAIN = "dev_error", 0.15
RULES = [last_alarm(), best_value(METRIC, 1.0, GAIN), best_value(METRIC, -1.0, 0.0)]
END = reports.LARGEST - 1


class Run:
    """A trial that reports, is handed out again, and goes back, by chance; its rows are written as they would be."""

    def __init__(self, tx: Transaction, study: StudyRow, row: TrialRow, seed: int) -> None:
        self.tx, self.study, self.row = tx, study, row
        self.chance = random.Random(seed)
        self.generation, self.step = 0, 0

    def go_on(self) -> int:
        """Do something; the least step that was reported."""
        what = self.chance.random()
        if what < 0.12:  # another worker, from a checkpoint
            fence = {"fence": self.row.fence + 1}
            self.tx.execute(tables.trials.update().where(tables.trials.c.id == self.row.id).values(fence))
            self.row = replace(self.row, **fence)
            self.step = self.chance.randint(0, self.step)
            run_starts.insert(self.tx, self.row.id, self.row.fence, Step(self.step))
            self.step += self.chance.randint(0, 3)  # it comes to other steps than the run before it
        elif what < 0.24:
            self._go_back()
        if what > 0.93 and self._is_free(self.step - 1):  # own code may report what it did before
            return self._report(self.step - 1)
        self.step += self.chance.randint(1, 3)
        return self._report(self.step)

    def _is_free(self, step: int) -> bool:
        known = reports.of_steps(self.tx, self.row.id, self.row.fence, self.generation, [step])
        return step > 0 and not known

    def _go_back(self) -> None:
        version, restore = self.generation + 1, self.chance.randint(0, self.step)
        entry = {"trial_id": self.row.id, "version": version, "verb": "rollback", "params": {}, "state": "applied"}
        went = {"restore": restore, "base": 0, "from_step": self.step, "at": 1, "applied_at": 1}
        timeline.insert(self.tx, entry | went | {"actor": "person", "reason": "", "watching": False})
        desired = Desired(version=version, leg=version, restore=restore).model_dump(mode="json")
        self.row = trials.update(self.tx, self.row, desired=desired, applied_version=version)
        self.generation, self.step = version, restore

    def _report(self, step: int) -> int:
        metrics: dict[str, float | None] = {}
        if self.chance.random() < 0.9:
            metrics[METRIC] = None if self.chance.random() < 0.1 else self.chance.random()
        if self.chance.random() < 0.8:
            metrics |= {"portion": float(step), "drift": float(self.chance.random() < 0.1)}
        place = {"trial_id": self.row.id, "fence": self.row.fence, "rollback_generation": self.generation}
        reports.insert(self.tx, [place | {"step": step, "epoch": step / 2, "metrics": metrics, "at": 1}])
        return step


def histories(server: RunningServer, kind: str, check: Callable[[Run, list[Point], int], None]) -> None:
    """Check some runs after each of their steps: the run, its whole curve, and the least step that is new."""
    is_stream = kind == "stream"
    server.client.create_study(STREAM if is_stream else BOWL | {"name": "river", "mode": "panda"})
    server.client.lease("ada", 1, 0) if is_stream else server.client.ask("river")
    for seed in range(4):
        with server.app.state.database.writing() as tx:
            tx.rollback_at_end()
            study = studies.find(tx, "river")
            assert study is not None
            row = trials.find(tx, study.id, 0)
            assert row is not None
            run = Run(tx, study, row, seed)
            for _ in range(30):
                first_new = run.go_on()
                check(run, [point_of(one) for one in present_run_reports(tx, study, run.row)], first_new)


kinds = pytest.mark.parametrize("kind", ["stream", "own code"])


@kinds
def test_a_stored_curve_is_the_whole_curve_from_either_end(server: RunningServer, kind: str) -> None:
    def check(run: Run, whole: list[Point], _first_new: int) -> None:
        curve, step = StoredCurve(run.tx, run.study, run.row), run.chance.randint(-1, run.step)
        assert [point_of(one) for one in curve.after(step)] == [point for point in whole if point.step > step]
        assert [point_of(one) for one in curve.up_to(step)] == [point for point in whole if point.step <= step][::-1]
        assert StoredPoints(curve).newest == whole[-1]

    histories(server, kind, check)


def marked(rule: MarkRule, whole: list[Point]) -> Point | None:
    none: Point | None = None
    return reduce(lambda mark, point: point if rule.takes(mark, point) else mark, whole, none)


@kinds
def test_a_mark_read_on_is_that_of_the_whole_curve(server: RunningServer, kind: str) -> None:
    def check(run: Run, whole: list[Point], first_new: int) -> None:
        rules = run.chance.sample(RULES, run.chance.randint(2, 3))  # a policy may come and go
        marks = curve_marks.read_on(run.tx, run.row, StoredCurve(run.tx, run.study, run.row), rules, first_new)
        assert marks == {rule.name: marked(rule, whole) for rule in rules}

    histories(server, kind, check)


@kinds
def test_a_window_decides_as_the_whole_curve(server: RunningServer, kind: str) -> None:
    said: set[str] = set()

    def same(on_window: Any, on_whole: Any) -> None:
        assert on_window == on_whole
        if on_whole is not None:
            said.add(getattr(on_whole, "verdict", type(on_whole).__name__))

    def check(run: Run, whole: list[Point], _first_new: int) -> None:
        curve, step = StoredPoints(StoredCurve(run.tx, run.study, run.row)), run.chance.randint(0, run.step)
        for within in (0.5, 3.0):
            rule = Guard(metric=METRIC, worse_by=0.3, within_epochs=within)
            window = guard.points_to_judge(curve, rule, step)
            same(guard.judge(window, rule, step, 1.0), guard.judge(whole, rule, step, 1.0))
        plan = [
            {"epoch": max(0, run.step / 2 - 1), "params": {"l2": 0.5}},
            {"epoch": run.step / 2, "params": {"l2": 0}},
        ]
        for given in (
            {"policy": "guard", "metric": METRIC, "worse_by": 0.3, "within_epochs": 3},
            {"policy": "plateau", "metric": METRIC, "patience_epochs": 2, "least_gain": GAIN},
            {"policy": "schedule", "at": plan},
            DRIFT | {"calm_portions": 4},
        ):
            [policy] = POLICIES_OF.validate_python([given])
            view = PolicyView(
                whole,
                USUAL | {"learning_rate": 0.02},
                usual=USUAL,
                changes=[ParamsChange(1, max(0, step - 1), guarded=True), ParamsChange(2, step)],
                metric=METRIC,
                proposed_at=step - 2,
            )
            rules = POLICY_RULES[policy.policy]
            mark = marked(rules.mark(policy, view), whole) if rules.mark else None
            window = rules.window(policy, view, curve, mark)
            same(propose(policy, replace(view, curve=window)), propose(policy, view))

    histories(server, kind, check)

    assert said == {"watching", "passed", "broken", "Decision"}


POLICIES: list[dict[str, Any]] = [
    {"policy": "guard", "metric": METRIC, "worse_by": 0.5, "within_epochs": 2},
    {"policy": "plateau", "patience_epochs": 1e6},
    {"policy": "schedule", "at": [{"epoch": 1e6, "params": {"l2": 0.5}}]},
    DRIFT | {"auto": True, "retest_after": 10**6, "challengers": [{"window": 3}]},
]


def test_a_report_reads_no_more_of_a_long_run_than_of_a_short_one(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.client.create_study(STREAM | {"policies": POLICIES})
    [lease] = server.client.lease("ada", 1, 0).leases

    def told(portion: int) -> dict[str, Any]:
        metrics = {METRIC: 0.5, "portion": float(portion), "drift": float(portion == 3)}
        return {"step": 10 * portion, "epoch": float(portion), "metrics": metrics}

    def report(portion: int) -> int:
        """How many rows of the curve the report read."""
        read = 0

        class Counted(reports.ReportRow):
            def __init__(self, *columns: Any) -> None:
                nonlocal read
                read += 1
                super().__init__(*columns)

        with monkeypatch.context() as patch:
            patch.setattr(reports, "ReportRow", Counted)
            desired = server.client.report("river", 0, lease.fence, [told(portion)], *acknowledged).desired
        if desired.version > (acknowledged[0] or 0):
            acknowledged[:] = [desired.version, 10 * portion]
        return read

    acknowledged: list[int | None] = [None, None]
    of_short = [report(portion) for portion in range(30)][-1]
    with server.app.state.database.writing() as tx:
        [row] = trial_lists.page(tx, studies.find(tx, "river").id, trial_lists.Listing(), None, 1)  # type: ignore[union-attr]
        place = {"trial_id": row.id, "fence": lease.fence, "rollback_generation": 0, "at": 1}
        reports.insert(tx, [place | told(portion) for portion in range(30, 3000)])
    report(3000)
    of_long = report(3001)

    assert 0 < of_long == of_short
