"""Supervised threads."""

from __future__ import annotations

import queue
import threading

from structlog.testing import CapturingLogger

from sturgeon.threads import failures, reason_of, supervised


def test_an_error_is_logged_with_its_traceback_counted_and_handed_on() -> None:
    log, before = CapturingLogger(), failures().get("reader", 0)
    handed: list[Exception] = []
    error = KeyError("trial 7")

    def work() -> None:
        raise error

    supervised("reader", work, handed.append, log).join(timeout=60)

    assert handed == [error]
    assert failures()["reader"] == before + 1
    [call] = log.calls
    assert (call.method_name, call.args) == ("exception", ("thread failed",))
    assert call.kwargs == {"thread": "reader", "reason": "KeyError: 'trial 7'", "failures": before + 1}


def test_work_begins_again_when_on_failure_says_so() -> None:
    results = iter([OSError("full"), OSError("still full"), None])
    handed: list[str] = []

    def work() -> None:
        if (error := next(results)) is not None:
            raise error

    def again(error: Exception) -> bool:
        handed.append(str(error))
        return True

    supervised("writer", work, again, CapturingLogger()).join(timeout=60)

    assert handed == ["full", "still full"]
    assert next(results, "all used") == "all used"


def test_work_that_ends_is_no_failure_and_its_thread_bears_the_name() -> None:
    names: queue.SimpleQueue[tuple[str, bool]] = queue.SimpleQueue()

    def work() -> None:
        thread = threading.current_thread()
        names.put((thread.name, thread.daemon))

    supervised("quiet", work, lambda _: names.put(("failed", False)), CapturingLogger()).join(timeout=60)

    assert names.get(timeout=60) == ("quiet", True)
    assert names.empty()
    assert "quiet" not in failures()


def test_an_error_that_says_nothing_is_named_by_its_type() -> None:
    assert reason_of(ValueError()) == "ValueError"


def test_what_is_no_exception_is_logged_counted_and_handed_on_too() -> None:
    handed: list[str] = []

    def work() -> None:
        raise SystemExit("panic")

    supervised("rusty", work, lambda error: handed.append(reason_of(error)), CapturingLogger()).join(timeout=60)

    assert handed == ["RuntimeError: SystemExit: panic"]
    assert failures()["rusty"] == 1
