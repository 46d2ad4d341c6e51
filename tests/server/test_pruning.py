"""Bad trials are stopped by what they report; the search sees them at the score that they would have had."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from benchmarks.pruning_curves import Trained
from benchmarks.pruning_replay import replay
from server.services import lookup
from server.services.sampling.past import history_at
from sturgeon.direction import Direction, sign_of
from sturgeon.messages import Desired, Lease, Looks
from sturgeon.search.pruning import Rule, Settings
from tests.server.studies import BOWL, DIGITS, NOT_VALID, Json, refusal

if TYPE_CHECKING:
    from tests.running import RunningServer

STOP = Desired(version=1, run="stop", why="pruned")
CURVE: Json = {"rule": "curve", "epochs": 16}


def create(server: RunningServer, **changes: Any) -> None:
    server.client.create_study(BOWL | {"budget": {"max_trials": 20}, "pruning": CURVE} | changes)


def run(server: RunningServer, scores: Sequence[float | None]) -> int:
    """A further trial that reports one score an epoch, each by itself, until it is to stop; its number."""
    [lease] = server.client.ask("bowl", worker="ada", lease_s=60).leases
    for epoch, score in enumerate(scores, 1):
        desired = report(server, lease.number, epoch, score, lease.fence)
        if desired.run == "stop":
            break
    return lease.number


def report(server: RunningServer, number: int, epoch: int, score: float | None, fence: int = 1) -> Desired:
    reported = [{"step": 10 * epoch, "epoch": epoch, "metrics": {"loss": score}}]
    return server.client.report("bowl", number, fence, reported).desired


def complete(server: RunningServer, scores: Sequence[float]) -> int:
    number = run(server, scores)
    server.client.tell("bowl", number, 1, {"loss": scores[-1]})
    return number


def epochs_of(server: RunningServer, number: int) -> int:
    return len(server.client.trial_metrics("bowl", number).items)


def test_the_answer_to_a_report_says_stop_and_the_event_says_why(server: RunningServer) -> None:
    create(server)
    complete(server, [0.8, 0.1])

    number = run(server, [0.9] * 2)
    stop = report(server, number, 3, 0.9)

    assert stop == STOP == server.client.trial("bowl", number).desired
    reason = "at epoch 3 its best is 0.9, its forecast for epoch 16 0.5922; another trial has 0.1 already"
    [event] = [event for event in server.client.events("bowl").items if event.kind == "stop"]
    assert (event.number, event.detail) == (
        number,
        {"why": "pruned", "rule": "curve", "epoch": 3, "reason": reason},
    )
    held = {"study": "bowl", "number": number, "fence": 1}
    assert server.client.renew("ada", [held]).held[0].desired == STOP


@pytest.mark.parametrize(
    ("study", "looks"),
    [
        ({}, Looks(rule="curve", epochs=16, eta=3, grace=3)),
        ({"pruning": {"rule": "asha", "eta": 4, "grace": 2}}, Looks(rule="asha", epochs=None, eta=4, grace=2)),
        ({"pruning": {"rule": "median"}}, Looks(rule="median", epochs=None, eta=3, grace=5)),
        ({"pruning": {"rule": "none"}}, None),
    ],
    ids=["curve", "asha", "median", "none"],
)
def test_a_lease_says_at_which_reports_the_rule_looks(server: RunningServer, study: Json, looks: Looks | None) -> None:
    create(server, **study)

    assert [lease.looks for lease in server.client.ask("bowl", 2).leases] == [looks, looks]


def test_the_lease_of_a_worker_says_so_too(server: RunningServer) -> None:
    server.client.create_study(DIGITS | {"task": DIGITS["task"] | {"epochs": 9}})

    [lease] = server.client.lease("ada", 1, 0.0).leases

    assert lease.looks == Looks(rule="curve", epochs=9, eta=3, grace=3)


def test_others_are_compared_with_a_trial_whose_reports_come_at_once_up_to_its_end(server: RunningServer) -> None:
    create(server, pruning={"rule": "asha", "epochs": 9})
    for score in (0.1, 0.2, 0.9, 0.8):
        [lease] = server.client.ask("bowl").leases
        whole = [{"step": epoch, "metrics": {"loss": score}} for epoch in range(1, 10)]
        assert server.client.report("bowl", lease.number, lease.fence, whole).desired.run != "stop"
        server.client.tell("bowl", lease.number, lease.fence, {"loss": score})

    assert epochs_of(server, run(server, [0.95] * 9)) == 3


def test_a_pruned_trial_counts_as_what_it_would_have_scored(server: RunningServer) -> None:
    create(server)
    for scores in ([0.8, 0.4, 0.4, 0.4, 0.1], *[[0.8, 0.2, 0.2, 0.1]] * 4, [0.12]):
        complete(server, scores)
    number = run(server, [0.9] * 16)

    told = server.client.tell("bowl", number, 1, {"loss": 0.9}, "pruned")

    assert epochs_of(server, number) == 3
    assert (told.state, told.value, told.guess) == ("pruned", 0.9, pytest.approx(0.9 / 2))
    with server.app.state.database.reading() as tx:
        study = lookup.get_study(tx, "bowl")
        seen = history_at(tx, study, study.seq, study.next_number).history.finished
    assert [trial.score for trial in seen] == [0.1] * 5 + [0.12, told.guess]
    assert server.client.best("bowl", k=10).items[-1].number == 5
    assert server.client.study("bowl").counts == {"complete": 6, "pruned": 1}


def test_a_trial_that_falls_fast_goes_on_where_one_that_falls_slowly_is_stopped(server: RunningServer) -> None:
    """Both have 0.2 at epoch 3, of which epoch^-0.25 makes 0.13, and 0.1 is there already."""
    create(server)
    complete(server, [0.1])

    assert epochs_of(server, run(server, [0.9, 0.5, 0.2, 0.19, 0.18])) == 5
    assert epochs_of(server, run(server, [0.21, 0.21, 0.2, 0.19, 0.18])) == 3


def test_while_few_are_complete_the_search_sees_the_forecast_that_stopped_a_trial(server: RunningServer) -> None:
    """By the ratio of the one that is complete, 1/8, it would have scored 0.075, better than the best."""
    create(server)
    complete(server, [0.8, 0.8, 0.8, 0.1])
    number = run(server, [0.9, 0.9, 0.6])
    [event] = [event for event in server.client.events("bowl").items if event.kind == "stop"]

    told = server.client.tell("bowl", number, 1, {"loss": 0.6}, "pruned")

    forecast = 0.6 * (3 / 16) ** (math.log(0.9 / 0.6) / math.log(3 / 1))
    assert told.guess == pytest.approx(forecast)
    assert f"its forecast for epoch 16 {forecast:.4g}; another trial has 0.1 already" in event.detail["reason"]


@pytest.mark.parametrize("epoch", [0, 0.01])
def test_a_trial_that_ends_in_its_first_epoch_is_not_assumed_to_be_perfect(server: RunningServer, epoch: float) -> None:
    create(server)
    complete(server, [0.1])
    [lease] = server.client.ask("bowl").leases
    server.client.report("bowl", lease.number, 1, [{"step": 0, "epoch": epoch, "metrics": {"loss": 0.9}}])

    assert server.client.tell("bowl", lease.number, 1, {"loss": 0.9}, "pruned").guess == 0.9


def test_a_trial_whose_epochs_differ_by_a_rounding_is_looked_at(server: RunningServer) -> None:
    create(server, pruning={"rule": "curve", "epochs": 400, "grace": 300})
    complete(server, [0.1])
    [lease] = server.client.ask("bowl").leases
    epochs = {100: math.nextafter(300, 0), 300: 300.0}
    answers = [
        server.client.report("bowl", lease.number, 1, [{"step": step, "epoch": epoch, "metrics": {"loss": score}}])
        for (step, epoch), score in zip(epochs.items(), (0.9, 0.8), strict=True)
    ]

    assert [answer.desired.run for answer in answers] == ["run", "stop"]


def test_a_trial_whose_worker_died_before_it_obeyed_is_pruned_all_the_same(server: RunningServer) -> None:
    create(server)
    complete(server, [0.8, 0.4, 0.4, 0.4, 0.1])
    number = run(server, [0.9] * 16)

    server.advance(seconds=61)
    server.expire_leases()

    trial = server.client.trial("bowl", number)
    assert (trial.state, trial.value, trial.guess) == ("pruned", 0.9, pytest.approx(0.9 * (3 / 16) ** 0.25))


def test_a_trial_that_was_done_before_it_heard_of_the_wish_is_complete(server: RunningServer) -> None:
    create(server)
    complete(server, [0.1])
    number = run(server, [0.9] * 16)

    told = server.client.tell("bowl", number, 1, {"loss": 0.05})

    assert (told.state, told.value, told.guess) == ("complete", 0.05, None)


def test_reports_that_come_together_are_looked_at_one_after_the_other_and_once(server: RunningServer) -> None:
    """At epoch 3 nothing was known yet of the fall at epoch 5."""
    create(server)
    complete(server, [0.1])
    [lease] = server.client.ask("bowl").leases
    together = [{"step": epoch, "metrics": {"loss": 0.9 if epoch < 5 else 0.1}} for epoch in range(1, 8)]

    first = server.client.report("bowl", lease.number, 1, together).desired
    again = server.client.report("bowl", lease.number, 1, together).desired

    assert first == again == STOP
    assert [event.kind for event in server.client.events("bowl").items] == ["stop"]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_asha_lets_one_of_eta_go_on_at_each_rung(server: RunningServer, direction: Direction) -> None:
    turn = sign_of(direction)
    create(server, direction=direction, pruning={"rule": "asha", "eta": 2, "grace": 2})

    lengths = [epochs_of(server, run(server, [turn * score] * 5)) for score in (0.5, 0.4, 0.6, 0.3, 0.45)]

    # The first is alone at rung 2 and at rung 4; the second is the better of two; 0.6 and 0.45 are in the worse half.
    assert lengths == [5, 5, 2, 5, 2]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_median_rule_stops_the_worse_half_once_five_have_come_so_far(
    server: RunningServer, direction: Direction
) -> None:
    turn = sign_of(direction)
    create(server, direction=direction, pruning={"rule": "median", "grace": 2})

    lengths = [epochs_of(server, run(server, [turn * score] * 4)) for score in (0.5, 0.9, 0.1, 0.6, 0.4, 0.51, 0.49)]

    assert lengths == [4, 4, 4, 4, 4, 2, 4]


def test_what_is_invalid_is_no_measure_for_others(server: RunningServer) -> None:
    create(server)
    complete(server, [0.1])
    server.client.invalidate("bowl", 0, "the labels were shifted")

    assert epochs_of(server, run(server, [0.9] * 10)) == 10

    server.client.patch_study("bowl", {"state": "cancelled"})
    server.client.delete_study("bowl")
    create(server, pruning={"rule": "asha", "grace": 2})
    for _ in range(2):
        server.client.invalidate("bowl", run(server, [0.1] * 3), "the labels were shifted")
    assert epochs_of(server, run(server, [0.9] * 10)) == 10


def test_a_trial_that_is_requeued_is_measured_anew(server: RunningServer) -> None:
    create(server)
    complete(server, [0.1])
    number = run(server, [0.9] * 16)
    server.client.cancel("bowl", number)
    server.client.requeue("bowl", number)

    [lease] = server.client.ask("bowl").leases
    reports = [{"step": epoch, "metrics": {"loss": 0.9}} for epoch in (1, 2)]
    going = server.client.report("bowl", number, lease.fence, reports).desired
    stopped = server.client.report("bowl", number, lease.fence, [{"step": 3, "metrics": {"loss": 0.9}}]).desired

    assert (going.run, going.version) == ("run", 2)
    assert (stopped.run, stopped.why, stopped.version) == ("stop", "pruned", 3)


@pytest.mark.parametrize(
    ("study", "rule"),
    [
        (DIGITS, "curve"),
        (DIGITS | {"pruning": {"rule": "none"}}, "none"),
        (DIGITS | {"direction": "maximize"}, "none"),
        (BOWL, "none"),
        (BOWL | {"pruning": {"epochs": 16}}, "curve"),
    ],
)
def test_a_rule_is_chosen_by_what_is_known_of_the_trials(server: RunningServer, study: Json, rule: str) -> None:
    assert server.client.create_study(study).pruning.rule == rule


@pytest.mark.parametrize(
    ("study", "pointer"),
    [
        (BOWL | {"pruning": {"rule": "curve"}}, "/pruning/epochs"),
        (DIGITS | {"pruning": {"rule": "curve", "epochs": 4}}, "/pruning/epochs"),
        (BOWL | {"pruning": CURVE, "direction": "maximize"}, "/pruning/rule"),
        (BOWL | {"pruning": {"rule": "median", "eta": 3}}, "/pruning/eta"),
        (BOWL | {"pruning": {"grace": 3}}, "/pruning/grace"),
        (BOWL | {"pruning": {"rule": "asha", "eta": 1}}, "/pruning/eta"),
        (BOWL | {"pruning": {"rule": "hyperband"}}, "/pruning/rule"),
    ],
)
def test_settings_that_mean_nothing_are_refused(http: httpx.Client, study: Json, pointer: str) -> None:
    answer = http.post("/v1/studies", json=study)

    assert refusal(answer) in NOT_VALID
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_the_length_of_a_trial_may_be_searched(server: RunningServer) -> None:
    """The forecast is for the trial's own last epoch: of 8 epochs the half, of 10,000 a small part."""
    space = {"epochs": {"type": "choice", "values": [8, 10_000]}}
    server.client.create_study(DIGITS | {"name": "bowl", "metric": "dev_error", "space": space})
    best = server.client.enqueue("bowl", {"epochs": 8})
    short, long = (server.client.enqueue("bowl", {"epochs": epochs}) for epochs in (8, 10_000))
    server.client.ask("bowl", count=3)
    server.client.tell("bowl", best.number, 1, {"dev_error": 0.1})

    answers = [
        server.client.report("bowl", trial.number, 1, [{"step": 40, "epoch": 4, "metrics": {"dev_error": 0.3}}])
        for trial in (short, long)
    ]

    assert [answer.desired.run for answer in answers] == ["stop", "run"]


def test_a_trial_that_went_on_elsewhere_is_judged_by_its_whole_curve(server: RunningServer) -> None:
    """Both were lost after their third epoch and went on from the checkpoint of the second; one told at once."""
    task = DIGITS["task"] | {"epochs": 20}
    server.client.create_study(DIGITS | {"task": task, "pruning": {"rule": "none"}})

    def says(lease: Lease, first: int, errors: Sequence[float]) -> None:
        rows = [{"step": 10 * n, "epoch": n, "metrics": {"dev_error": error}} for n, error in enumerate(errors, first)]
        server.client.report("digits", lease.number, lease.fence, rows)

    for scores, more in (([0.9, 0.8, 0.4], [0.4, 0.1]), ([0.9, 0.9, 0.6], [])):
        [lease] = server.client.ask("digits", worker="ada", lease_s=60).leases
        says(lease, 1, scores)
        server.client.put_checkpoint("digits", lease.number, 20, b"npz", 1, 2, None)
        server.advance(seconds=61)
        server.expire_leases()
        [lease] = server.client.ask("digits", worker="bob").leases
        says(lease, 3, more)
        told = server.client.tell("digits", lease.number, 2, {"dev_error": 0.1}, "complete" if more else "pruned")

    assert told.guess == pytest.approx(0.6 * 0.1 / 0.4), "of a curve that ended at epoch 3"


def test_what_a_complete_trial_left_by_a_rollback_is_no_measure_for_others(server: RunningServer) -> None:
    task = DIGITS["task"] | {"epochs": 20}
    server.client.create_study(DIGITS | {"task": task, "pruning": {"rule": "none"}})
    server.client.ask("digits", count=2)
    for number in (0, 1):
        rows = [{"step": 10 * n, "epoch": n, "metrics": {"dev_error": 0.5}} for n in (1, 2, 3, 4)]
        server.client.report("digits", number, 1, rows)
    server.client.rollback("digits", 0, step=0)
    server.client.report("digits", 0, 1, [], 1, 0)
    server.client.tell("digits", 0, 1, {"dev_error": 0.1})

    assert server.client.tell("digits", 1, 1, {"dev_error": 0.5}, "pruned").guess == 0.5


def falling(seed: int, count: int, epochs: int) -> list[Trained]:
    """Made-up curves, some of them late starters; an epoch of each takes its own time."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        end, power, noise = 0.05 * 10 ** rng.uniform(0, 1), rng.uniform(0.3, 1.5), rng.normal(1, 0.05, epochs)
        curve = tuple((end * (epochs / np.arange(1, epochs + 1)) ** power * noise).tolist())
        found.append(Trained(curve, min(curve), None, float(rng.uniform(0.1, 1))))
    return found


@pytest.mark.parametrize("rule", ["curve", "asha", "median"])
def test_the_service_stops_the_trials_that_the_benchmark_says(server: RunningServer, rule: Rule) -> None:
    """So the figures of docs/pruning.md are those of the service."""
    trials = falling(seed=1, count=12, epochs=12)
    expected = replay(Settings(rule, 12), trials, slots=4)
    create(server, pruning={"rule": rule, "epochs": 12}, budget={"max_trials": 12})

    server.client.ask("bowl", count=4)
    for word in expected.words:
        trial = trials[word.trial]
        if word.end is None:
            assert (report(server, word.trial, word.epoch, trial.curve[word.epoch - 1]).run == "stop") == word.stop
            continue
        score = trial.value if word.end == "complete" else trial.curve[word.epoch - 1]
        server.client.tell("bowl", word.trial, 1, {"loss": score}, word.end)
        server.client.ask("bowl")

    study = server.client.study("bowl")
    assert study.counts["pruned"] == 12 - len(expected.complete) > 2
    assert (study.best.number if study.best else None) == expected.winner
    assert study.spent.epochs == sum(expected.epochs)
