"""Programs of users that are steered: changed, stopped, paused, sent back and resumed, each in its own way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.worker.own_programs import OwnProgram, going_on
from tests.worker.scripted import Running
from worker.child.protocol import Applied, ChildMessage, DesiredRun, Finished, Paused, Progress, SavedCheckpoint

FOLLOWS = """
    import json, sys, time
    from sturgeon.trial_process import trial

    trial = trial()
    state = trial.checkpoint / "state.json"
    step, total = json.loads(state.read_text()) if state.exists() else (0, 0.0)
    print("begins at", step)
    while step < LAST:
        step, total = step + 1, total + trial.params["lr"]
        trial.report(step, loss=total)
        if step % 2 == 0:
            new = state.with_suffix(".new")
            new.write_text(json.dumps([step, total]))
            new.replace(state)
            trial.saved(step)
        if trial.should_pause or trial.should_stop:
            sys.exit(0)
        time.sleep(0.02)
"""
"""Its loss tells with which learning rates it came to its step. It replaces its file whole: it may be ended at any
time."""

KNOWS_NOTHING = """
    import json, os, signal, sys, time

    state = os.path.join(os.environ["STURGEON_CHECKPOINT"], "state.json")
    step, total = 0, 0.0
    if os.path.exists(state):
        with open(state) as file:
            step, total = json.load(file)
    print("begins at", step)
    while step < LAST:
        step, total = step + 1, total + float(sys.argv[1])
        with open(state + ".new", "w") as file:
            json.dump([step, total], file)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        os.replace(state + ".new", state)
        print('STURGEON {"step": %d, "loss": %r}' % (step, total))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        time.sleep(0.02)
"""
"""It prints a step when its folder has it: a signal may come as soon as the line is read, and ends it after a whole
step. Else its folder might be a step ahead of what it has said, which nobody can know."""

ENDLESS = 100_000
CHECKPOINTS = {"best": 1, "last": 1, "every_s": 1}


@pytest.fixture
def program(tmp_path: Path) -> OwnProgram:
    return OwnProgram(tmp_path)


def follows(program: OwnProgram, last: int = ENDLESS, **task: Any) -> Iterator[ChildMessage]:
    given = {"checkpoints": CHECKPOINTS, "params": {"lr": 1.0}} | task
    return program.messages(FOLLOWS.replace("LAST", str(last)), **given)


def knows_nothing(program: OwnProgram, last: int = ENDLESS, **task: Any) -> Iterator[ChildMessage]:
    given = {"checkpoints": CHECKPOINTS, "params": {"lr": 1.0}, "limits": {"grace_s": 5}} | task
    return program.messages(KNOWS_NOTHING.replace("LAST", str(last)), "{lr}", **given)


def saved(program: OwnProgram) -> list[SavedCheckpoint]:
    return [one for one in program.said if isinstance(one, SavedCheckpoint)]


def ask(program: OwnProgram, **desired: Any) -> None:
    program.desired = DesiredRun(**desired)


def test_a_program_that_reads_its_parameters_acknowledges_a_change_by_that(program: OwnProgram) -> None:
    messages = follows(program)
    for message in messages:
        if isinstance(message, Progress) and message.step == 3:
            ask(program, version=1, params={"lr": 0.25})
        elif isinstance(message, Applied):
            ask(program, version=2, params={"lr": 0.25}, stop=True)
            break
    *_, last = messages

    changed, stopped = [one for one in program.said if isinstance(one, Applied)]
    assert (changed.version, stopped.version) == (1, 2)
    totals = {step: metrics["loss"] for step, metrics in program.curve}
    for step in range(changed.step + 2, max(totals) + 1):
        assert totals[step] - totals[step - 1] == 0.25
    assert totals[changed.step] == changed.step
    assert program.log.count("begins at") == 1
    assert isinstance(last, Finished)
    assert (last.state, last.step) == ("complete", max(totals))


def test_a_program_that_never_reads_goes_on_from_its_folder_with_the_change(program: OwnProgram) -> None:
    messages = knows_nothing(program)
    for message in messages:
        if isinstance(message, Progress) and message.step == 3:
            ask(program, version=1, params={"lr": 0.25})
        elif isinstance(message, Applied) and message.version == 1:
            break
    for message in messages:
        if isinstance(message, Progress) and message.metrics["loss"] % 1:
            ask(program, version=2, params={"lr": 0.25}, stop=True, pruned=True)
    last = program.said[-1]

    applied = next(one for one in program.said if isinstance(one, Applied))
    totals = {step: metrics["loss"] for step, metrics in program.curve}
    assert totals[applied.step] == applied.step
    assert totals[max(totals)] == applied.step + 0.25 * (max(totals) - applied.step)
    assert f"begins at {applied.step}" in program.log
    assert isinstance(last, Finished)
    assert last.state == "pruned"


def test_a_program_that_read_its_parameters_once_is_started_again_for_a_change(program: OwnProgram) -> None:
    script = FOLLOWS.replace('total + trial.params["lr"]', "total + lr").replace(
        "    while", '    lr = trial.params["lr"]\n    while'
    )
    messages = program.messages(script.replace("LAST", "30"), checkpoints=CHECKPOINTS, params={"lr": 1.0})

    last = program.after(Progress, lambda: ask(program, version=1, params={"lr": 0.25}), messages)

    [applied] = [one for one in program.said if isinstance(one, Applied)]
    assert program.log.count("begins at") == 2
    assert f"begins at {applied.step}" in program.log
    assert last.metrics["loss"] == applied.step + 0.25 * (30 - applied.step)


def test_without_a_checkpoint_folder_a_program_that_reads_nothing_keeps_its_params(program: OwnProgram) -> None:
    script = """
        import time
        for step in range(40):
            print('STURGEON {"loss": 1}')
            time.sleep(0.02)
    """

    last = program.after(Progress, lambda: ask(program, version=1, params={"lr": 0.25}), program.messages(script))

    assert last.state == "complete"
    assert not [one for one in program.said if isinstance(one, Applied)]
    assert program.log.count("they stay as they are") == 1


def test_a_pause_is_taken_where_the_program_leaves_its_checkpoint_and_resumed(program: OwnProgram) -> None:
    last = program.after(SavedCheckpoint, lambda: ask(program, version=1, pause=True), follows(program))

    assert isinstance(last, Paused)
    newest = saved(program)[-1]
    assert newest.step == last.step > 0
    assert newest.value in (None, newest.step)
    assert [one.version for one in program.said if isinstance(one, Applied)] == [1]

    other = OwnProgram(program.folder)
    resumed = follows(other, last.step + 3, start=newest.content, resume=going_on(3, newest.step, version=1))
    *_, end = resumed
    assert isinstance(end, Finished)
    assert (end.state, end.step, end.metrics["loss"]) == ("complete", last.step + 3, last.step + 3.0)
    assert other.curve[0][0] == last.step + 1


def test_a_program_that_knows_nothing_is_paused_by_a_signal_and_resumed(program: OwnProgram) -> None:
    last = program.after(Progress, lambda: ask(program, version=1, pause=True), knows_nothing(program))

    assert isinstance(last, Paused)
    assert last.step == saved(program)[-1].step > 0

    other = OwnProgram(program.folder)
    resumed = knows_nothing(
        other, last.step + 2, start=saved(program)[-1].content, resume=going_on(3, last.step, version=1)
    )
    *_, end = resumed
    assert isinstance(end, Finished)
    assert (end.step, end.metrics["loss"]) == (last.step + 2, last.step + 2.0)


def test_a_folder_is_not_taken_from_a_program_that_was_killed_while_it_wrote(program: OwnProgram) -> None:
    script = KNOWS_NOTHING.replace(
        "    while", "    import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    while"
    )
    given = {"checkpoints": CHECKPOINTS, "params": {"lr": 1.0}, "limits": {"grace_s": 0.3}}
    messages = program.messages(script.replace("LAST", str(ENDLESS)), "{lr}", **given)

    last = program.after(Progress, lambda: ask(program, version=1, pause=True), messages)

    assert last == Paused(0)
    assert saved(program) == []


def test_a_program_that_writes_its_folder_at_a_signal_is_paused_there(program: OwnProgram) -> None:
    script = KNOWS_NOTHING.replace(
        "    while",
        """
    import signal
    def leave(number, frame):
        with open(state, "w") as file:
            json.dump([step, total], file)
        sys.exit(1)
    signal.signal(signal.SIGTERM, leave)
    while""",
    ).replace('os.replace(state + ".new", state)', "pass")
    messages = program.messages(
        script.replace("LAST", str(ENDLESS)), "{lr}", checkpoints=CHECKPOINTS, params={"lr": 1.0}
    )

    last = program.after(Progress, lambda: ask(program, version=1, pause=True), messages)

    assert isinstance(last, Paused)
    assert last.step == saved(program)[-1].step > 0


def test_a_program_that_ends_with_no_more_reports_tells_what_it_had_come_to(program: OwnProgram) -> None:
    *_, last = follows(program, 4)
    newest = saved(program)[-1]

    other = OwnProgram(program.folder)
    *_, again = follows(other, 4, start=newest.content, resume=going_on(3, 4))

    assert isinstance(again, Finished)
    assert again == replace(last, checkpoints=again.checkpoints)
    assert other.curve == []


def test_a_rollback_brings_the_folder_back_as_its_checkpoint_has_it(program: OwnProgram) -> None:
    messages = follows(program)
    first: SavedCheckpoint | None = None
    for message in messages:
        if isinstance(message, SavedCheckpoint) and first is None:
            first = message
        elif isinstance(message, Progress) and first is not None and program.desired.version == 0:
            if message.step > first.step:
                going = {"rollback_generation": 1, "restore": first.step, "content": first.content}
                ask(program, version=1, params={"lr": 10.0}, **going)
        elif isinstance(message, Progress) and message.version == 1:
            ask(program, version=2, params={"lr": 10.0}, rollback_generation=1, stop=True)
    last = program.said[-1]

    assert first is not None
    assert next(one.step for one in program.said if isinstance(one, Applied)) == first.step
    assert isinstance(last, Finished)
    assert last.step is not None
    assert last.metrics["loss"] == first.step + 10.0 * (last.step - first.step)
    assert f"begins at {first.step}" in program.log
    back = next(place for place, one in enumerate(program.said) if isinstance(one, Applied))
    after = next(one for one in program.said[back:] if isinstance(one, Progress))
    assert (after.step, after.version, after.since_step) == (first.step + 1, 1, first.step)


def test_a_rollback_to_the_start_begins_with_an_empty_folder(program: OwnProgram) -> None:
    messages = follows(program, 6)
    for message in messages:
        if isinstance(message, Progress) and message.step == 5 and not program.desired.version:
            ask(program, version=1, params={"lr": 10.0}, rollback_generation=1, restore=0)

    assert program.said[-1].metrics["loss"] == 60.0  # type: ignore[union-attr]
    assert program.log.count("begins at 0") == 2


def test_a_checkpoint_that_is_asked_for_is_that_of_the_next_whole_folder(program: OwnProgram) -> None:
    messages = follows(program, checkpoints={"best": 0, "last": 1, "every_s": 600})
    for message in messages:
        if isinstance(message, Progress) and message.step == 3:
            ask(program, version=1, keep=1)
        elif isinstance(message, Applied):
            ask(program, version=2, keep=1, stop=True)

    wanted = [one for one in saved(program) if one.wanted]
    assert [(one.wanted, one.version) for one in wanted] == [(1, 0)]
    assert wanted[0].step >= 3
    applied = next(one for one in program.said if isinstance(one, Applied))
    assert program.said.index(wanted[0]) < program.said.index(applied)


def test_a_stop_that_is_taken_back_in_time_is_none(program: OwnProgram) -> None:
    script = FOLLOWS.replace("if trial.should_pause or trial.should_stop:", "if trial.should_stop and step == 20:")
    messages = program.messages(script.replace("LAST", "30"), checkpoints=CHECKPOINTS, params={"lr": 1.0})
    for message in messages:
        if isinstance(message, Progress) and message.step == 2:
            ask(program, version=1, stop=True)
        elif isinstance(message, Applied) and message.version == 1:
            ask(program, version=2)

    assert program.said[-1].step == 30  # type: ignore[union-attr]


def test_a_run_that_nobody_waits_for_ends_at_once(program: OwnProgram) -> None:
    last = program.after(Progress, lambda: ask(program, stop=True, leave=True), follows(program))

    assert isinstance(last, Finished)
    assert last.state == "failed"


def test_a_program_leaves_its_checkpoint_when_the_worker_ends(program: OwnProgram) -> None:
    last = program.after(Progress, lambda: ask(program, drain=True), follows(program))

    assert isinstance(last, Paused)
    assert last.step == saved(program)[-1].step > 0
    assert not [one for one in program.said if isinstance(one, Applied)]


def test_the_reports_of_a_worker_that_ends_go_on_until_the_program_has_saved() -> None:
    with Running({"kind": "command", "argv": ["x"], "checkpoints": {}}) as running:
        running.trial.start()
        running.say(Progress(1, None, {"loss": 1.0}))
        running.until_asked("report")

        running.trial.release(gently=True)

        assert running.child.heard_something.wait(60)
        assert running.child.heard[-1].drain
        running.say(SavedCheckpoint(1, None, 1.0, b"tar"), Paused(1))
        assert running.until_ended() is None
        named = [name for name, _ in running.server.calls]
        assert named.index("checkpoints") < named.index("release")


def test_a_worker_that_is_told_twice_to_end_waits_for_no_program() -> None:
    with Running({"kind": "command", "argv": ["x"], "checkpoints": {}}) as running:
        running.trial.start()
        running.trial.release(gently=True)

        running.trial.release()

        assert running.until_ended() is None
        assert [name for name, _ in running.server.calls] == ["release"]
