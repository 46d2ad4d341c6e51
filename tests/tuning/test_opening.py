"""`sturgeon.study` makes a study or loads it, and never changes one silently."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import sturgeon
from sturgeon import errors
from sturgeon.space import Space
from tests.running import RunningServer

OpenStudy = Callable[..., sturgeon.Study]
X = sturgeon.linear(-1, 1)


def test_a_study_that_exists_with_the_same_space_is_loaded(open_study: OpenStudy) -> None:
    both = {"x": sturgeon.linear(-1.0, 1), "n": sturgeon.integer(1, 4)}
    open_study(space=both).enqueue(x=0.5, n=2)

    again = open_study(space={"n": both["n"], "x": both["x"]})

    assert [trial.params for trial in again.trials] == [{"x": 0.5, "n": 2}]
    assert list(again.info.space) == ["x", "n"]


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"space": {"x": sturgeon.linear(-1, 2)}}, "its x is float -1.0..1.0, not float -1.0..2.0"),
        ({"space": {"x": sturgeon.integer(-1, 1)}}, "its x is float -1.0..1.0, not int -1..1"),
        ({"space": {"x": X, "y": sturgeon.choice(1, 2)}}, "it has no parameter y"),
        ({"space": {"y": X}}, "it has a parameter x"),
        ({"minimize": None, "maximize": "loss"}, "its direction is minimize, not maximize"),
        ({"minimize": "error"}, "its metric is loss, not error"),
        ({"trials": 3}, "it has 4 trials, not 3"),
        ({"reduce": "best"}, "its reduce is last, not best"),
        ({"constraints": ["x >= 0"]}, 'its constraints is [], not ["x >= 0"]'),
        ({"title": "a bowl"}, "its title is '', not 'a bowl'"),
        ({"pruning": {"rule": "median"}}, "its pruning has rule none, not median"),
        ({"task": {"kind": "train", "dataset": "digits"}}, "its task has kind None, not train"),
    ],
)
def test_another_study_of_the_name_is_refused_with_the_difference(
    open_study: OpenStudy, bowl: sturgeon.Study, other: dict[str, Any], difference: str
) -> None:
    before = bowl.info

    with pytest.raises(errors.Conflict) as refused:
        open_study(**other)

    assert f"another one: {difference}" in refused.value.message or f"; {difference}" in refused.value.message
    assert bowl.info == before


def test_a_larger_number_of_trials_adds_some(open_study: OpenStudy) -> None:
    open_study(trials=1).optimize(lambda x: x)

    more = open_study(trials=3).optimize(lambda x: x)

    assert [trial.state for trial in more.trials] == ["complete"] * 3


def test_a_name_alone_loads_and_makes_nothing(server: RunningServer, bowl: sturgeon.Study) -> None:
    with sturgeon.study("bowl", server=server.url) as loaded:
        assert (loaded.metric, loaded.direction) == ("loss", "minimize")
    with pytest.raises(errors.NotFound, match="There is no study named cup; give its space, metric and trials"):
        sturgeon.study("cup", server=server.url)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"trials": None}, "needs the number of its trials"),
        ({"minimize": None}, "needs a metric"),
        ({"maximize": "loss"}, "minimize or maximize, not both"),
        ({"space": {"x": sturgeon.log(0, 1)}}, "x: a log scale starts above 0"),
    ],
)
def test_what_is_missing_or_wrong_is_said_in_a_sentence(
    open_study: OpenStudy, given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(errors.SturgeonError, match=sentence):
        open_study(**given)


def test_two_processes_that_make_a_study_at_once_share_it(
    open_study: OpenStudy, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one makes it after this one has looked for it."""
    from sturgeon.client import Client

    looked = Client.study

    def look_too_early(client: Client, name: str) -> Any:
        monkeypatch.setattr(Client, "study", looked)
        try:
            return looked(client, name)
        finally:
            open_study()

    monkeypatch.setattr(Client, "study", look_too_early)

    assert open_study().info.counts == server.client.study("bowl").counts


@pytest.mark.parametrize(
    ("parameter", "stored"),
    [
        (sturgeon.linear(0, 1), {"type": "float", "low": 0.0, "high": 1.0}),
        (sturgeon.log(1e-5, 0.1), {"type": "float", "low": 1e-5, "high": 0.1, "scale": "log"}),
        (sturgeon.one_minus_log(0.9, 0.999), {"type": "float", "low": 0.9, "high": 0.999, "scale": "one_minus_log"}),
        (sturgeon.logit(0.01, 0.9), {"type": "float", "low": 0.01, "high": 0.9, "scale": "logit"}),
        (sturgeon.integer(1, 5, step=2), {"type": "int", "low": 1, "high": 5, "step": 2}),
        (sturgeon.integer(1, 512, log=True), {"type": "int", "low": 1, "high": 512, "scale": "log"}),
        (sturgeon.choice("relu", "tanh"), {"type": "choice", "values": ["relu", "tanh"]}),
        (sturgeon.choice([32, 64], ordered=True), {"type": "choice", "values": [32, 64], "ordered": True}),
        (sturgeon.choice([1, 2], [3, 4]), {"type": "choice", "values": [[1, 2], [3, 4]]}),
        (sturgeon.linear(0, 1, step=0.25), {"type": "float", "low": 0.0, "high": 1.0, "step": 0.25}),
        (sturgeon.choice("a", "b", weights=(1, 3)), {"type": "choice", "values": ["a", "b"], "weights": [1.0, 3.0]}),
        (sturgeon.normal(0, 1, high=2), {"type": "normal", "mean": 0.0, "sd": 1.0, "high": 2.0}),
        (sturgeon.lognormal(-3, 1), {"type": "lognormal", "mean": -3.0, "sd": 1.0}),
        (sturgeon.fixed("adam"), {"type": "fixed", "value": "adam"}),
        (sturgeon.linear(0, 1, when={"b": 2}), {"type": "float", "low": 0.0, "high": 1.0, "when": {"b": [2]}}),
    ],
)
def test_each_builder_makes_the_parameter_that_its_name_says(parameter: dict[str, Any], stored: dict[str, Any]) -> None:
    space = Space.model_validate({"a": parameter, "b": sturgeon.choice(1, 2)})

    assert space.problems() == []
    assert space.model_dump(mode="json", exclude_unset=True)["a"] == stored


def test_a_task_that_says_less_than_the_stored_one_is_the_same(open_study: OpenStudy) -> None:
    task = {"kind": "command", "argv": ["fit", "{x}"], "metrics": {"lines": {"loss": "loss=(.*)"}}}
    open_study(task=task)

    assert open_study(task=task).info.budget.max_trials == 4
    with pytest.raises(errors.Conflict, match="its task has argv"):
        open_study(task=task | {"argv": ["fit", "-v", "{x}"]})


def test_a_function_for_workers_is_named_by_its_module(open_study: OpenStudy, server: RunningServer) -> None:
    study = open_study(task="train:run", trials=1)

    assert study.info.task is not None
    assert study.info.task.model_dump(include={"kind", "call"}) == {"kind": "python", "call": "train:run"}
    lease = server.client.lease("ada", offer={"kinds": ["python"]}).leases[0]
    server.client.tell("bowl", lease.number, lease.fence, {"loss": 0.5})
    assert study.wait().state == "completed"


def test_a_server_that_does_not_answer_is_told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sturgeon.tuning.connection.FIRST_PATIENCE_S", 0.0)
    monkeypatch.setattr("sturgeon.tuning.connection.PATIENCE_S", 3.0)

    with pytest.raises(errors.ServerUnreachable, match=r"did not answer \([^,]*\): is it running"):
        sturgeon.study("any", server="http://127.0.0.1:1")
