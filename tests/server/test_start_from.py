"""The trial that a study's trials start from: it must fit at the door, and another one does not take its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sturgeon.errors import Invalid, NotFound
from tests.server.studies import DIGITS, Json
from worker.child.sources import NoSource, source_of

if TYPE_CHECKING:
    from sturgeon.client import Client
    from tests.running import RunningServer


def study(name: str, fixed: Json, **changes: Any) -> Json:
    return DIGITS | {"name": name, "task": DIGITS["task"] | {"fixed": fixed}} | changes


@pytest.fixture
def source(server: RunningServer) -> Client:
    """The study first, whose trial 0 has a checkpoint of two layers."""
    server.client.create_study(study("first", {"hidden_units": [16, 8], "batch_norm": True}))
    checkpointed(server.client)
    return server.client


def checkpointed(client: Client, content: bytes = b"weights") -> None:
    [lease] = client.ask("first").leases
    client.put_checkpoint("first", 0, 10, content, lease.fence, 1.0, 0.5)


LAYERS: Json = {"hidden_units": [16, 8], "batch_norm": True}
FITTING: Json = LAYERS | {"start_from": "first/0"}
WRONG: dict[str, tuple[Json, Json, str]] = {
    "units": ({"hidden_units": [16, 4]}, {}, "/task/fixed/hidden_units"),
    "one number": ({"hidden_units": 16}, {}, "/task/fixed/hidden_units"),
    "layers": ({"hidden_units": 16, "hidden_layers": 3}, {}, "/task/fixed/hidden_units"),
    "activation": ({"activation": "tanh"}, {}, "/task/fixed/hidden_units"),
    "batch norm": ({"batch_norm": False}, {}, "/task/fixed/hidden_units"),
    "searched": ({}, {"activation": {"type": "choice", "values": ["relu", "tanh"]}}, "/space/activation"),
}


@pytest.mark.fault("L11")
@pytest.mark.usefixtures("source")
@pytest.mark.parametrize(("fixed", "space", "pointer"), WRONG.values(), ids=WRONG)
def test_a_source_of_another_shape_is_refused_when_the_study_is_created(
    server: RunningServer, fixed: Json, space: Json, pointer: str
) -> None:
    wrong = study("second", FITTING | fixed, space=DIGITS["space"] | space)

    with pytest.raises(Invalid, match="first/0 has the hidden layers \\[16, 8\\] with relu and batch_norm") as refused:
        server.client.create_study(wrong)

    assert [problem.pointer for problem in refused.value.errors] == [pointer]
    assert [one.name for one in server.client.studies().items] == ["first"]


@pytest.mark.fault("L11")
@pytest.mark.usefixtures("source")
def test_a_source_of_other_inputs_is_refused(server: RunningServer) -> None:
    other = study("second", FITTING)

    with pytest.raises(Invalid, match="first/0 was trained on digits, whose inputs are others than those of iris"):
        server.client.create_study(other | {"task": other["task"] | {"dataset": "iris"}})


@pytest.mark.fault("L11")
@pytest.mark.parametrize("named", ["first", "first/best", "first/0/1", "/0", "first/-1", "first/0 "])
def test_a_source_that_is_no_trial_is_refused(server: RunningServer, named: str) -> None:
    with pytest.raises(Invalid, match="start_from names a trial as STUDY/NUMBER, for example digits/3"):
        server.client.create_study(study("second", {"start_from": named}))


@pytest.mark.fault("L11")
def test_a_source_that_fits_is_taken(source: Client) -> None:
    source.create_study(study("second", FITTING))
    same = {"hidden_layers": {"type": "choice", "values": [2]}}
    source.create_study(study("third", FITTING, space=DIGITS["space"] | same))
    source.create_study(study("later", {"start_from": "first/7", "hidden_units": 3}))

    space = DIGITS["space"] | {"activation": {"type": "choice", "values": ["tanh", "relu"]}}
    with pytest.raises(Invalid, match="but trials of this study may have the hidden layers"):
        source.patch_study("second", {"space": space, "added": {"activation": "relu"}})


@pytest.mark.fault("W2")
def test_no_trial_starts_from_the_next_study_of_its_sources_name(source: Client, http: httpx.Client) -> None:
    source.create_study(study("second", FITTING))
    [lease] = source.ask("second").leases
    assert lease.task is not None
    task = lease.task
    assert source_of(source, task, lambda _: None) == b"weights"

    source.delete_study("first", force=True)
    source.create_study(study("first", {"hidden_units": 64}))
    checkpointed(source, b"other weights")

    with pytest.raises(NoSource, match="The study first that was meant was deleted, and another one has its name"):
        source_of(source, task, lambda _: None)
    with pytest.raises(NotFound):
        source.checkpoint("first", 0, "best", task["start_from_study"])
    assert http.get("/v1/studies/first/trials/0/checkpoints/best").content == b"other weights"


def tied_to(client: Client, name: str) -> int | None:
    """The id of the study that a new trial starts from."""
    [lease] = client.ask(name).leases
    assert lease.task is not None
    found: int | None = lease.task.get("start_from_study")
    return found


FROM_FIRST = {"start_from": {"type": "fixed", "value": "first/0"}}
LATER: dict[str, Json] = {
    "task": study("second", FITTING),
    "space": study("second", LAYERS, space=DIGITS["space"] | FROM_FIRST),
    "panda": study("second", LAYERS, mode="panda", params={"start_from": "first/0"}),
}


@pytest.mark.fault("W2")
@pytest.mark.parametrize("later", LATER.values(), ids=LATER)
def test_a_source_that_is_made_later_is_meant_and_not_the_next_one_of_its_name(
    server: RunningServer, later: Json
) -> None:
    client = server.client
    client.create_study(later)
    client.create_study(study("other", {"hidden_units": [16, 8]}))
    client.create_study(study("first", {"hidden_units": [16, 8], "batch_norm": True}))
    meant = tied_to(client, "second")
    checkpointed(client)
    assert client.checkpoint("first", 0, "best", meant) == b"weights"

    client.delete_study("first", force=True)
    client.create_study(study("first", {"hidden_units": 64}))
    checkpointed(client, b"other weights")

    with pytest.raises(NotFound, match="was deleted, and another one has its name"):
        client.checkpoint("first", 0, "best", meant)


@pytest.mark.fault("W2")
def test_an_edit_that_names_another_source_means_that_one(source: Client) -> None:
    source.create_study(study("other", {"hidden_units": [16, 8], "batch_norm": True}))
    source.create_study(study("second", LAYERS, space=DIGITS["space"] | FROM_FIRST, budget={"max_trials": 9}))
    first = tied_to(source, "second")

    source.patch_study("second", {"space": DIGITS["space"] | {"start_from": {"type": "fixed", "value": "other/0"}}})

    assert first is not None
    assert tied_to(source, "second") not in (first, None)
