"""Studies whose trials run the user's own code: what is refused, and what a run goes on from."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from sturgeon.errors import Invalid, WrongState
from sturgeon.messages import Lease, PythonTask
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer

COMMAND: dict[str, Any] = {"kind": "command", "argv": ["python", "train.py", "--x", "{x}"]}
OFFER = {"kinds": ["command", "python"]}


def create(server: RunningServer, task: dict[str, Any] | None = None, **fields: Any) -> None:
    server.client.create_study(BOWL | {"name": "own", "task": COMMAND | (task or {})} | fields)


def lease(server: RunningServer, worker: str = "ada") -> Lease:
    [one] = server.client.lease(worker, offer=OFFER).leases
    return one


def report(server: RunningServer, lease: Lease, **losses: float) -> None:
    reports = [{"step": int(step[1:]), "metrics": {"loss": loss}} for step, loss in losses.items()]
    server.client.report("own", lease.number, lease.fence, reports)


def steps(server: RunningServer) -> list[int]:
    return [row.step for row in server.client.trial_metrics("own", 0).items]


def save(server: RunningServer, lease: Lease, step: int) -> str:
    content = f"a packed folder at {step}".encode()
    server.client.put_checkpoint("own", lease.number, step, content, lease.fence)
    return hashlib.sha256(content).hexdigest()


def test_a_worker_is_told_the_whole_task_of_own_code(server: RunningServer) -> None:
    server.client.create_study(
        BOWL | {"name": "own", "needs": {"gpus": 1}, "task": {"kind": "python", "call": "train:run", "env": {"A": "1"}}}
    )
    [one] = server.client.lease("ada", offer=OFFER | {"gpus": 1}).leases

    assert one.needs.gpus == 1
    assert one.task == {
        "kind": "python",
        "call": "train:run",
        "cwd": None,
        "env": {"A": "1"},
        "data": [],
        "metrics": {"lines": {}, "file": None},
        "limits": {"seconds": None, "memory_gb": None, "grace_s": 10.0, "nice": 0, "log_mb": 1.0},
        "checkpoints": None,
        "epochs": None,
        "metric": "loss",
        "direction": "minimize",
        "reduce": "last",
    }
    assert server.client.study("own").task is not None


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"argv": []}, "/task/argv", "write 1 to 1000 entries"),
    ({"argv": [""]}, "/task/argv", "its first entry is the program"),
    ({"argv": ["{x}"]}, "/task/argv", "its first entry is the program"),
    ({"argv": ["a", "b\0"]}, "/task/argv/1", "without NUL"),
    ({"argv": ["a", "{x"]}, "/task/argv/1", "write {{ for a brace"),
    ({"argv": ["a", "--lr", "{lr}"]}, "/task/argv/2", "{lr}: unknown parameter"),
    ({"argv": ["a", "{checkpoint}"]}, "/task/argv/1", 'write "checkpoints"'),
    (
        {"argv": ["a"], "metrics": {"lines": {"loss": "loss=("}}},
        "/task/metrics/lines/loss",
        "no regular expression",
    ),
    ({"argv": ["a"], "metrics": {"lines": {"loss": "loss"}}}, "/task/metrics/lines/loss", "this one has 0"),
    ({"argv": ["a"], "metrics": {"lines": {"loss": "(a)(b)"}}}, "/task/metrics/lines/loss", "this one has 2"),
    ({"argv": ["a"], "metrics": {"file": "/etc/passwd"}}, "/task/metrics/file", "below the folder"),
    ({"argv": ["a"], "metrics": {"file": "a/../../b"}}, "/task/metrics/file", "below the folder"),
    ({"argv": ["a"], "metrics": {"file": "a/{x"}}, "/task/metrics/file", "write {{ for a brace"),
    ({"argv": ["a"], "metrics": {"file": "{lr}.jsonl"}}, "/task/metrics/file", "{lr}: unknown parameter"),
    ({"argv": ["a"], "env": {"A=B": "1"}}, "/task/env/A=B", "the first one no digit"),
    ({"argv": ["a"], "env": {"A": "1\0"}}, "/task/env/A", "without NUL"),
    ({"argv": ["a"], "limits": {"log_mb": 17}}, "/task/limits/log_mb", "16"),
    ({"argv": ["a"], "limits": {"seconds": 0}}, "/task/limits/seconds", "greater than 0"),
    ({"argv": ["a"], "kind": "shell"}, "/task/kind", "'train', 'command', 'python'"),
    ({"argv": ["a"], "call": "m:f"}, "/task/call", "unknown field"),
    ({"argv": ["a"], "epochs": 0}, "/task/epochs", "greater than or equal to 1"),
]
"""A task, where it is wrong, and a part of the sentence that says so."""


def test_a_task_that_cannot_run_is_refused_where_it_is_wrong(server: RunningServer) -> None:
    for task, pointer, sentence in REFUSED:
        with pytest.raises(Invalid) as refused:
            create(server, task)
        told = [(one.pointer, sentence in one.detail) for one in refused.value.errors]
        assert told == [(pointer, True)], refused.value.errors


def test_what_names_no_python_function_is_refused(server: RunningServer) -> None:
    for call in ("run", "train:", ":run", "a b:run", "train:run()", "../train:run", "a:b:c"):
        with pytest.raises(Invalid) as refused:
            server.client.create_study(BOWL | {"task": {"kind": "python", "call": call}})
        assert [one.pointer for one in refused.value.errors] == ["/task/call"], call


def test_braces_and_the_names_of_a_run_are_no_parameters(server: RunningServer) -> None:
    argv = ["a", "{{x}}", "{trial.number}", "{trial.seed}", "{params_file}", "--c={checkpoint}"]
    create(server, {"argv": argv, "checkpoints": {}})

    assert server.client.study("own").task.argv == argv  # type: ignore[union-attr]


def test_a_parameter_that_an_argument_names_stays_in_the_space(server: RunningServer) -> None:
    create(server)

    with pytest.raises(Invalid, match=r"\{x\}: unknown parameter"):
        server.client.patch_study("own", {"space": {"n": BOWL["space"]["n"]}})


@pytest.mark.parametrize("where", ["task", "pruning"])
def test_own_code_that_says_how_long_it_is_is_pruned_by_its_curve(server: RunningServer, where: str) -> None:
    length = {"epochs": 9}
    create(server, length if where == "task" else {}, pruning=length if where == "pruning" else {})

    assert server.client.study("own").pruning.rule == "curve"


def test_the_length_of_own_code_is_written_once(server: RunningServer) -> None:
    with pytest.raises(Invalid, match="epochs: the task says how many"):
        create(server, {"epochs": 9}, pruning={"epochs": 9})
    with pytest.raises(Invalid, match="epochs: curve needs to know"):
        create(server, pruning={"rule": "curve"})


def test_own_code_with_checkpoints_goes_on_and_all_its_reports_count(server: RunningServer) -> None:
    create(server, {"checkpoints": {}})
    first = lease(server)
    report(server, first, s1=5, s2=4)
    sha256 = save(server, first, 2)
    report(server, first, s3=3)
    server.client.release("own", 0, first.fence)

    second = lease(server, "bob")
    assert second.resume is not None
    assert (second.resume.step, second.resume.sha256) == (2, sha256)
    report(server, second, s3=3.5, s4=2)
    assert steps(server) == [1, 2, 3, 4]
    assert server.client.trial_metrics("own", 0).items[2].metrics == {"loss": 3.5}


def test_own_code_without_a_checkpoint_yet_starts_over_and_counts_anew(server: RunningServer) -> None:
    create(server, {"checkpoints": {}}, reduce="best")
    first = lease(server)
    report(server, first, s1=0.1, s5=0.2)
    server.client.release("own", 0, first.fence)

    second = lease(server, "bob")
    assert second.resume is None
    assert steps(server) == []
    report(server, second, s3=5)
    assert steps(server) == [3]
    save(server, second, 3)
    server.client.release("own", 0, second.fence)

    third = lease(server)
    report(server, third, s4=4)
    assert steps(server) == [3, 4]
    assert server.client.tell("own", 0, third.fence, {"loss": 6}).value == 4


def test_own_code_without_checkpoints_starts_over(server: RunningServer) -> None:
    create(server, reduce="best")
    first = lease(server)
    report(server, first, s1=0.1)
    server.client.release("own", 0, first.fence)

    second = lease(server, "bob")
    report(server, second, s1=3)

    assert second.resume is None
    assert server.client.tell("own", 0, second.fence, {"loss": 4}).value == 3


def test_epochs_that_own_code_repeats_after_its_checkpoint_are_spent_once(server: RunningServer) -> None:
    create(server, {"checkpoints": {}})
    first = lease(server)
    server.client.report("own", 0, first.fence, [{"step": 1, "epoch": 1, "metrics": {}}])
    server.client.put_checkpoint("own", 0, 1, b"x", first.fence, epoch=1)
    server.client.report("own", 0, first.fence, [{"step": 2, "epoch": 2, "metrics": {}}])
    server.client.release("own", 0, first.fence)

    second = lease(server)
    server.client.report("own", 0, second.fence, [{"step": 2, "epoch": 2, "metrics": {}}])

    assert server.client.study("own").spent.epochs == 2


def test_any_parameter_of_own_code_may_be_steered_and_forked(server: RunningServer) -> None:
    create(server, {"checkpoints": {}})
    first = lease(server)
    report(server, first, s1=1)
    save(server, first, 1)

    assert server.client.set_params("own", 0, {"n": 3}).desired.params == {"n": 3}
    [branch] = server.client.fork("own", 0, [{"x": 0.5}], control=False, raise_budget=True)

    assert branch.params["x"] == 0.5
    with pytest.raises(Invalid, match="no such parameter"):
        server.client.set_params("own", 0, {"learning_rate": 3})


@pytest.mark.parametrize(
    "task", [{"argv": ["a", *["b" * 9999] * 11]}, {"env": {f"A{n}": "b" * 9999 for n in range(11)}}]
)
def test_a_task_that_is_too_long_for_a_command_line_is_refused(server: RunningServer, task: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="write at most 100000 characters in all"):
        create(server, task)


def test_a_study_without_a_task_is_given_own_code_once(server: RunningServer) -> None:
    client, task = server.client, {"kind": "python", "call": "train:run"}
    client.create_study(BOWL)
    client.enqueue("bowl", {"x": 0.5, "n": 2})
    assert client.lease("ada", offer={"kinds": ["python"]}).leases == []

    for _ in range(2):  # the same once more is no other task
        assert client.patch_study("bowl", {"task": task}).task == PythonTask.model_validate(task)

    [lease] = client.lease("ada", offer={"kinds": ["python"]}).leases
    assert (lease.number, lease.params, lease.task and lease.task["call"]) == (0, {"x": 0.5, "n": 2}, "train:run")
    with pytest.raises(WrongState, match="bowl has a task, which its trials were made for"):
        client.patch_study("bowl", {"task": task | {"call": "train:other"}})
    assert [event.kind for event in client.events("bowl").items].count("task") == 1
