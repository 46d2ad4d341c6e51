"""What a worker holds in memory while the server is away: bounded, whatever the length of the outage."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sturgeon.errors import LeaseLost
from tests.worker.scripted import Running, epoch
from worker.child.protocol import Applied, FindingsMessage, Finished, Progress, SavedCheckpoint
from worker.trial import mailbox
from worker.trial.mailbox import Mailbox
from worker.trial.thinning import ThinningRule, rule_of, thinned

AWAY = httpx.ConnectError("refused")
TASK = {"checkpoints": {"best": 2, "last": 1}}
BEST = (377, 611)
WANTED = 500


@pytest.fixture
def running() -> Iterator[Running]:
    with Running(TASK) as running:
        running.trial.start()
        yield running


def saved(step: int, value: float | None = 0.5, wanted: int = 0, version: int = 0) -> SavedCheckpoint:
    return SavedCheckpoint(step, step, value, f"npz {step}".encode(), version, wanted)


def say_a_thousand(running: Running) -> list[weakref.ref[SavedCheckpoint]]:
    """1,000 checkpoints with a value each, two of them good, and one that somebody asked for."""
    references = []
    for step in range(1, 1001):
        checkpoint = saved(step, 0.1 if step in BEST else 0.5, wanted=7 if step == WANTED else 0)
        references.append(weakref.ref(checkpoint))
        running.trial.hear(checkpoint)
    return references


def alive(references: list[weakref.ref[SavedCheckpoint]]) -> int:
    gc.collect()
    return sum(reference() is not None for reference in references)


@pytest.mark.parametrize("away", ["report", "checkpoints"])
def test_of_a_thousand_checkpoints_the_newest_the_best_and_the_wanted_wait(running: Running, away: str) -> None:
    """Away since the report before them; or only the uploads hang, and reports get through."""
    running.server.faults = {away: [AWAY] * 1_000_000}
    running.say(epoch(1), saved(0))
    running.until_asked(away)

    references = say_a_thousand(running)
    if away == "checkpoints":
        running.say(epoch(2))
        running.until_asked("report")  # all before it were handed to the uploads

    assert alive(references) <= len(BEST) + 3  # the wanted one, the newest, and one on its way
    running.server.faults.clear()
    running.say(Finished("complete", 1000, {"dev_error": 0.5}))
    assert running.until_ended() is None
    uploaded = [content for content in running.server.named("checkpoints") if content != b"npz 0"]
    assert uploaded == [b"npz 377", b"npz 500", b"npz 611", b"npz 1000"]


def test_a_failed_upload_is_noticed_whatever_else_waits(running: Running) -> None:
    """Whoever waited for the uploads once took the next message for their failure, and dropped it."""
    running.server.faults = {"checkpoints": [AWAY] * 3 + [LeaseLost()]}
    running.say(saved(10))
    running.until_asked("checkpoints")

    running.say(Finished("complete", 10, {}), epoch(2))  # the epoch waits before the failure

    assert running.until_ended() is None
    assert running.server.named("tell") == []


# --- the rule


def test_of_equally_good_checkpoints_the_later_stays() -> None:
    waiting = [saved(1, 0.3), saved(2, 0.3), saved(3, 0.4), saved(4, None)]

    assert thinned(waiting, ThinningRule(best=1, last=1)) == [waiting[1], waiting[3]]


def test_where_more_is_better_the_greatest_value_stays() -> None:
    waiting = [saved(1, 0.3), saved(2, 0.9), saved(3, 0.4), saved(4, 0.1)]

    assert thinned(waiting, ThinningRule(best=1, last=1, direction="maximize")) == [waiting[1], waiting[3]]


@pytest.mark.parametrize(
    ("task", "rule"),
    [
        ({}, ThinningRule(0, 1)),
        ({"checkpoints": None, "direction": "maximize"}, ThinningRule(0, 1, direction="maximize")),
        ({"checkpoints": {"best": 3, "last": 0}, "direction": "minimize"}, ThinningRule(3, 1)),
        ({"checkpoints": {"best": 0, "last": 5}}, ThinningRule(0, 5)),
    ],
)
def test_a_run_can_always_go_on_from_its_newest_checkpoint(task: dict[str, Any], rule: ThinningRule) -> None:
    assert rule_of(task) == rule


# --- the mailbox


def drained(box: Mailbox) -> list[Any]:
    messages = []
    while (message := box.get(until=0.0)) is not None:
        messages.append(message)
    return messages


def test_checkpoints_that_a_rollback_abandoned_do_not_displace_others() -> None:
    box = Mailbox(ThinningRule(best=1, last=1))
    back, after = Applied(2, 20), [saved(30, 0.4, version=2), saved(40, 0.5, version=2)]

    for message in (saved(20, 0.6), saved(50, 0.1), back, *after):
        box.put(message)

    assert drained(box) == [back, *after]


def test_findings_of_a_kind_replace_older_ones_that_wait() -> None:
    box = Mailbox(ThinningRule())
    both = FindingsMessage({"diagnosis": {"n": 1}, "errors": {"n": 1}})
    older, newest = (FindingsMessage({"diagnosis": {"n": n}}) for n in (2, 3))

    for message in (both, older, epoch(1), newest):
        box.put(message)

    assert drained(box) == [both, epoch(1), newest]


def test_reports_of_a_long_outage_get_coarser_and_keep_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "MOST_REPORTS", 100)
    box = Mailbox(ThinningRule())
    applied = Applied(1, 5000)

    for number in range(1, 10_001):
        box.put(epoch(number))
        if number == 500:
            box.put(applied)

    messages = drained(box)
    epochs = [message.epoch for message in messages if isinstance(message, Progress)]
    assert 50 <= len(epochs) <= 100
    assert epochs == sorted(epochs)
    assert epochs[-1] == 10_000
    assert applied in messages


def test_an_error_comes_before_what_waits_and_the_first_error_counts() -> None:
    box = Mailbox(ThinningRule())
    box.put(epoch(1))
    box.fail(ValueError("first"))
    box.fail(ValueError("second"))

    for look in (box.get, box.check):
        with pytest.raises(ValueError, match="first"):
            look()
