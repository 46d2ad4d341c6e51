"""Steering one model, at the server's door; the test itself is the worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sturgeon import errors
from sturgeon.messages import Lease

if TYPE_CHECKING:
    from tests.running import RunningServer

PANDA: dict[str, Any] = {
    "name": "bear",
    "mode": "panda",
    "metric": "dev_error",
    "params": {"learning_rate": 0.1, "keep_prob": 0.9},
    "search": {"seed": 1},
    "budget": {"max_trials": 20},
    "task": {"kind": "train", "dataset": "digits", "epochs": 20, "checkpoints": {"best": 2, "last": 2}},
}
GUARD = {"metric": "dev_error", "worse_by": 0.02, "within_epochs": 2}


class Hand:
    """A worker by hand: what it leases, reports and uploads. An epoch has 10 steps."""

    def __init__(self, server: RunningServer, **study: Any) -> None:
        self.client = server.client
        self.client.create_study(PANDA | study)
        self.take()

    def take(self, number: int | None = None) -> Lease:
        leases = self.client.lease("ada", 10, 0).leases
        self.lease = next(one for one in leases if number is None or one.number == number)
        self.version, self.step = self.lease.resume.version if self.lease.resume else 0, 0
        return self.lease

    def _where(self) -> tuple[str, int, int]:
        return self.lease.study, self.lease.number, self.lease.fence

    def report(self, epoch: int, dev_error: float | None) -> Any:
        applied = (self.version, self.step) if self.version else (None, None)
        rows = [{"step": 10 * epoch, "epoch": epoch, "metrics": {"dev_error": dev_error}}]
        return self.client.report(*self._where(), rows, *applied).desired

    def apply(self, version: int, step: int) -> Any:
        self.version, self.step = version, step
        return self.client.report(*self._where(), [], version, step).desired

    def upload(self, step: int, value: float | None = None, version: int | None = None, wanted: int = 0) -> Any:
        study, number, fence = self._where()
        version = self.version if version is None else version
        content = f"{number} at {step}, {self.version}".encode()
        return self.client.put_checkpoint(
            study, number, step, content, fence, step / 10, value, version=version, wanted=wanted
        )

    def entries(self, number: int = 0) -> list[tuple[Any, ...]]:
        items = self.client.timeline("bear", number).items
        return [(one.version, one.verb, one.params, one.from_step, one.state) for one in items]

    def steps(self) -> list[int]:
        return [one.step for one in self.client.checkpoints("bear", self.lease.number).items]


@pytest.fixture
def hand(server: RunningServer) -> Hand:
    """A panda in its first epoch."""
    return Hand(server)


# --- how a panda begins


def test_a_panda_begins_with_its_given_parameters_as_the_one_trial_of_its_study(hand: Hand) -> None:
    assert (hand.lease.number, hand.lease.params, hand.lease.resume) == (0, PANDA["params"], None)
    assert hand.client.lease("bob", 10, 0).leases == []
    trial = hand.client.trial("bear", 0)
    assert (trial.mode, trial.drawn.sampler) == ("panda", None)
    assert hand.client.study("bear").mode == "panda"


def test_a_panda_without_parameters_begins_with_a_sample(server: RunningServer) -> None:
    space = {"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1, "scale": "log"}}
    study = {name: value for name, value in PANDA.items() if name != "params"} | {"space": space}
    server.client.create_study(study)

    [trial] = server.client.trials("bear").items
    assert 1e-3 <= trial.params["learning_rate"] <= 1e-1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mode": "caviar", "space": {"l2": {"type": "float", "low": 0, "high": 1}}}, 'only a study of mode "panda"'),
        ({"params": {"learning_rate": -1.0}}, "learning_rate must be a number greater than 0"),
        ({"params": {"colour": "red"}}, "colour"),
        ({"policies": [{"policy": "schedule", "at": [{"epoch": 3, "params": {"hidden_units": 9}}]}]}, "cannot change"),
        ({"policies": [{"policy": "plateau", "metric": "charm"}]}, "write one of dev_error"),
        ({"policies": [{"policy": "prayer"}]}, "prayer|policies"),
    ],
)
def test_what_no_panda_can_begin_with_is_refused_with_the_reason(
    server: RunningServer, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(errors.Invalid, match=sentence):
        server.client.create_study(PANDA | changes)


@pytest.mark.parametrize("what", ["rounds", "importance", "replay", "best", "revisions", "events"])
def test_what_is_asked_of_a_search_is_answered_for_a_panda_that_searches_nothing(
    hand: Hand, http: httpx.Client, what: str
) -> None:
    hand.client.tell("bear", 0, 1, {"dev_error": 0.5})

    assert http.get(f"/v1/studies/bear/{what}").status_code == 200


# --- changes


def test_a_change_is_answered_on_every_report_and_stands_in_the_timeline_with_its_step(hand: Hand) -> None:
    steered = hand.client.set_params("bear", 0, {"learning_rate": 0.01}, reason="it jumps")
    assert (steered.desired.version, steered.applied_version) == (1, None)
    assert hand.report(1, 0.5).params == {"learning_rate": 0.01}
    assert hand.entries() == [(1, "params", {"learning_rate": 0.01}, None, "pending")]

    hand.apply(1, 13)

    assert hand.entries() == [(1, "params", {"learning_rate": 0.01}, 13, "applied")]
    [entry] = hand.client.timeline("bear", 0).items
    assert (entry.actor, entry.reason) == ("person", "it jumps")
    trial = hand.client.trial("bear", 0)
    assert trial.params == {"learning_rate": 0.01, "keep_prob": 0.9}
    assert hand.client.timeline("bear", 0).start.params == PANDA["params"]


def test_a_change_merges_and_of_changes_made_at_once_those_that_a_later_one_hides_were_never_in_force(
    hand: Hand,
) -> None:
    hand.client.set_params("bear", 0, {"learning_rate": 0.01})
    hand.client.set_params("bear", 0, {"l2": 0.1, "beta1": 0.8})
    hand.client.set_params("bear", 0, {"learning_rate": 0.02, "l2": 0.2})

    assert hand.report(1, 0.5).params == {"learning_rate": 0.02, "l2": 0.2, "beta1": 0.8}
    hand.apply(3, 17)

    assert [state for *_, state in hand.entries()] == ["superseded", "applied", "applied"]
    changes = hand.client.timeline("bear", 0).schedule
    assert [one.model_dump() for one in changes] == [
        {"step": 17, "params": {"l2": 0.1, "beta1": 0.8}},
        {"step": 17, "params": {"learning_rate": 0.02, "l2": 0.2}},
    ]


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"hidden_units": 10}, r"hidden_units cannot change while a model trains; these can: epochs, running_beta"),
        ({"learning_rate": -0.1}, "learning_rate must be a number greater than 0"),
        ({"learning_rate": True}, "learning_rate must be a number"),
        ({"colour": "red"}, "unknown trainer option 'colour'"),
        ({"keep_prob": [0.5, 0.5, 0.5]}, "keep_prob lists 3 values for 1 hidden layers"),
    ],
)
def test_a_change_that_is_not_live_or_out_of_its_range_is_refused_with_the_reason(
    hand: Hand, params: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(errors.Invalid, match=sentence):
        hand.client.set_params("bear", 0, params)
    assert hand.entries() == []


def test_of_two_who_steer_at_once_if_match_refuses_the_second(hand: Hand, http: httpx.Client) -> None:
    first = hand.client.set_params("bear", 0, {"l2": 0.1}, if_version=0)

    with pytest.raises(errors.PreconditionFailed, match="is at version 1 of its desired state, not 0"):
        hand.client.set_params("bear", 0, {"l2": 0.2}, if_version=0)

    assert first.desired.version == 1
    assert [params for _, _, params, *_ in hand.entries()] == [{"l2": 0.1}]
    again = http.patch("/v1/studies/bear/trials/0/params", json={"params": {"l2": 0.3}}, headers={"If-Match": '"1"'})
    assert (again.status_code, again.headers["ETag"]) == (202, '"2"')
    bad = http.patch("/v1/studies/bear/trials/0/params", json={"params": {"l2": 0.3}}, headers={"If-Match": "abc"})
    assert bad.status_code == 422


def test_without_if_match_both_changes_stand_in_the_timeline_in_order(hand: Hand) -> None:
    hand.client.set_params("bear", 0, {"l2": 0.1})
    hand.client.set_params("bear", 0, {"l2": 0.2})

    assert [(version, params) for version, _, params, *_ in hand.entries()] == [(1, {"l2": 0.1}), (2, {"l2": 0.2})]


def test_a_change_that_is_sent_again_under_its_key_has_one_effect(hand: Hand, http: httpx.Client) -> None:
    for _ in range(2):
        answer = http.patch(
            "/v1/studies/bear/trials/0/params", json={"params": {"l2": 0.1}}, headers={"Idempotency-Key": "k"}
        )
        assert answer.json()["desired"]["version"] == 1
    assert len(hand.entries()) == 1


def test_a_trial_that_has_finished_is_not_steered(hand: Hand) -> None:
    hand.client.tell("bear", 0, 1, {"dev_error": 0.5})

    for verb in (hand.client.pause, hand.client.resume, hand.client.stop, hand.client.keep_checkpoint):
        with pytest.raises(errors.TrialFinished, match="promote or fork it"):
            verb("bear", 0)
    with pytest.raises(errors.TrialFinished):
        hand.client.set_params("bear", 0, {"l2": 0.1})
    assert hand.client.study("bear").state == "completed"


def test_a_change_that_the_run_did_not_hear_before_its_end_is_superseded_and_one_of_its_length_lets_it_go_on(
    hand: Hand,
) -> None:
    hand.client.set_params("bear", 0, {"l2": 0.1})
    hand.client.set_params("bear", 0, {"epochs": 30})

    for _ in range(2):  # the same tell again has the same answer
        assert hand.client.tell("bear", 0, 1, {"dev_error": 0.5}).state == "queued"

    assert hand.client.late_results("bear").items == []
    assert hand.take().desired.params == {"l2": 0.1, "epochs": 30}
    hand.apply(2, 200)
    hand.client.set_params("bear", 0, {"l2": 0.2})
    assert hand.client.tell("bear", 0, 2, {"dev_error": 0.4}).state == "complete"
    assert [state for *_, state in hand.entries()] == ["applied", "applied", "superseded"]


# --- pause, resume, stop, checkpoint


def test_a_paused_trial_holds_no_slot_and_goes_on_from_its_checkpoint(hand: Hand) -> None:
    hand.client.set_params("bear", 0, {"l2": 0.1})
    hand.apply(1, 15)
    hand.client.pause("bear", 0, reason="lunch")
    assert hand.report(3, 0.4).run == "pause"
    hand.apply(2, 37)
    hand.upload(37)
    hand.client.release("bear", 0, 1)

    assert hand.client.release("bear", 0, 1).state == "paused"
    assert hand.client.lease("bob", 10, 0).leases == []
    assert hand.client.study("bear").counts == {"paused": 1}

    hand.client.resume("bear", 0)
    resume = hand.take().resume
    assert resume is not None
    assert (resume.number, resume.step, resume.version, resume.leg, resume.timeline) == (0, 37, 2, 0, [])
    assert (hand.lease.desired.version, hand.lease.desired.run) == (3, "run")


def test_a_trial_that_waits_is_paused_at_once_and_one_whose_worker_died_when_it_is_missed(
    server: RunningServer, hand: Hand
) -> None:
    hand.client.pause("bear", 0)
    server.advance(seconds=31)
    server.reap()
    assert hand.client.trial("bear", 0).state == "paused"

    hand.client.resume("bear", 0)
    assert hand.client.pause("bear", 0).state == "paused"
    with pytest.raises(errors.WrongState, match="is paused"):
        hand.client.pause("bear", 0)


def test_a_pause_that_was_not_obeyed_yet_is_taken_back(hand: Hand) -> None:
    hand.client.pause("bear", 0)
    hand.client.resume("bear", 0)
    hand.apply(2, 12)

    assert [(verb, state) for _, verb, _, _, state in hand.entries()] == [
        ("pause", "superseded"),
        ("resume", "applied"),
    ]
    with pytest.raises(errors.WrongState, match="nothing to resume"):
        hand.client.resume("bear", 0)


def test_a_stop_is_a_wish_while_it_runs_and_an_end_where_nobody_runs_it(server: RunningServer, hand: Hand) -> None:
    hand.report(1, 0.5)
    assert hand.client.stop("bear", 0, reason="good enough").state == "running"
    assert hand.report(2, 0.4).run == "stop"
    assert hand.client.tell("bear", 0, 1, {"dev_error": 0.4}).state == "complete"

    server.client.create_study(PANDA | {"name": "other"})
    assert server.client.stop("other", 0).state == "cancelled"
    assert server.client.study("other").state == "completed"


def test_a_stopped_panda_whose_worker_died_has_what_it_reported_last(server: RunningServer, hand: Hand) -> None:
    hand.report(1, 0.5)
    hand.client.stop("bear", 0)
    server.advance(seconds=31)
    server.reap()

    trial = hand.client.trial("bear", 0)
    assert (trial.state, trial.value, trial.step) == ("complete", 0.5, 10)


def test_a_checkpoint_that_was_asked_for_is_kept_whatever_the_rule(hand: Hand) -> None:
    hand.client.keep_checkpoint("bear", 0, reason="before the storm")
    hand.upload(13, version=0, wanted=1)
    hand.apply(1, 13)
    for epoch in range(2, 8):
        hand.upload(10 * epoch, value=0.5 - epoch / 100)

    assert hand.steps() == [13, 60, 70]
    assert [one.checkpoint for one in hand.client.timeline("bear", 0).items] == [13]
    assert [one.pinned for one in hand.client.checkpoints("bear", 0).items] == [True, False, False]


def test_a_checkpoint_with_a_change_in_it_that_nobody_acknowledged_is_refused(hand: Hand) -> None:
    hand.client.set_params("bear", 0, {"l2": 0.1})

    with pytest.raises(errors.Invalid, match="version 1 is not acknowledged"):
        hand.upload(20, version=1)


# --- rollback


@pytest.fixture
def trained(hand: Hand) -> Hand:
    """A panda at step 55: checkpoints at 20 and 40, l2 changed at 30 and the learning rate at 50."""
    for epoch, error in ((1, 0.5), (2, 0.4)):
        hand.report(epoch, error)
    hand.upload(20, 0.4)
    hand.client.set_params("bear", 0, {"l2": 0.1})
    hand.apply(1, 30)
    for epoch, error in ((3, 0.3), (4, 0.2)):
        hand.report(epoch, error)
    hand.upload(40, 0.2)
    hand.client.set_params("bear", 0, {"learning_rate": 0.5})
    hand.apply(2, 50)
    for epoch, error in ((5, 0.25), (6, 0.6)):
        hand.report(epoch, error)
    return hand


def curve(hand: Hand, **more: Any) -> list[tuple[int, int]]:
    return [(one.step, one.leg) for one in hand.client.trial_metrics("bear", 0, **more).items]


def test_a_rollback_undoes_what_came_after_its_checkpoint_and_begins_a_new_leg(trained: Hand) -> None:
    trained.upload(60, 0.6)
    steered = trained.client.rollback("bear", 0, step=20, reason="too wild")
    desired = steered.desired
    assert (desired.version, desired.leg, desired.restore, desired.params) == (3, 3, 20, {})
    assert curve(trained) == [(10 * n, 0) for n in range(1, 7)], "not done yet"

    trained.apply(3, 20)
    trained.report(3, 0.35)

    assert [(verb, state, step) for _, verb, _, step, state in trained.entries()] == [
        ("params", "reverted", 30),
        ("params", "reverted", 50),
        ("rollback", "applied", 20),
    ]
    assert curve(trained) == [(10, 0), (20, 0), (30, 3)]
    left = [one.step for one in trained.client.trial_metrics("bear", 0, left=True).items if one.left]
    assert left == [30, 40, 50, 60]
    assert trained.steps() == [20], "those behind it are gone"
    assert trained.client.trial("bear", 0).params == PANDA["params"]
    assert trained.client.timeline("bear", 0).schedule == []


def test_a_rollback_keeps_what_was_in_force_in_its_checkpoint_and_may_change_more(trained: Hand) -> None:
    steered = trained.client.rollback("bear", 0, step=40, params={"keep_prob": 0.7})
    assert steered.desired.params == {"l2": 0.1, "keep_prob": 0.7}

    trained.apply(3, 40)

    schedule = [(one.step, one.params) for one in trained.client.timeline("bear", 0).schedule]
    assert schedule == [(30, {"l2": 0.1}), (40, {"keep_prob": 0.7})]


def test_a_change_at_the_very_step_of_a_checkpoint_is_undone_if_it_is_not_in_it(hand: Hand) -> None:
    hand.upload(20, 0.4)
    hand.client.set_params("bear", 0, {"l2": 0.1})
    hand.apply(1, 20)

    hand.client.rollback("bear", 0)
    hand.apply(2, 20)

    assert [state for *_, state in hand.entries()] == ["reverted", "applied"]
    assert hand.client.trial("bear", 0).params == PANDA["params"]


def test_a_rollback_to_the_start_needs_no_checkpoint_and_to_another_step_it_does(trained: Hand) -> None:
    with pytest.raises(errors.NotFound, match=r"no checkpoint of step 33 to go back to; it has: 20, 40"):
        trained.client.rollback("bear", 0, step=33)

    trained.client.rollback("bear", 0, step=0)
    trained.apply(3, 0)

    assert curve(trained) == []
    assert trained.client.timeline("bear", 0).schedule == []


def test_a_rollback_that_nobody_applied_is_applied_by_the_worker_that_takes_the_trial_next(
    server: RunningServer, trained: Hand
) -> None:
    trained.client.rollback("bear", 0, step=40)
    trained.client.set_params("bear", 0, {"l2": 0.3})
    server.advance(seconds=31)
    server.reap()

    resume = trained.take().resume
    assert resume is not None
    assert (resume.step, resume.version, resume.leg, resume.timeline) == (40, 2, 3, [])
    assert trained.lease.desired.params == {"l2": 0.3}
    trained.apply(4, 40)
    assert [(verb, state) for _, verb, _, _, state in trained.entries()] == [
        ("params", "applied"),
        ("params", "reverted"),
        ("rollback", "applied"),
        ("params", "applied"),
    ]


def test_a_checkpoint_that_arrives_after_its_run_went_back_behind_it_is_refused(trained: Hand) -> None:
    trained.client.rollback("bear", 0, step=20)
    trained.apply(3, 20)

    with pytest.raises(errors.WrongState, match="went back to step 20 since; step 60 was left"):
        trained.upload(60, 0.6, version=2)
    assert trained.upload(30, 0.3).version == 3


def test_a_run_that_goes_on_elsewhere_makes_the_changes_after_its_checkpoint_again(
    server: RunningServer, trained: Hand
) -> None:
    server.advance(seconds=31)
    server.reap()

    resume = trained.take().resume
    assert resume is not None
    assert (resume.step, resume.version, resume.leg) == (40, 2, 0)
    assert [(one.step, one.params) for one in resume.timeline] == [(50, {"learning_rate": 0.5})]
    trained.report(5, 0.25)
    assert curve(trained) == [(10 * n, 0) for n in range(1, 6)], "one curve, of two runs"


def lost(server: RunningServer, hand: Hand) -> Any:
    """The worker dies; what the next one begins with."""
    server.advance(seconds=31)
    server.reap()
    return hand.take().resume


def test_a_change_at_the_step_of_a_checkpoint_is_made_again_whatever_version_its_uploader_had_heard_of(
    server: RunningServer, hand: Hand
) -> None:
    """A worker dies soon after it began at a checkpoint with a new change; the next one leaves that very state again,
    as it was asked for one, and dies, too."""
    hand.upload(20)
    hand.client.set_params("bear", 0, {"learning_rate": 0.01})
    hand.apply(1, 20)
    for asked in (2, 3):
        hand.client.keep_checkpoint("bear", 0)
        resume = lost(server, hand)
        assert (resume.step, resume.version) == (20, asked - 1)
        assert [(one.step, one.params) for one in resume.timeline] == [(20, {"learning_rate": 0.01})]
        hand.upload(20, version=asked - 1, wanted=asked)
        hand.apply(asked, 20)

    [kept] = hand.client.checkpoints("bear", 0).items
    assert (kept.version, kept.pinned) == (2, True)


def test_a_run_that_makes_changes_again_leaves_checkpoints_of_the_versions_that_it_has_made(
    server: RunningServer, trained: Hand
) -> None:
    lost(server, trained)
    trained.upload(45, version=2)  # the second change counts from step 50 on

    resume = lost(server, trained)
    assert (resume.step, resume.version) == (45, 2)
    assert [(one.step, one.params) for one in resume.timeline] == [(50, {"learning_rate": 0.5})]
    assert [(one.step, one.version) for one in trained.client.checkpoints("bear", 0).items][-1] == (45, 1)
    trained.client.rollback("bear", 0, step=45)
    trained.apply(3, 45)
    assert [state for *_, state in trained.entries()] == ["applied", "reverted", "applied"]


def test_an_epoch_that_is_trained_again_after_a_death_is_no_further_one_and_after_a_rollback_it_is(
    server: RunningServer, trained: Hand
) -> None:
    def spent() -> float:
        return trained.client.study("bear").spent.epochs

    assert spent() == 6
    lost(server, trained)
    for epoch, error in ((5, 0.25), (6, 0.6)):
        trained.report(epoch, error)
    assert spent() == 6
    trained.report(7, 0.5)
    assert spent() == 7

    trained.client.rollback("bear", 0, step=20)
    lost(server, trained)
    trained.apply(3, 20)
    trained.report(3, 0.3)
    assert spent() == 8


def test_a_rollback_to_a_step_that_one_before_it_is_about_to_leave_is_refused(trained: Hand) -> None:
    trained.client.rollback("bear", 0, step=20)

    with pytest.raises(errors.NotFound, match="no checkpoint of step 40 to go back to; it has: 20"):
        trained.client.rollback("bear", 0, step=40)

    assert trained.client.rollback("bear", 0).desired.restore == 20


def test_the_checkpoint_that_a_run_shall_go_back_to_is_not_dropped_by_a_rule(trained: Hand) -> None:
    trained.client.rollback("bear", 0, step=20)
    for epoch in (6, 7, 8):
        trained.upload(10 * epoch, 0.01)

    assert trained.steps()[0] == 20


# --- guards


@pytest.fixture
def guarded(hand: Hand) -> Hand:
    """A panda whose guarded change counts from step 20 on, where dev_error was 0.4."""
    hand.report(2, 0.4)
    hand.client.set_params("bear", 0, {"learning_rate": 1.0}, guard=GUARD)
    hand.upload(20, 0.4, version=0, wanted=1)
    hand.apply(1, 20)
    return hand


@pytest.mark.parametrize("value", [0.43, None])
def test_a_guarded_change_that_does_harm_is_taken_back(guarded: Hand, value: float | None) -> None:
    assert guarded.report(3, 0.41).leg == 0
    desired = guarded.report(4, value)

    assert (desired.version, desired.leg, desired.restore, desired.params, desired.why) == (2, 2, 20, {}, "policy")
    guarded.apply(2, 20)
    entry, back = guarded.client.timeline("bear", 0).items
    assert (entry.state, entry.checkpoint, back.state, back.actor) == ("reverted", 20, "applied", "guard")
    assert ("not finite" if value is None else "0.43 at step 40, it was 0.4") in back.reason
    assert guarded.report(3, 0.6).version == 2, "the change is gone, and its guard with it"


def test_a_guarded_change_that_does_no_harm_in_time_stays(guarded: Hand) -> None:
    for epoch, value in ((3, 0.41), (4, 0.42), (5, 0.9)):
        assert guarded.report(epoch, value).version == 1

    assert [state for *_, state in guarded.entries()] == ["applied"]


def test_a_guard_waits_for_its_checkpoint(hand: Hand) -> None:
    hand.report(2, 0.4)
    hand.client.set_params("bear", 0, {"learning_rate": 1.0}, guard=GUARD)
    hand.apply(1, 20)
    assert hand.report(3, 0.9).version == 1
    hand.upload(20, 0.4, version=0, wanted=1)

    assert hand.report(4, 0.9).restore == 20


def test_a_guard_takes_its_change_back_also_when_its_checkpoint_came_again_as_one_with_it(guarded: Hand) -> None:
    assert guarded.upload(20, 0.4, version=1).version == 1

    assert guarded.report(3, 0.9).restore == 20
    guarded.apply(2, 20)
    assert [state for *_, state in guarded.entries()] == ["reverted", "applied"]


def test_a_run_that_diverges_under_a_guard_goes_back(guarded: Hand) -> None:
    told = guarded.client.tell("bear", 0, 1, {}, state="diverged", step=27, where="layer 1")

    assert (told.state, told.desired and told.desired.restore) == ("queued", 20)
    resume = guarded.take().resume
    assert resume is not None
    assert (resume.step, resume.leg) == (20, 2)


def test_a_guard_has_the_last_word_at_the_end_of_a_run(guarded: Hand) -> None:
    guarded.version = 0  # its last report and its tell come together
    guarded.client.report("bear", 0, 1, [{"step": 30, "epoch": 3, "metrics": {"dev_error": 0.41}}], 1, 20)

    assert guarded.client.tell("bear", 0, 1, {"dev_error": 0.41}).state == "complete"


def test_a_guard_of_a_metric_that_nobody_knows_is_refused(hand: Hand) -> None:
    with pytest.raises(errors.Invalid, match="metric: write one of dev_error, dev_loss"):
        hand.client.set_params("bear", 0, {"l2": 0.1}, guard=GUARD | {"metric": "charm"})


# --- policies


def policed(server: RunningServer, **policy: Any) -> Hand:
    hand = Hand(server, policies=[policy])
    for epoch, error in ((1, 0.5), (2, 0.4), (3, 0.4), (4, 0.41)):
        hand.report(epoch, error)
    return hand


def test_a_plateau_is_answered_by_a_proposal_that_a_person_accepts_with_one_call(server: RunningServer) -> None:
    hand = policed(server, policy="plateau", patience_epochs=2, factor=0.5)

    hand.report(5, 0.42)
    [proposal] = hand.client.proposals("bear", 0)
    assert (proposal.policy, proposal.state, proposal.params) == ("plateau", "open", {"learning_rate": 0.05})
    assert proposal.reason == "dev_error has not fallen below 0.4 for 2 epochs: learning_rate 0.1 -> 0.05."
    assert hand.entries() == []

    steered = hand.client.accept("bear", 0, proposal.id)
    assert steered.desired.params == {"learning_rate": 0.05}
    [done] = hand.client.proposals("bear", 0)
    assert (done.state, done.version) == ("accepted", 1)
    assert hand.client.timeline("bear", 0).items[0].actor == "policy:plateau, accepted"
    with pytest.raises(errors.WrongState, match="is accepted"):
        hand.client.accept("bear", 0, proposal.id)


def test_a_policy_that_may_acts_by_itself_and_then_waits_again(server: RunningServer) -> None:
    hand = policed(server, policy="plateau", patience_epochs=2, factor=0.5, auto=True)
    desired = hand.report(5, 0.42)
    assert (desired.params, desired.why) == ({"learning_rate": 0.05}, "policy")

    hand.apply(1, 50)
    versions = [hand.report(epoch, 0.42).version for epoch in (6, 7, 8)]

    assert versions == [1, 2, 2]
    assert [one.state for one in hand.client.proposals("bear", 0)] == ["accepted", "accepted"]
    assert hand.client.trial("bear", 0).desired.params == {"learning_rate": 0.025}  # type: ignore[union-attr]


def test_a_dismissed_proposal_is_not_made_again_at_once_and_a_change_by_hand_outdates_one(
    server: RunningServer,
) -> None:
    hand = policed(server, policy="plateau", patience_epochs=2)
    [proposal] = hand.client.proposals("bear", 0)
    assert hand.client.dismiss("bear", 0, proposal.id).state == "dismissed"
    assert hand.client.dismiss("bear", 0, proposal.id).state == "dismissed"

    hand.report(5, 0.42)
    assert len(hand.client.proposals("bear", 0)) == 1
    hand.report(6, 0.42)
    assert [one.state for one in hand.client.proposals("bear", 0)] == ["dismissed", "open"]
    hand.client.set_params("bear", 0, {"l2": 0.1})
    assert [one.state for one in hand.client.proposals("bear", 0)] == ["dismissed", "outdated"]


def test_a_run_that_diverges_goes_back_with_a_lower_rate_until_the_policy_gives_up(server: RunningServer) -> None:
    hand = Hand(server, policies=[{"policy": "divergence", "factor": 0.5, "give_up_after": 2, "auto": True}])
    hand.report(1, 0.5)
    hand.upload(10, 0.5)

    for rate, version in ((0.05, 1), (0.025, 2)):
        told = hand.client.tell("bear", 0, hand.lease.fence, {}, state="diverged", step=17, where="layer 2")
        assert told.state == "queued"
        resume = hand.take().resume
        assert resume is not None
        assert (resume.step, hand.lease.desired.params, hand.lease.desired.leg) == (
            10,
            {"learning_rate": rate},
            version,
        )
        hand.apply(version, 10)

    told = hand.client.tell("bear", 0, hand.lease.fence, {}, state="diverged", step=12)
    assert told.state == "diverged"


def test_a_run_that_diverged_waits_where_a_person_is_to_decide(server: RunningServer) -> None:
    hand = Hand(server, policies=[{"policy": "divergence"}])
    hand.upload(10, 0.5)

    told = hand.client.tell("bear", 0, 1, {}, state="diverged", step=17, where="layer 2")

    assert told.state == "paused"
    [proposal] = hand.client.proposals("bear", 0)
    assert (proposal.state, proposal.restore, proposal.params) == ("open", 10, {"learning_rate": 0.05})
    assert hand.client.accept("bear", 0, proposal.id).state == "queued"
    hand.take()
    assert (hand.lease.resume and hand.lease.resume.step, hand.lease.desired.run) == (10, "run")


def test_a_schedule_makes_its_changes_at_their_epochs_and_does_not_insist(server: RunningServer) -> None:
    plan = [{"epoch": 2, "params": {"l2": 0.1}}, {"epoch": 4, "params": {"learning_rate": 0.01}}]
    hand = Hand(server, policies=[{"policy": "schedule", "at": plan, "auto": True}])

    assert hand.report(1, 0.5).version == 0
    assert hand.report(2, 0.5).params == {"l2": 0.1}
    hand.apply(1, 20)
    hand.client.set_params("bear", 0, {"l2": 0.2})
    hand.apply(2, 25)
    assert hand.report(3, 0.5).version == 2
    assert hand.report(4, 0.5).params == {"l2": 0.2, "learning_rate": 0.01}


def test_a_guard_policy_proposes_to_take_back_a_change_that_does_harm(server: RunningServer) -> None:
    hand = Hand(server, policies=[GUARD | {"policy": "guard"}])
    hand.report(2, 0.4)
    assert hand.client.set_params("bear", 0, {"learning_rate": 1.0}).desired.checkpoint == 1
    hand.upload(20, 0.4, version=0, wanted=1)
    hand.apply(1, 20)
    hand.report(3, 0.9)

    [proposal] = hand.client.proposals("bear", 0)
    assert (proposal.policy, proposal.restore) == ("guard", 20)
    assert hand.client.accept("bear", 0, proposal.id).desired.leg == 2


def test_policies_may_be_changed_while_a_panda_runs(hand: Hand) -> None:
    policies = [{"policy": "plateau", "patience_epochs": 1}]
    assert hand.client.patch_study("bear", {"policies": policies}).policies[0].policy == "plateau"
    for epoch in (1, 2):
        hand.report(epoch, 0.5)

    assert [one.policy for one in hand.client.proposals("bear", 0)] == ["plateau"]


# --- branches


def test_a_fork_goes_on_from_one_checkpoint_with_other_parameters_and_a_control_beside_it(trained: Hand) -> None:
    branches = trained.client.fork("bear", 0, [{"learning_rate": 0.2}, {"l2": 0.0}], step=40, reason="which one?")

    assert [one.number for one in branches] == [1, 2, 3]
    kept = {"learning_rate": 0.1, "keep_prob": 0.9, "l2": 0.1}
    assert [one.params for one in branches] == [kept | {"learning_rate": 0.2}, kept | {"l2": 0.0}, kept]
    assert {(one.state, one.mode, one.seed) for one in branches} == {("queued", "panda", trained.lease.seed)}
    assert {(one.parent.number, one.parent.step) for one in branches if one.parent} == {(0, 40)}

    lease = trained.take(2)
    assert lease.resume is not None
    assert (lease.resume.number, lease.resume.step) == (2, 40)
    [change] = lease.resume.timeline
    assert (change.step, change.params) == (40, kept | {"l2": 0.0})
    assert trained.client.checkpoint("bear", 2, 40) == trained.client.checkpoint("bear", 0, 40)


def test_a_branch_needs_nothing_of_its_parent_any_more(trained: Hand) -> None:
    trained.client.fork("bear", 0, [{"l2": 0.3}], step=40, control=False)
    content = trained.client.checkpoint("bear", 0, 40)
    trained.client.rollback("bear", 0, step=20)
    trained.apply(3, 20)

    assert trained.client.checkpoint("bear", 1, 40) == content
    timeline = trained.client.timeline("bear", 1)
    assert [(one.number, one.step) for one in timeline.lineage] == [(0, 40)]
    assert (timeline.start.number, timeline.start.params) == (0, PANDA["params"])
    assert [(one.step, one.params.get("l2")) for one in timeline.schedule] == [(30, 0.1), (40, 0.3)]


def test_a_rollback_of_a_branch_to_its_beginning_keeps_what_makes_it_one(trained: Hand) -> None:
    trained.client.fork("bear", 0, [{"l2": 0.3}], step=40, control=False)
    trained.take(1)
    trained.client.set_params("bear", 1, {"l2": 0.5})
    trained.apply(1, 50)

    desired = trained.client.rollback("bear", 1, step=40).desired
    assert desired.params == {"learning_rate": 0.1, "keep_prob": 0.9, "l2": 0.3}
    trained.apply(2, 40)
    assert [(one.step, one.params.get("l2")) for one in trained.client.timeline("bear", 1).schedule][-1] == (40, 0.3)
    with pytest.raises(errors.NotFound, match="no checkpoint of step 0 to go back to; it has: 40"):
        trained.client.rollback("bear", 1, step=0)


def test_the_best_of_a_caviar_is_promoted_to_a_panda(server: RunningServer) -> None:
    space = {"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1, "scale": "log"}}
    study = {name: value for name, value in PANDA.items() if name not in ("params", "mode")}
    server.client.create_study(study | {"space": space, "budget": {"max_trials": 1}})
    [lease] = server.client.lease("ada").leases
    for step, value in ((100, 0.3), (150, 0.1), (200, 0.2)):
        server.client.put_checkpoint("bear", 0, step, b"%d" % step, lease.fence, step / 10, value)
    server.client.tell("bear", 0, lease.fence, {"dev_error": 0.1})
    assert server.client.study("bear").state == "completed"

    with pytest.raises(errors.BudgetSpent, match='"raise_budget": true'):
        server.client.promote("bear", 0)
    panda = server.client.promote("bear", 0, {"epochs": 40}, raise_budget=True)

    assert (panda.number, panda.mode, panda.parent and panda.parent.step) == (1, "panda", 150)
    assert panda.params == lease.params | {"epochs": 40}
    study_now = server.client.study("bear")
    assert (study_now.state, study_now.budget.max_trials) == ("active", 2)
    assert server.client.trial("bear", 0).state == "complete"
    leases = server.client.lease("ada", 10).leases
    assert [(one.number, one.resume and one.resume.step) for one in leases] == [(1, 150)]


def test_a_branch_that_has_nothing_left_to_train_is_refused_and_the_control_trains_as_long_as_the_others(
    hand: Hand,
) -> None:
    hand.upload(200, 0.1)
    hand.client.tell("bear", 0, 1, {"dev_error": 0.1})

    with pytest.raises(errors.Invalid, match="the checkpoint has done all 20; write more, for example 40"):
        hand.client.fork("bear", 0, [{"l2": 0.1}])
    branches = hand.client.fork("bear", 0, [{"l2": 0.1, "epochs": 30}, {"l2": 0.2, "epochs": 30}])
    assert [one.params["epochs"] for one in branches] == [30, 30, 30]


@pytest.mark.parametrize(
    ("branches", "more", "error", "sentence"),
    [
        ([{"hidden_units": 3}], {}, errors.Invalid, "hidden_units cannot change"),
        ([{"l2": 0.1}], {"step": 77}, errors.NotFound, "no checkpoint at step 77"),
        ([{"l2": 0.1}] * 20, {}, errors.BudgetSpent, "21 trials do not fit"),
    ],
)
def test_a_fork_that_is_not_possible_is_refused_with_the_reason(
    trained: Hand, branches: list[Any], more: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        trained.client.fork("bear", 0, branches, **more)
    assert len(trained.client.trials("bear").items) == 1


def test_a_fork_that_is_sent_again_under_its_key_makes_its_branches_once(trained: Hand, http: httpx.Client) -> None:
    answers = [
        http.post(
            "/v1/studies/bear/trials/0:fork",
            json={"branches": [{"params": {"l2": 0.5}}]},
            headers={"Idempotency-Key": "twice"},
        )
        for _ in range(2)
    ]

    assert answers[0].status_code == 201
    assert answers[0].json() == answers[1].json()
    assert [one.number for one in trained.client.trials("bear").items] == [0, 1, 2]


def test_samplers_see_neither_pandas_nor_what_was_steered(server: RunningServer) -> None:
    from server.services.history import history_at
    from server.store import studies

    space = {"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1, "scale": "log"}}
    study = {name: value for name, value in PANDA.items() if name not in ("params", "mode")}
    server.client.create_study(study | {"space": space})
    leases = server.client.lease("ada", 3).leases
    server.client.put_checkpoint("bear", 0, 10, b"npz", 1, 1.0, 0.5)
    server.client.promote("bear", 0)
    server.client.set_params("bear", 1, {"learning_rate": 0.5})
    server.client.report("bear", 1, 1, [], 1, 5)
    for lease in leases:
        server.client.tell("bear", lease.number, lease.fence, {"dev_error": 0.5})

    with server.app.state.database.reading() as tx:
        row = studies.find(tx, "bear")
        assert row is not None
        seen = history_at(tx, row, row.seq, row.next_number).history
    assert [one.number for one in seen.finished] == [0, 2]
    assert seen.running == ()


@pytest.fixture(autouse=True)
def nobody_was_refused_with_a_5xx(server: RunningServer) -> Iterator[None]:
    yield
    assert server.client.health().status == "ok"
