"""Spaces with constraints, distributions, ranges and odd names, from a study's creation to its replay."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sturgeon.errors import Invalid
from tests.server.studies import DIGITS, NOT_VALID, refusal

if TYPE_CHECKING:
    from tests.running import RunningServer

SPACE: dict[str, Any] = {
    "--lr": {"type": "lognormal", "mean": -5, "sd": 1.5, "high": 1},
    "units/1": {"type": "int", "low": 1, "high": 64, "scale": "log"},
    "units/2": {"type": "int", "low": 1, "high": 64, "scale": "log"},
    "drop": {"type": "float", "low": 0, "high": 0.9, "step": 0.1, "when": {"units/2": {"at_least": 4}}},
    "hidden": {"type": "choice", "values": [[8], {"skip": True}, None], "weights": [1, 3, 1]},
}
CONSTRAINTS = ["`units/1` >= `units/2`", "`--lr` * `units/1` <= 1"]
STUDY: dict[str, Any] = {
    "name": "nets",
    "metric": "val/loss (mean)",
    "space": SPACE,
    "constraints": CONSTRAINTS,
    "search": {"seed": 7},
    "budget": {"max_trials": 40},
}


def holds(params: dict[str, Any]) -> bool:
    fits = params["units/1"] >= params["units/2"] and params["--lr"] * params["units/1"] <= 1
    return fits and ("drop" in params) == (params["units/2"] >= 4)


def work(server: RunningServer, count: int) -> list[dict[str, Any]]:
    given = []
    for _ in range(count):
        [lease] = server.client.ask("nets").leases
        loss = lease.params["--lr"] + lease.params["units/1"] / 64
        server.client.tell("nets", lease.number, lease.fence, {"val/loss (mean)": loss})
        given.append(lease.params)
    return given


@pytest.mark.parametrize("search", [{}, {"sampler": "sobol"}, {"sampler": "grid"}])
def test_trials_satisfy_their_constraints_and_are_drawn_again(server: RunningServer, search: dict[str, Any]) -> None:
    server.client.create_study(STUDY | {"search": search | {"seed": 7}})

    assert all(map(holds, work(server, 8)))
    assert all(holds(lease.params) for lease in server.client.ask("nets", count=3).leases)
    told = server.client.replay("nets")
    assert (told.exact, told.trials, told.fallbacks) == (True, 11, {})
    rows = list(csv.DictReader(io.StringIO("\n".join(server.client.export("nets", "csv")))))
    assert '{"skip": true}' in {row["params.hidden"] for row in rows} <= {"[8]", '{"skip": true}', ""}
    assert all(row["metrics.val/loss (mean)"] for row in rows[:8])


def test_the_constraints_of_a_study_are_read_and_replaced(server: RunningServer) -> None:
    server.client.create_study(STUDY)
    work(server, 6)
    assert server.client.study("nets").constraints == CONSTRAINTS

    wider = [*CONSTRAINTS, "`units/1` < 32"]
    assert server.client.patch_study("nets", {"constraints": wider}).constraints == wider
    assert server.client.patch_study("nets", {"constraints": wider}).revision == 1  # the same again is no edit
    assert all(params["units/1"] < 32 for params in work(server, 4))
    server.client.patch_study("nets", {"space": SPACE | {"more": {"type": "fixed", "value": 1}}, "added": {"more": 1}})
    work(server, 2)
    server.client.patch_study("nets", {"constraints": []})
    work(server, 2)

    revisions = server.client.revisions("nets").items
    assert [revision.constraints for revision in revisions] == [CONSTRAINTS, wider, wider, []]
    assert server.client.replay("nets").exact
    edits = [event.detail for event in server.client.events("nets").items if event.kind == "space"]
    assert sorted((edit["revision"], edit.get("constraints")) for edit in edits) == [(1, wider), (2, None), (3, [])]


def test_results_that_break_a_new_constraint_are_not_seen(server: RunningServer) -> None:
    server.client.create_study(STUDY)
    work(server, 6)
    shown = server.client.importance("nets").trials
    server.client.patch_study("nets", {"constraints": ["`units/1` < `units/2`"]})

    assert shown > server.client.importance("nets").trials == 0


def test_enqueued_parameters_satisfy_the_constraints(server: RunningServer) -> None:
    server.client.create_study(STUDY)
    params = {"--lr": 0.001, "units/1": 8, "units/2": 4, "drop": 0.3, "hidden": {"skip": True}}

    assert server.client.enqueue("nets", params).params == params
    with pytest.raises(Invalid) as refused:
        server.client.enqueue("nets", params | {"units/2": 9})
    [problem] = refused.value.errors
    assert problem.pointer == "/params"
    assert "`units/1` >= `units/2` does not hold: units/1 is 8 and units/2 is 9" in problem.detail
    with pytest.raises(Invalid) as refused:
        server.client.enqueue("nets", params | {"units/2": 900})
    assert refused.value.errors[0].pointer == "/params/units~12"


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"constraints": ["`units/1` > `units/2` and"]}, "/constraints/0"),
        ({"constraints": ["`units/1` > 1", "units > 1"]}, "/constraints/1"),
        ({"constraints": ["`units/1` > 64"]}, "/constraints"),
        ({"space": SPACE | {"a/b": {"type": "float", "low": 1, "high": 0}}}, "/space/a~1b"),
        ({"space": SPACE | {"x": {"type": "int", "low": 0, "high": 1, "when": {"a/b": [1]}}}}, "/space/x/when/a~1b"),
        ({"space": SPACE | {"x": {"type": "int", "low": 0, "high": 1, "when": {"drop": {"least": 1}}}}},
         "/space/x/when/drop/least"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_space_is_told_at_its_place(
    http: httpx.Client, changed: dict[str, Any], pointer: str
) -> None:
    answer = http.post("/v1/studies", json=STUDY | changed)

    assert refusal(answer) in NOT_VALID
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    if "space" not in changed:
        preview = http.post("/v1/space:preview", json={"space": SPACE} | changed)
        assert [error["pointer"] for error in preview.json()["errors"]] == [pointer]


def test_the_trainer_s_fields_are_checked_at_the_ends_of_a_distribution(http: httpx.Client) -> None:
    task = DIGITS["task"] | {"fixed": {}}
    for name, space, status in (
        ("a", {"learning_rate": {"type": "lognormal", "mean": -3, "sd": 1}}, 201),
        ("b", {"keep_prob": {"type": "normal", "mean": 0.9, "sd": 0.1}}, 409),
        ("c", {"keep_prob": {"type": "normal", "mean": 0.9, "sd": 0.1, "low": 0.5, "high": 1}}, 201),
        ("d", {"hidden_units": {"type": "normal", "mean": 64, "sd": 10, "step": 8, "low": 16}}, 201),
        ("e", {"hidden_units": {"type": "choice", "values": [[8, 8], {"a": 1}]}}, 409),
    ):
        answer = http.post("/v1/studies", json=DIGITS | {"name": name, "space": space, "task": task})
        assert answer.status_code == status, answer.text


def test_a_panda_begins_with_parameters_that_satisfy_the_constraints(server: RunningServer) -> None:
    for seed in range(4):
        body = {"name": f"p{seed}", "mode": "panda", "search": {"seed": seed}, "budget": {"max_trials": 1}}
        server.client.create_study(STUDY | body)
        assert holds(server.client.trial(f"p{seed}", 0).params)
    given = {"name": "given", "mode": "panda", "metric": "loss", "params": {"a": 2, "b": 1}, "constraints": ["a > b"]}
    server.client.create_study(given | {"budget": {"max_trials": 1}})
    assert server.client.trial("given", 0).params == {"a": 2, "b": 1}
