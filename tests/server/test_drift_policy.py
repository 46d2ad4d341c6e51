"""The drift policy: what it makes of a curve, and what comes of it in the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.policies import drift
from server.policies.curve import Point
from server.policies.drift import shortened
from server.policies.retest import is_due
from server.policies.view import Decision, PolicyView
from server.services.panda import retests
from server.store.steady_clock import SteadyClock
from sturgeon import errors
from sturgeon.messages import DriftPolicy, Lease
from tests.server.studies import BOWL
from tests.server.test_clock_steps import Machine

if TYPE_CHECKING:
    from tests.running import RunningServer

USUAL: dict[str, Any] = {
    "learning_rate": 0.01,
    "portion_epochs": 1,
    "beta1": 0.9,
    "beta2": 0.999,
    "momentum": 0.9,
    "window": 1,
    "replay_share": 0.5,
    "match_labels": False,
    "clip_inputs": 0,
    "l2": 0.001,
}
ANSWER = DriftPolicy(policy="drift", rate_factor=2, averages_factor=2, passes=10, calm_portions=3)
RAISED = {
    "learning_rate": 0.02,
    "portion_epochs": 10,
    "beta1": pytest.approx(0.8),
    "beta2": pytest.approx(0.998),
    "momentum": pytest.approx(0.8),
    "forget_before": 4,
    "window": 0,
    "clip_inputs": 3,
}


def curve(alarms: set[int], portions: int, **told: float) -> list[Point]:
    """A report of each portion, ten steps apart; told: further metrics of the alarms."""
    quiet = {"drift": 0.0, "drift_error": 0.0}
    loud = {"drift": 1.0, "drift_error": 1.0} | told
    return [Point(10 * n, n, {"portion": float(n)} | (loud if n in alarms else quiet)) for n in range(portions)]


def propose(
    points: list[Point], params: dict[str, Any], proposed_at: int = -1, policy: DriftPolicy = ANSWER
) -> Decision | None:
    return drift.propose(policy, PolicyView(points, params, USUAL, proposed_at=proposed_at))


def test_an_alarm_is_answered_once():
    points = curve({4}, 5)
    found = propose(points, USUAL)
    assert found.params == RAISED
    assert "portion 4 (error changed)" in found.reason
    assert propose(points, USUAL | found.params, proposed_at=40) is None
    assert propose(points[:4], USUAL) is None


def test_an_alarm_of_a_report_among_many_is_answered():
    assert propose(curve({4}, 6), USUAL, proposed_at=20).params == RAISED


def test_when_it_is_calm_the_usual_values_come_back_and_the_forgotten_stays_so():
    raised = USUAL | propose(curve({4}, 5), USUAL).params
    assert propose(curve({4}, 7), raised, proposed_at=40) is None
    back = propose(curve({4}, 8), raised, proposed_at=40)
    assert back.params == {name: USUAL[name] for name in RAISED if name not in ("forget_before", "clip_inputs")}
    assert "before portion 4 stays forgotten" in back.reason
    assert propose(curve({4}, 9), raised | back.params, proposed_at=70) is None


def test_an_alarm_amid_an_answer_moves_what_is_forgotten_and_raises_nothing_twice():
    raised = USUAL | propose(curve({4}, 5), USUAL).params
    again = propose(curve({4, 6}, 7), raised, proposed_at=40)
    assert again.params == {"forget_before": 6}


SHARES = {"drift_labels": 1.0, "drift_class_inputs": 0.0}


def test_at_a_label_shift_old_examples_are_replayed_with_the_new_shares():
    found = propose(curve({4}, 5, **SHARES), USUAL)
    unlike = {"forget_before", "window"}
    assert found.params == {n: v for n, v in RAISED.items() if n not in unlike} | {
        "match_labels": True,
        "replay_share": 0.8,
    }
    assert "within the classes nothing" in found.reason
    back = propose(curve({4}, 8, **SHARES), USUAL | found.params, proposed_at=40)
    assert back.params["replay_share"] == 0.5
    assert not {"match_labels", "clip_inputs"} & set(back.params)
    assert "forgotten" not in back.reason


def test_old_examples_are_forgotten_without_match_labels_or_with_other_inputs():
    other = propose(curve({4}, 5, **SHARES | {"drift_class_inputs": 1.0}), USUAL)
    assert other.params == RAISED
    without = ANSWER.model_copy(update={"match_labels": False})
    assert propose(curve({4}, 5, **SHARES), USUAL, policy=without).params == RAISED


def test_a_model_no_better_than_guessing_shrinks_its_weights_until_it_is_calm():
    guessing = {"adapted_error": 0.7, "guess_error": 0.75}
    found = propose(curve({4}, 5, **guessing), USUAL)
    assert found.params == RAISED | {"l2": 0.03}
    knowing = guessing | {"adapted_error": 0.3}
    assert propose(curve({4}, 5, **knowing), USUAL).params == RAISED
    back = propose(curve({4}, 8, **guessing), USUAL | found.params, proposed_at=40)
    assert back.params["l2"] == 0.001


def test_an_alarm_that_changes_nothing_more_is_no_hindrance_on_the_way_back():
    raised = USUAL | propose(curve({4}, 5, **SHARES), USUAL).params
    assert propose(curve({4, 6}, 7, **SHARES), raised, proposed_at=40) is None
    back = propose(curve({4, 6}, 10, **SHARES), raised, proposed_at=40)
    assert back.params["portion_epochs"] == 1


def test_what_a_person_set_meanwhile_stays():
    raised = USUAL | propose(curve({4}, 5), USUAL).params | {"learning_rate": 0.5}
    back = propose(curve({4}, 8), raised, proposed_at=40)
    assert "learning_rate" not in back.params


def test_averages_are_shortened_on_their_own_scale():
    assert shortened(0.999, 10) == pytest.approx(0.99)
    assert shortened(0.5, 10) == 0


# --- in the service

STREAM: dict[str, Any] = {
    "name": "river",
    "mode": "panda",
    "metric": "dev_error",
    "params": {"learning_rate": 0.01},
    "budget": {"max_trials": 20},
    "task": {"kind": "train", "dataset": "stream:incoming", "epochs": 1000},
}
DRIFT: dict[str, Any] = {"policy": "drift", "rate_factor": 2, "averages_factor": 2, "passes": 10, "calm_portions": 3}


def leased(server: RunningServer, **policy: Any) -> Lease:
    server.client.create_study(STREAM | {"policies": [DRIFT | policy]})
    return server.client.lease("ada", 1, 0).leases[0]


def report(
    server: RunningServer, lease: Lease, portion: int, drift: bool = False, applied: tuple[int, int] | None = None
):
    metrics = {"dev_error": 0.1, "portion": float(portion), "drift": float(drift), "drift_inputs": float(drift)}
    rows = [{"step": 10 * portion, "epoch": portion, "metrics": metrics}]
    return server.client.report("river", 0, lease.fence, rows, *(applied or (None, None))).desired


def test_a_policy_that_may_answers_an_alarm_and_goes_back_to_what_is_usual(server: RunningServer) -> None:
    lease = leased(server, auto=True)
    assert report(server, lease, 4).version == 0
    desired = report(server, lease, 5, drift=True)
    assert (desired.version, desired.params["learning_rate"], desired.params["forget_before"]) == (1, 0.02, 5)
    assert report(server, lease, 7, applied=(1, 50)).version == 1
    desired = report(server, lease, 8, applied=(1, 50))
    assert (desired.version, desired.params["learning_rate"], desired.params["forget_before"]) == (2, 0.01, 5)
    told = [(one.actor, one.reason) for one in server.client.timeline("river", 0).items]
    assert [actor for actor, _ in told] == ["policy:drift"] * 2
    assert "Drift at portion 5 (inputs changed)" in told[0][1]


def test_a_policy_that_may_not_proposes(server: RunningServer) -> None:
    lease = leased(server)
    assert report(server, lease, 5, drift=True).version == 0
    [proposal] = server.client.proposals("river", 0)
    assert (proposal.policy, proposal.state, proposal.params["portion_epochs"]) == ("drift", "open", 10)
    assert server.client.accept("river", 0, proposal.id).desired.params["learning_rate"] == 0.02


def test_a_drift_policy_without_a_stream_is_refused(server: RunningServer) -> None:
    with pytest.raises(errors.Invalid, match="only a train task on a stream"):
        server.client.create_study(STREAM | {"task": STREAM["task"] | {"dataset": "digits"}, "policies": [DRIFT]})


def test_findings_of_a_stream_are_there_while_it_runs_or_it_says_when_they_come(server: RunningServer) -> None:
    lease = leased(server)
    for read in (server.client.diagnosis, server.client.errors):
        with pytest.raises(errors.NotFound, match="a run on a stream uploads it from the second portion on"):
            read("river", 0)
    server.client.put_finding("river", 0, "diagnosis", lease.fence, {"widest": None})
    assert server.client.diagnosis("river", 0) == {"widest": None}


def test_what_happened_to_a_run_is_an_event_once(server: RunningServer, http: httpx.Client) -> None:
    lease = leased(server)
    torn = {"kind": "portion_refused", "key": "a", "reason": "p1.npz is torn.", "portion": "p1.npz", "sha256": "0" * 64}
    drift = {
        "kind": "drift",
        "key": "drift 5",
        "reason": "p5.npz: feature 3.",
        "portion_number": 5,
        "tests": ["inputs"],
    }
    for _ in range(2):
        server.client.report("river", 0, lease.fence, [], events=[torn, drift])
    items = [one for one in server.client.events("river").items if one.kind in ("portion_refused", "drift")]
    assert [(one.kind, one.number, one.detail["reason"]) for one in items] == [
        ("portion_refused", 0, "p1.npz is torn."),
        ("drift", 0, "p5.npz: feature 3."),
    ]
    assert 'sturgeon_stream_events_total{kind="drift"}' in http.get("/metrics").text


@pytest.mark.parametrize("event", [{"kind": "party"}, {"key": ""}, {"reason": "x" * 2001}, {"tests": ["charm"]}])
def test_an_event_that_is_none_is_refused(server: RunningServer, event: dict[str, Any]) -> None:
    lease = leased(server)
    with pytest.raises(errors.Invalid):
        server.client.report("river", 0, lease.fence, [], events=[{"kind": "drift", "key": "k", "reason": "r"} | event])


@pytest.mark.parametrize("policy", [{"clip_inputs": -1}, {"l2": 101}, {"match_labels": "maybe"}])
def test_an_answer_that_cannot_be_is_refused(server: RunningServer, policy: dict[str, Any]) -> None:
    with pytest.raises(errors.Invalid, match=next(iter(policy))):
        leased(server, **policy)


class Group:
    """An incumbent that met an alarm at portion 5, and its two challengers; the test is their worker."""

    def __init__(self, server: RunningServer, **more: Any) -> None:
        self.client = server.client
        policy = {"challengers": [{"learning_rate": 0.5}, {"window": 3}], "after_portions": 2}
        self.leases = {0: leased(server, auto=True, **policy | more)}

    def report(self, number: int, portion: int, error: float = 0.1, drift: bool = False) -> Any:
        metrics = {"dev_error": error, "fresh_error": error, "portion": float(portion), "drift": float(drift)}
        rows = [{"step": 10 * portion, "epoch": portion, "metrics": metrics}]
        return self.client.report("river", number, self.leases[number].fence, rows).desired

    def alarm(self) -> None:
        self.client.put_checkpoint("river", 0, 40, b"weights", self.leases[0].fence, 4.0, None)
        self.report(0, 5, drift=True)
        self.leases |= {one.number: one for one in self.client.lease("bob", 5, 0).leases}

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        return [(e.kind, e.detail) for e in self.client.events("river").items if e.kind.startswith("challenge")]


def test_challengers_are_forked_at_an_alarm_and_the_best_goes_on(server: RunningServer) -> None:
    group = Group(server)
    group.alarm()
    assert sorted(group.leases) == [0, 1, 2]
    params = {number: lease.params for number, lease in group.leases.items()}
    assert (params[1]["learning_rate"], params[1]["forget_before"]) == (0.5, 5)
    assert (params[2]["learning_rate"], params[2]["window"]) == (0.02, 3)

    assert group.report(1, 5, drift=True).version == 0, "it was forked to answer this alarm"
    for number, error in ((0, 0.3), (1, 0.2), (2, 0.25)):
        group.report(number, 6, error)
    group.report(0, 7, 0.3)
    group.report(1, 7, 0.2)
    assert [kind for kind, _ in group.events()] == ["challenge"], "one is not measured yet"
    desired = group.report(2, 7, 0.25)

    assert desired.run == "stop"
    told = group.events()[-1]
    assert (told[0], told[1]["best"], told[1]["errors"]["2"]) == ("challenge_decided", 1, 0.25)
    runs = {number: group.client.trial("river", number).desired for number in range(3)}
    assert [run.run if run else "run" for run in runs.values()] == ["stop", "run", "stop"]


def test_a_challenger_that_ended_early_is_out_and_of_equals_the_incumbent_goes_on(server: RunningServer) -> None:
    group = Group(server)
    group.alarm()
    group.client.tell("river", 2, group.leases[2].fence, state="diverged")
    for portion in (6, 7):
        for number in (0, 1):
            group.report(number, portion, 0.2)
    assert group.events()[-1][1]["best"] == 0


def test_a_challenge_without_a_checkpoint_or_a_budget_is_told_and_the_run_goes_on(server: RunningServer) -> None:
    group = Group(server)
    assert group.report(0, 5, drift=True).version == 1
    [(kind, detail)] = group.events()
    assert kind == "challenge_skipped"
    assert "no checkpoint" in detail["reason"]


def test_a_challenger_that_cannot_be_is_refused_with_its_place(server: RunningServer) -> None:
    with pytest.raises(errors.Invalid, match="hidden_units cannot change"):
        leased(server, auto=True, challengers=[{"hidden_units": 3}])


def test_a_retest_searches_around_the_incumbent_and_says_whether_the_optimum_moved(server: RunningServer) -> None:
    lease = leased(server, retest_after=3, retest_trials=3)
    server.client.patch_study("river", {"needs": {"labels": ["near-the-stream"]}})
    for portion in (1, 2, 3):
        report(server, lease, portion)
    retest = server.client.study("river-0-retest-3")
    assert (retest.metric, retest.budget.max_trials, retest.counts) == ("recent_error", 3, {"queued": 3})
    assert retest.needs.labels == ["near-the-stream"]
    assert retest.task is not None
    assert (retest.task.dataset, retest.task.epochs, retest.task.fixed["window"]) == ("stream:incoming", 4, 1)
    taken = server.client.lease("bob", 3, 0, offer={"labels": ["near-the-stream"]}).leases
    assert [one.params["learning_rate"] for one in taken if one.number == 0] == [pytest.approx(0.01)]
    for one, error in zip(taken, (0.30, 0.28, 0.10), strict=True):
        metrics = {"recent_error": error, "recent_examples": 400.0, "dev_error": error}
        server.client.tell(one.study, one.number, one.fence, metrics)

    report(server, lease, 4)
    report(server, lease, 5)
    events = [one for one in server.client.events("river").items if one.kind.startswith("retest")]
    assert [one.kind for one in events] == ["retest", "retest_decided"]
    assert (events[1].detail["moved"], events[1].detail["best"]) == (True, taken[2].params)
    assert "has moved: recent_error 0.1 of the best against 0.3" in events[1].detail["reason"]


def test_a_retest_may_come_by_time_when_a_new_portion_is_there(server: RunningServer) -> None:
    lease = leased(server, retest_after_s=86_400, retest_after=1000, retest_trials=2)

    def retests() -> list[int]:
        return [one.detail["portion"] for one in server.client.events("river").items if one.kind == "retest"]

    report(server, lease, 1)
    server.advance(seconds=86_399)
    server.client.report("river", 0, lease.fence, [])
    report(server, lease, 2)
    assert retests() == []
    server.advance(seconds=2)
    report(server, lease, 3)
    assert retests() == [3]
    for one in server.client.lease("bob", 2, 0).leases:
        server.client.tell(one.study, one.number, one.fence, {"recent_error": 0.1, "recent_examples": 400.0})
    report(server, lease, 4)
    assert retests() == [3], "a day has not passed since the last one"
    server.advance(seconds=86_400)
    report(server, lease, 5)
    assert retests() == [3, 5]


@pytest.mark.fault("L4")
@pytest.mark.parametrize("step", [10 * 86_400, -10 * 86_400])
def test_a_retest_by_time_waits_for_what_passes_and_not_for_the_clock(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    machine = Machine(server)
    monkeypatch.setattr(server.app.state.database, "steady_clock", SteadyClock(machine.monotonic))
    lease = leased(server, retest_after_s=86_400, retest_trials=2)

    def retests() -> list[int]:
        return [one.detail["portion"] for one in server.client.events("river").items if one.kind == "retest"]

    report(server, lease, 1)
    machine.set_clock(step)
    report(server, lease, 2)
    assert retests() == []
    machine.lapse(86_401)
    report(server, lease, 3)
    assert retests() == [3]


@pytest.mark.parametrize("wrong", [{"retest_after_s": 0}, {"retest_after_s": "2h"}, {"retest_after": 0}])
def test_a_retest_after_nothing_is_refused(server: RunningServer, wrong: dict[str, Any]) -> None:
    with pytest.raises(errors.Invalid, match="retest_after"):
        leased(server, **wrong)


def test_a_retest_is_due_by_portions_or_by_time_and_never_without_a_new_portion() -> None:
    assert is_due(3, 0.0, 3, None)
    assert not is_due(2, 1e9, 3, None)
    assert is_due(1, 60.0, None, 60.0)
    assert not is_due(1, 59.9, 2, 60.0)
    assert not is_due(0, 1e9, 1, 60.0)


def test_a_difference_that_examples_do_not_show_is_no_move(server: RunningServer) -> None:
    lease = leased(server, retest_after=3, retest_trials=2)
    report(server, lease, 3)
    for one, error in zip(server.client.lease("bob", 3, 0).leases, (0.30, 0.27), strict=True):
        server.client.tell(one.study, one.number, one.fence, {"recent_error": error, "recent_examples": 400.0})
    report(server, lease, 4)
    [*_, decided] = [one for one in server.client.events("river").items if one.kind.startswith("retest")]
    assert decided.detail["moved"] is False


def test_a_recent_error_without_a_stream_is_refused(server: RunningServer) -> None:
    study = STREAM | {"metric": "recent_error", "task": STREAM["task"] | {"dataset": "digits"}}
    with pytest.raises(errors.Invalid, match="write one of dev_error"):
        server.client.create_study(study)


def test_a_panda_that_replays_nearly_everything_is_retested(server: RunningServer) -> None:
    server.client.create_study(
        STREAM | {"params": {"replay_share": 0.97}, "policies": [DRIFT | {"retest_after": 1, "retest_trials": 2}]}
    )
    lease = server.client.lease("ada", 1, 0).leases[0]

    report(server, lease, 1)

    [incumbent, _] = server.client.lease("bob", 2, 0).leases
    assert incumbent.study == "river-0-retest-1"
    assert incumbent.params["replay_share"] == 0.97


def test_a_retest_that_cannot_be_begun_refuses_no_report(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outside(*_args: Any) -> None:
        raise errors.Invalid("learning_rate: the incumbent's lies outside of the space.")

    monkeypatch.setattr(retests, "new_trial", outside)
    lease = leased(server, retest_after=1, retest_trials=2)

    report(server, lease, 1)

    assert [one.step for one in server.client.trial_metrics("river", 0).items] == [10]
    assert [study.name for study in server.client.studies().items] == ["river"], "nothing is left of it"
    [skipped] = [one for one in server.client.events("river").items if one.kind == "retest_skipped"]
    assert (skipped.number, skipped.detail["portion"]) == (0, 1)
    assert skipped.detail["reason"] == "learning_rate: the incumbent's lies outside of the space."


@pytest.mark.parametrize("step", ["propose", "challengers.begin"])
def test_what_a_policy_cannot_do_refuses_no_report(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fails(*_args: Any) -> None:
        raise errors.Invalid("This cannot be.")

    monkeypatch.setattr(f"server.services.panda.policy_runner.{step}", fails)
    lease = leased(server, auto=True, challengers=[{"window": 3}])

    desired = report(server, lease, 5, drift=True)

    assert desired.version == 0
    assert [one.step for one in server.client.trial_metrics("river", 0).items] == [50]
    assert (server.client.timeline("river", 0).items, server.client.proposals("river", 0)) == ([], [])
    [skipped] = [one for one in server.client.events("river").items if one.kind == "policy_skipped"]
    assert skipped.detail == {"policy": "drift", "reason": "This cannot be."}


@pytest.mark.fault("W9")
def test_a_paused_retest_is_not_concluded(server: RunningServer) -> None:
    lease = leased(server, retest_after=3, retest_trials=2)
    report(server, lease, 3)
    server.client.patch_study("river-0-retest-3", {"state": "paused"})

    report(server, lease, 4)
    assert [one.kind for one in server.client.events("river").items if one.kind.startswith("retest")] == ["retest"]

    server.client.patch_study("river-0-retest-3", {"state": "active"})
    for one, error in zip(server.client.lease("bob", 2, 0).leases, (0.30, 0.10), strict=True):
        server.client.tell(one.study, one.number, one.fence, {"recent_error": error, "recent_examples": 400.0})
    report(server, lease, 5)
    [*_, decided] = [one for one in server.client.events("river").items if one.kind.startswith("retest")]
    assert decided.detail["moved"] is True


@pytest.mark.fault("W2")
def test_a_study_that_has_got_the_name_of_a_deleted_retest_is_none(server: RunningServer) -> None:
    lease = leased(server, retest_after=3, retest_trials=2)
    report(server, lease, 3)
    name = "river-0-retest-3"
    server.client.delete_study(name)
    server.advance(seconds=1)
    server.client.create_study(BOWL | {"name": name, "budget": {"max_trials": 2}})
    for one, loss in zip(server.client.ask(name, count=2).leases, (0.3, 0.1), strict=True):
        server.client.tell(name, one.number, one.fence, {"loss": loss})

    report(server, lease, 4)

    [decided] = [one for one in server.client.events("river").items if one.kind == "retest_decided"]
    assert (decided.detail["moved"], decided.detail["errors"]) == (None, {})
    assert "it was deleted" in decided.detail["reason"]


def test_a_stopped_retest_is_concluded_when_nothing_of_it_runs_any_more(server: RunningServer) -> None:
    lease = leased(server, retest_after=3, retest_trials=3)
    report(server, lease, 3)
    taken = server.client.lease("bob", 2, 0).leases
    server.client.patch_study("river-0-retest-3", {"state": "stopped"})

    report(server, lease, 4)
    for one, error in zip(taken, (0.30, 0.10), strict=True):
        server.client.tell(one.study, one.number, one.fence, {"recent_error": error, "recent_examples": 400.0})
    report(server, lease, 5)

    decided = [one for one in server.client.events("river").items if one.kind == "retest_decided"]
    assert [one.detail["moved"] for one in decided] == [True]


@pytest.mark.fault("L11")
@pytest.mark.parametrize("told", [(0.30, 0.10), ()], ids=["after", "never"])
def test_a_retest_whose_panda_ends_first_is_decided(server: RunningServer, told: tuple[float, ...]) -> None:
    lease = leased(server, retest_after=3, retest_trials=2)
    report(server, lease, 3)
    taken = server.client.lease("bob", 2, 0).leases
    server.client.tell("river", 0, lease.fence, {"dev_error": 0.3})
    transactions = server.app.state.transactions

    retests.watch(transactions)
    assert decisions(server) == []
    for one, error in zip(taken, told, strict=False):
        server.client.tell(one.study, one.number, one.fence, {"recent_error": error, "recent_examples": 400.0})
    if not told:
        server.client.delete_study("river-0-retest-3", force=True)
    for _ in range(2):
        retests.watch(transactions)

    assert decisions(server) == [True if told else None]


def decisions(server: RunningServer) -> list[bool | None]:
    return [one.detail["moved"] for one in server.client.events("river").items if one.kind == "retest_decided"]
