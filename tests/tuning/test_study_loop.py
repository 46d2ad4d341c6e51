"""`for trial in study`: how each way out of the loop's body is told."""

from __future__ import annotations

import ctypes
import gc
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sturgeon
from sturgeon import errors
from sturgeon.messages import Desired
from tests.running import RunningServer

Body = Callable[[Any], None]


@pytest.fixture(scope="module", autouse=True)
def _garbage_is_collected() -> Iterator[None]:
    """What was there before the tests too, as in a user's program: some of the exceptions are. Once at the beginning: a
    collection of so much takes longer than an exception that travels is waited for, and hides one that is amid it."""
    gc.unfreeze()
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.freeze()


def states(study: sturgeon.Study) -> list[tuple[str, float | None]]:
    return [(trial.state, trial.value) for trial in study.trials]


def test_the_loop_runs_every_trial_and_ends_with_the_study(bowl: sturgeon.Study) -> None:
    for trial in bowl:
        for epoch in range(3):
            trial.report(epoch, loss=trial.params.x + epoch)

    assert states(bowl) == [("complete", trial.params["x"] + 2) for trial in bowl.trials]
    assert (bowl.info.state, len(bowl.trials)) == ("completed", 4)
    assert bowl.best is not None
    assert bowl.recommended is not None
    assert bowl.best.value == min(trial.value or 0 for trial in bowl.trials)


def test_parameters_keep_their_types_and_are_attributes_and_items(open_study: Callable[..., sturgeon.Study]) -> None:
    space = {
        "n": sturgeon.integer(1, 4),
        "x": sturgeon.linear(0, 1),
        "kind": sturgeon.choice("a", "b"),
        "lr": sturgeon.fixed(0.5),
    }
    with open_study("typed", space=space).trial() as trial:
        assert [type(trial.params[name]) for name in space] == [int, float, str, float]
        assert trial.params.lr == trial.params["lr"] == 0.5
        with pytest.raises(AttributeError, match="no parameter lx; it has n, x, kind, lr"):
            _ = trial.params.lx
        trial.report(loss=1)


def raising(error: BaseException | type[BaseException]) -> Body:
    def body(_trial: Any) -> None:
        raise error

    return body


def deep(trial: Any, depth: int = 3) -> None:
    if depth:
        deep(trial, depth - 1)
    raise OSError("no disk")


def through_finally(_trial: Any) -> None:
    try:
        int("x")
    finally:
        ""


def leave_by(study: sturgeon.Study, body: Body) -> None:
    for trial in study:
        trial.report(loss=1)
        body(trial)


def leave_through_a_generator(study: sturgeon.Study, body: Body) -> None:
    def wrapped() -> Iterator[Any]:
        yield from study

    for _, trial in enumerate(wrapped()):
        body(trial)


def break_in_a_handler(study: sturgeon.Study, _body: Body) -> None:
    kept = []
    for _ in study:
        try:
            int("x")
        except ValueError as error:
            kept.append(error)
            break


def return_from(study: sturgeon.Study, _body: Body) -> None:
    for _ in study:
        return


def forget(study: sturgeon.Study, _body: Body) -> None:
    trials = iter(study)
    next(trials)
    del trials


@pytest.mark.parametrize("leave", [leave_by, leave_through_a_generator])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (raising(ValueError("bad batch")), "ValueError: bad batch (test_study_loop.py, line "),
        (deep, "OSError: no disk (test_study_loop.py, line "),
        (through_finally, "ValueError: invalid literal for int() with base 10: 'x' (test_study_loop.py, line "),
        (raising(StopIteration()), "StopIteration (test_study_loop.py, line "),
    ],
)
def test_an_exception_is_told_as_failed_with_its_last_line_and_goes_on(
    bowl: sturgeon.Study, leave: Callable[[sturgeon.Study, Body], None], body: Body, said: str
) -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011 - which one is compared below
        leave(bowl, body)

    [trial] = bowl.trials
    assert trial.state == "failed"
    assert trial.error is not None
    assert trial.error.startswith(said)
    assert type(raised.value).__name__ == said.partition(":")[0].partition(" ")[0]


def test_an_exception_that_was_caught_and_forgotten_is_told_as_failed(bowl: sturgeon.Study) -> None:
    """Python 3.11 has made no exception object yet when the loop is left, and none is left here."""
    try:
        for _ in bowl:
            {}["a"]
    except KeyError:
        pass

    [trial] = bowl.trials
    assert trial.state == "failed"
    assert "test_study_loop.py, line " in (trial.error or "")


KEPT = ValueError("kept")


def raise_a_kept_one_after_another_was_made(_trial: Any) -> None:
    _unused = OSError("never raised")
    raise KEPT


@pytest.mark.parametrize("body", [through_finally, raising(KEPT), raise_a_kept_one_after_another_was_made])
def test_another_exception_that_is_alive_is_not_taken_for_what_was_raised(bowl: sturgeon.Study, body: Body) -> None:
    """Nothing that Python shows refers to an exception that C code keeps, as to one that is on its way."""
    old = OSError("kept by C code")
    address = id(old)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(old))
    del old
    try:
        with pytest.raises(ValueError, match=r"kept|invalid literal") as raised:
            leave_by(bowl, body)
        [trial] = bowl.trials
    finally:
        ctypes.pythonapi.Py_DecRef(ctypes.cast(address, ctypes.py_object))

    assert (trial.error or "").startswith(f"ValueError: {raised.value} (test_study_loop.py, line ")


@pytest.mark.parametrize("leave", [leave_by, leave_through_a_generator])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit(3)])
def test_an_interrupt_gives_the_trial_back(
    bowl: sturgeon.Study, leave: Callable[[sturgeon.Study, Body], None], error: Any
) -> None:
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        leave(bowl, raising(error))

    assert states(bowl) == [("queued", None)]


@pytest.mark.parametrize("leave", [break_in_a_handler, return_from, forget])
def test_a_loop_that_is_left_by_itself_gives_the_trial_back(
    bowl: sturgeon.Study, leave: Callable[[sturgeon.Study, Body], None]
) -> None:
    leave(bowl, print)

    assert states(bowl) == [("queued", None)]


def test_the_last_value_counts_and_one_that_is_no_number_has_diverged(bowl: sturgeon.Study) -> None:
    values = iter([[1.0, 2.0], [1.0, float("nan")], [float("nan"), 3.0], [float("inf")]])
    for trial in bowl:
        for value in next(values):
            trial.report(loss=value)

    assert states(bowl) == [("complete", 2.0), ("diverged", None), ("complete", 3.0), ("diverged", None)]


def test_a_trial_that_reports_no_metric_of_the_study_has_failed(
    bowl: sturgeon.Study, caplog: pytest.LogCaptureFixture
) -> None:
    with bowl.trial() as trial:
        trial.report(accuracy=0.5)

    [failed] = bowl.trials
    sentence = "The trial ended without its metric loss (it reported accuracy): report(loss=..) in it."
    assert (failed.state, failed.error) == ("failed", sentence)
    assert caplog.messages == [f"trial 0 of bowl failed: {sentence}"]


def test_metrics_may_be_named_as_python_names_nothing(open_study: Callable[..., sturgeon.Study]) -> None:
    study = open_study("named", minimize="val.loss", trials=1)
    for trial in study:
        trial.report(7, {"val.loss": 0.5}, epoch=1.5)

    [report] = study.client.trial_metrics("named", 0).items
    assert (report.step, report.epoch, report.metrics) == (7, 1.5, {"val.loss": 0.5})


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        (lambda trial: trial.report(3, loss="0.5"), "The metric loss must be a number; it is str."),
        (lambda trial: trial.report(3), "Report at least one metric, like report"),
        (lambda trial: trial.report(0.5, loss=1), "float"),
    ],
)
def test_a_report_that_is_none_is_a_type_error(bowl: sturgeon.Study, report: Body, sentence: str) -> None:
    with pytest.raises(TypeError, match=sentence), bowl.trial() as trial:
        report(trial)


@pytest.mark.parametrize(("why", "state"), [("pruned", "pruned"), ("person", "complete")])
def test_a_trial_that_is_told_to_stop_ends_with_what_it_has(bowl: sturgeon.Study, why: Any, state: str) -> None:
    with bowl.trial() as trial:
        trial.report(loss=1)
        assert not trial.should_stop
        trial.told(Desired(version=1, run="stop", why=why))
        assert trial.should_stop

    assert states(bowl) == [(state, 1.0)]


def test_a_trial_that_ran_to_its_end_before_it_was_pruned_is_complete(bowl: sturgeon.Study) -> None:
    with bowl.trial() as trial:
        trial.report(loss=1)
        trial.told(Desired(version=1, run="stop", why="pruned"))

    assert states(bowl) == [("complete", 1.0)]


def test_a_trial_that_is_paused_waits_for_a_person(server: RunningServer, bowl: sturgeon.Study) -> None:
    with bowl.trial() as trial:
        server.client.pause("bowl", 0)
        trial.report(loss=1)
        assert trial.should_stop
        assert trial.should_pause

    assert [one.state for one in bowl.trials] == ["paused"]


def test_the_heartbeat_keeps_a_trial_and_hears_that_it_is_lost(
    server: RunningServer, bowl: sturgeon.Study, caplog: pytest.LogCaptureFixture
) -> None:
    heartbeat = bowl._connection.heartbeat
    with bowl.trial() as trial:
        for _ in range(3):
            server.advance(seconds=50)
            heartbeat.beat()
            server.expire_leases()
        assert not trial.should_stop
        server.client.cancel("bowl", 0)
        heartbeat.beat()
        assert trial.should_stop
        trial.report(loss=1)

    assert states(bowl) == [("cancelled", None)]
    assert caplog.messages == ["trial 0 of bowl is not held by this process any more: cancelled"]


def test_a_report_after_the_lease_was_lost_does_not_end_the_search(
    server: RunningServer, bowl: sturgeon.Study, caplog: pytest.LogCaptureFixture
) -> None:
    trials = iter(bowl)
    first = next(trials)
    server.client.cancel("bowl", first.number)
    first.report(loss=1)
    second = next(trials)

    assert (first.should_stop, second.number) == (True, 1)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_study_without_more_trials_says_so(bowl: sturgeon.Study) -> None:
    bowl.optimize(lambda x: x)

    assert bowl.ask() is None
    with pytest.raises(errors.BudgetSpent, match="The study bowl has no more trials"):
        bowl.trial()


def test_the_loop_waits_while_others_run_the_last_trials(
    server: RunningServer, bowl: sturgeon.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = server.client.ask("bowl", 4).leases
    waits = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        server.client.release("bowl", held[0].number, held[0].fence)

    monkeypatch.setattr("sturgeon.tuning.study.time.sleep", sleep)

    with bowl.trial() as trial:
        trial.report(loss=1)
    assert (trial.number, waits) == (0, [0.2])
