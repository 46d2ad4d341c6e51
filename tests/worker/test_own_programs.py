"""Programs of users that know nothing of Sturgeon, or little: what they are told, what they report, how they end."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.worker.own_programs import OwnProgram, job, rules
from worker.child.protocol import Finished, Unable
from worker.tasks import command


@pytest.fixture
def program(tmp_path: Path) -> OwnProgram:
    return OwnProgram(tmp_path)


def test_a_program_gets_its_parameters_in_arguments_environment_and_a_file(program: OwnProgram) -> None:
    params = {"lr": 0.1, "deep-net": True, "opt": "adam", "units": [8, 4]}
    script = """
        import json, os, sys
        with open(os.environ["STURGEON_PARAMS_FILE"]) as file:
            assert json.load(file) == json.loads(os.environ["STURGEON_PARAMS"])
        told = {k: v for k, v in os.environ.items() if k.startswith("STURGEON_PARAM_")}
        print(json.dumps([sys.argv[1:], told, json.loads(os.environ["STURGEON_PARAMS"])]))
        print('STURGEON {"loss": 1}')
    """
    arguments = ["--lr={lr}", "-o", "{opt}", "{{x}}", "{trial.number}/{trial.seed}", "{units}"]

    end = program.last(script, *arguments, params=params)

    assert end.state == "complete", end
    argv, told, given = json.loads(program.log.splitlines()[0])
    assert argv == ["--lr=0.1", "-o", "adam", "{x}", "3/7", "[8, 4]"]
    assert told == {
        "STURGEON_PARAM_LR": "0.1",
        "STURGEON_PARAM_DEEP_NET": "true",
        "STURGEON_PARAM_OPT": "adam",
        "STURGEON_PARAM_UNITS": "[8, 4]",
    }
    assert given == params


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        (["--beta", "{beta}", "--lr", "{lr}"], ["--lr", "0.1"]),
        (["--beta={beta}", "{lr}"], ["0.1"]),
        (["run", "{beta}", "{lr}"], ["run", "0.1"]),
        (["--", "{beta}", "{lr}"], ["--", "0.1"]),
        (["--x=1", "{beta}"], ["--x=1"]),
    ],
)
def test_the_place_of_a_parameter_that_a_trial_does_not_have_is_left_out(
    program: OwnProgram, arguments: list[str], given: list[str]
) -> None:
    program.last("import json, sys; print(json.dumps(sys.argv[1:]))", *arguments)

    assert json.loads(program.log.splitlines()[0]) == given


def test_no_secret_of_the_worker_and_nothing_of_ours_reaches_a_program(
    program: OwnProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker.own.environment import passed_on

    worker = {
        "PATH": "/bin",
        "STURGEON_TOKEN": "t",
        "STURGEON_TOKEN_FILE": "f",
        "STURGEON_SERVER": "s",
        "AWS_SECRET_ACCESS_KEY": "k",
        "HF_TOKEN": "h",
        "TF_VAR_db": "d",
        "TORCH_LICENSE_KEY": "l",
        "TF_SMTP_PASSWD": "p",
        "CONDA_TOKEN": "c",
        "PYTHONPATH": "/ours:/theirs",
        "PYTHONSAFEPATH": "1",
        "OMP_NUM_THREADS": "1",
        "LC_ALL": "C",
        "WANDB_MODE": "offline",
    }

    assert passed_on(worker, (), "/ours") == {"PATH": "/bin", "LC_ALL": "C"}
    assert passed_on(worker, ("PYTHONPATH", "WANDB_MODE", "STURGEON_TOKEN"), "/ours") == {
        "PATH": "/bin",
        "LC_ALL": "C",
        "PYTHONPATH": "/theirs",
        "WANDB_MODE": "offline",
    }
    monkeypatch.setenv("STURGEON_TOKEN", "secret")
    program.last("import os; print(sorted(os.environ))")
    assert "TOKEN" not in program.log
    assert "SERVER" not in program.log


def test_files_of_a_user_with_our_names_are_his_and_his_folder_is_where_he_is(program: OwnProgram) -> None:
    for name in ("trainer", "server", "worker", "sturgeon", "objective", "trial_process"):
        program.script(f"MINE = {name!r}", f"{name}.py")

    end = program.last("""
        import os, server, sturgeon, trainer, worker, objective, trial_process
        for module in (server, sturgeon, trainer, worker, objective, trial_process):
            assert module.MINE == module.__name__
        assert os.path.samefile(os.getcwd(), os.path.dirname(os.path.abspath(__file__)))
        print('STURGEON {"loss": 1}')
    """)

    assert end.state == "complete", end.error


def test_lines_patterns_and_a_file_are_read_and_parts_of_a_step_are_one_report(program: OwnProgram) -> None:
    script = r"""
        import sys
        print('STURGEON {"step": 1, "epoch": 0.5, "loss": 3.0, "acc": null}')
        print("epoch 2: step=2 loss: 2,5\r", end="", file=sys.stderr)
        print("epoch 2: accuracy=0.7", file=sys.stderr)
        print('STURGEON no json')
        print('STURGEON {"loss": 1.0}', end="")
        sys.stdout.flush()
    """
    lines = {"step": r"step=(\d+)", "loss": r"loss: ([0-9,.]+)", "acc": r"accuracy=(\S+)", "epoch": r"epoch (\d+)"}

    end = program.last(script, metrics={"lines": lines})

    steps = dict(program.curve)
    assert {"loss": 3.0} in steps.values()
    assert {"loss": 2.5, "acc": 0.7} in steps.values()
    assert (end.state, end.metrics["loss"]) == ("complete", 1.0)
    assert "no json" in program.log


def test_a_file_of_json_lines_is_followed_and_what_it_had_before_is_passed_by(program: OwnProgram) -> None:
    (program.folder / "log.jsonl").write_text('{"step": 1, "loss": 99}\n')
    script = """
        import time
        with open("log.jsonl", "a") as file:
            for step in (2, 3):
                print('{"step": %d, "loss": %f}' % (step, 1 / step), file=file, flush=True)
    """

    end = program.last(script, metrics={"file": "log.jsonl"})

    assert [step for step, _ in program.curve] == [2, 3]
    assert end.step == 3


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_metric_that_is_no_finite_number_ends_the_program_as_diverged(program: OwnProgram, value: str) -> None:
    script = f"""
        import time
        print('STURGEON {{"loss": 1, "other": NaN}}')
        print('STURGEON {{"loss": {value}, "acc": 0.5}}', flush=True)
        time.sleep(600)
    """

    end = program.last(script)

    assert end.state == "diverged"
    assert end.step == 2
    assert program.curve == [(1, {"loss": 1.0}), (2, {"acc": 0.5})]


def test_the_best_is_told_where_the_study_wants_so_and_else_the_last(program: OwnProgram) -> None:
    script = """
        for loss in (3, 1, 2):
            print('STURGEON {"loss": %d, "x": %d}' % (loss, 10 * loss))
        print('STURGEON {"x": 5}')
    """

    last, best = program.last(script), program.last(script, reduce="best")

    assert (last.step, last.metrics) == (3, {"loss": 2.0, "x": 20.0})
    assert (best.step, best.metrics) == (2, {"loss": 1.0, "x": 10.0})


def test_a_program_that_fails_is_told_with_its_exit_code_and_last_lines(program: OwnProgram) -> None:
    script = """
        import sys
        print('STURGEON {"loss": 1}')
        print("before\\n" * 50)
        print("no such file: data.csv", file=sys.stderr)
        sys.exit(3)
    """

    end = program.last(script)

    assert end.state == "failed"
    assert "exit code 3" in end.error
    assert end.error.endswith("no such file: data.csv")
    assert end.error.count("before") < 10


def test_a_program_that_never_reports_fails_with_a_sentence_that_says_how(program: OwnProgram) -> None:
    end = program.last("print('trained well')")

    assert end.state == "failed"
    assert 'STURGEON {"loss": 0.2}' in end.error
    assert "sturgeon report loss=0.2" in end.error


@pytest.mark.parametrize(
    ("task", "why"),
    [
        ({"cwd": "nowhere"}, "There is no folder"),
        ({"argv": ["no-such-program-here"]}, "There is no program no-such-program-here"),
        ({"argv": ["./train.sh"]}, "could not be started on this worker: Exec format error"),
        ({"argv": ["true", "x" * 200_000]}, "could not be started on this worker: Argument list too long"),
    ],
)
def test_what_is_missing_on_this_worker_gives_the_trial_to_another(
    program: OwnProgram, task: dict[str, Any], why: str
) -> None:
    program.script("\0\1\2", "train.sh").chmod(0o755)

    *_, last = program.run(job(program.folder, {"kind": "command", "argv": [sys.executable]} | task))

    assert isinstance(last, Unable)
    assert why in last.reason


@pytest.mark.parametrize(
    ("patterns", "argv", "is_allowed"),
    [
        ((), ["true"], False),
        (("true",), ["true"], True),
        (("tr*",), ["true"], True),
        (("*/bin/true",), ["true"], True),
        (("false",), ["true"], False),
        (("./run.sh",), ["./run.sh"], True),
        (("./run.sh",), ["../run.sh"], False),
        (("{folder}/*.sh",), ["{folder}/run.sh"], True),
        (("{folder}/*.sh",), ["{folder}/../run.sh"], False),
        (("./*.sh",), ["./../run.sh"], False),
        (("*/run.sh",), ["{folder}/../run.sh"], True),
    ],
)
def test_only_what_the_owner_of_the_worker_allows_is_run(
    program: OwnProgram, patterns: tuple[str, ...], argv: list[str], is_allowed: bool
) -> None:
    for path in (program.folder / "run.sh", program.folder.parent / "run.sh"):
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    argv = [part.format(folder=program.folder) for part in argv]
    patterns = tuple(pattern.format(folder=program.folder) for pattern in patterns)
    one = job(program.folder, {"kind": "command", "argv": argv})
    object.__setattr__(one, "own", rules(program.folder, commands=patterns))

    *_, (_, last) = command.run([one], lambda _place: program.desired)

    assert isinstance(last, Finished if is_allowed else Unable), last
    assert is_allowed or f"--allow-command {argv[0]}" in last.reason


def test_a_relative_program_is_not_another_one_in_another_folder(program: OwnProgram) -> None:
    elsewhere = program.folder / "elsewhere"
    elsewhere.mkdir()
    program.script("#!/bin/sh\n", "elsewhere/run.sh").chmod(0o755)
    one = job(program.folder, {"kind": "command", "argv": ["./run.sh"], "cwd": "elsewhere"})
    object.__setattr__(one, "own", rules(program.folder, commands=("./run.sh",)))

    *_, (_, last) = command.run([one], lambda _place: program.desired)

    assert isinstance(last, Unable)


@pytest.mark.parametrize(("gpus", "seen"), [(("2", "5"), "2,5"), ((), ""), (None, "0,1")])
def test_a_program_sees_the_gpus_that_are_its_own(program: OwnProgram, gpus: tuple[str, ...] | None, seen: str) -> None:
    one = job(program.folder, {"kind": "command", "argv": [sys.executable, "train.py"]}, gpus=gpus)
    environment = {**one.own.environment, "CUDA_VISIBLE_DEVICES": "0,1"}
    object.__setattr__(one, "own", rules(program.folder, environment=environment))
    program.script("import os; print(repr(os.environ['CUDA_VISIBLE_DEVICES']))")

    for _ in program.run(one):
        pass

    assert program.log == f"{seen!r}\n"


def test_trials_side_by_side_have_a_metrics_file_each(program: OwnProgram) -> None:
    script = """
        import os, sys
        with open(sys.argv[1], "w") as file:
            file.write('{"loss": 2}')
    """

    end = program.last(script, "m-{trial.number}.jsonl", metrics={"file": "m-{trial.number}.jsonl"})

    assert (program.folder / "m-3.jsonl").exists()
    assert end.metrics == {"loss": 2.0}


def test_a_metrics_file_stays_below_the_folder_whatever_the_parameters_are(program: OwnProgram) -> None:
    end = program.last("", metrics={"file": "{out}.jsonl"}, params={"out": "../../other"})

    assert (end.state, end.retry) == ("failed", False)
    assert "{out}.jsonl is ../../other.jsonl in this trial" in end.error


def test_a_pipe_in_place_of_a_metrics_file_is_not_waited_for(program: OwnProgram) -> None:
    script = """
        import os, time
        os.mkfifo("m.jsonl")
        os.remove(os.environ["STURGEON_REPORTS"])
        os.mkfifo(os.environ["STURGEON_REPORTS"])
        print('STURGEON {"loss": 2}', flush=True)
        time.sleep(60)
    """

    end = program.last(script, metrics={"file": "m.jsonl"}, limits={"seconds": 1, "grace_s": 0})

    assert "took longer than its limit" in end.error


def test_reports_of_what_no_text_can_hold_are_complained_of_and_the_others_count(program: OwnProgram) -> None:
    script = r"""
        for field in (r'"step": "\ud800", "loss": 1', r'"sturgeon": "\ud800"', r'"loss": "\ud800"', '"loss": 3'):
            print("STURGEON {" + field + "}")
    """

    assert program.last(script).metrics == {"loss": 3.0}
    assert program.log.count("cannot be understood") == 3


def test_a_program_without_a_result_is_told_what_was_wrong_with_its_report(program: OwnProgram) -> None:
    end = program.last("""print('STURGEON {"loss": 1, "a=b": 2}')""")

    assert "never reported loss. A report could not be understood: no metric can be called 'a=b'." in end.error


def test_a_worker_without_room_for_files_gives_its_trials_to_others(
    program: OwnProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(program.folder / "nowhere"))

    last = program.last("print()")

    assert isinstance(last, Unable)
    assert last.reason.startswith("The files of a run cannot be written on this worker: ")
