"""How a study says in which way it is searched, and what it is told when that cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sturgeon.search.coarse_to_fine import suggest
from sturgeon.search.grid import grid_search
from sturgeon.search.memo import Memo
from sturgeon.search.registry import SAMPLERS
from sturgeon.search.samplers import NOTHING
from sturgeon.search.sobol import sobol_search
from sturgeon.space import Space
from tests.server.studies import BOWL, NOT_VALID, refusal

if TYPE_CHECKING:
    from tests.running import RunningServer

WIDE = {f"p{i}": {"type": "float", "low": 0, "high": 1} for i in range(21)}

RECORDED: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({}, {}, {"sampler": "coarse_to_fine", "model": "gp", "cost_aware": True, "points": None}),
    ({"model": "boxes"}, {}, {"sampler": "coarse_to_fine", "model": "boxes", "cost_aware": True, "points": None}),
    ({"cost_aware": False}, {}, {"sampler": "coarse_to_fine", "model": "gp", "cost_aware": False, "points": None}),
    ({}, {"space": WIDE}, {"sampler": "coarse_to_fine", "model": "boxes", "cost_aware": True, "points": None}),
    ({"sampler": "sobol"}, {}, {"sampler": "sobol", "model": None, "cost_aware": None, "points": None}),
    ({"sampler": "grid"}, {}, {"sampler": "grid", "model": None, "cost_aware": None, "points": 4}),
    ({"sampler": "grid", "points": 9}, {}, {"sampler": "grid", "model": None, "cost_aware": None, "points": 9}),
]


@pytest.mark.parametrize(("search", "study", "recorded"), RECORDED, ids=lambda given: str(given)[:40])
def test_what_the_study_leaves_out_is_chosen_and_recorded(
    server: RunningServer, search: dict[str, Any], study: dict[str, Any], recorded: dict[str, Any]
) -> None:
    made = server.client.create_study(BOWL | study | {"search": search | {"seed": 7}})

    assert made.search.model_dump() == recorded | {"seed": 7, "replicates": made.search.replicates}
    assert server.client.study("bowl").search == made.search


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"sampler": "random", "model": "gp"}, {}, "/search/model", "model: only the sampler coarse_to_fine has it"),
    ({"sampler": "sobol", "cost_aware": False}, {}, "/search/cost_aware", "cost_aware: only the sampler coarse_to"),
    ({"points": 10}, {}, "/search/points", "points: only the sampler grid has it; leave it out with coarse_to_fine"),
    ({"model": "gp"}, {"space": WIDE}, "/search/model", "model: gp takes up to 20 searched parameters, and the space"),
    ({"model": "tpe"}, {}, "/search/model", "search.model: it should be 'gp' or 'boxes'"),
    ({"sampler": "grid", "points": 100_001}, {}, "/search/points", "search.points: it should be less than or equal to"),
    ({"sampler": "tpe"}, {}, "/search/sampler", "search.sampler: it should be 'coarse_to_fine', 'random', 'sobol'"),
]


@pytest.mark.parametrize(("search", "study", "pointer", "detail"), REFUSED, ids=lambda given: str(given)[:40])
def test_a_search_that_cannot_be_is_refused_by_name(
    http: httpx.Client, search: dict[str, Any], study: dict[str, Any], pointer: str, detail: str
) -> None:
    answer = http.post("/v1/studies", json=BOWL | study | {"search": search})

    assert refusal(answer) in NOT_VALID
    [problem] = answer.json()["errors"]
    assert problem["pointer"] == pointer
    assert problem["detail"].startswith(detail)


SPACE = Space.model_validate(BOWL["space"])
DRAWS = {
    "sobol": lambda number: sobol_search(SPACE, 7, number, NOTHING),
    "grid": lambda number: grid_search(SPACE, 7, number, 4),
    "coarse_to_fine": lambda number: suggest(SPACE, 7, number, NOTHING),
}


@pytest.mark.parametrize("sampler", DRAWS)
def test_a_study_is_searched_in_the_way_that_it_says(server: RunningServer, sampler: str) -> None:
    server.client.create_study(BOWL | {"search": {"sampler": sampler, "seed": 7}})

    leases = server.client.ask("bowl", count=4).leases

    samples = [DRAWS[sampler](number) for number in range(4)]
    assert [lease.params for lease in leases] == [SPACE.decode(sample.point) for sample in samples]
    drawn = [server.client.trial("bowl", number).drawn for number in range(4)]
    assert [(one.sampler, one.version, one.round, one.fallback) for one in drawn] == [
        (sampler, SAMPLERS[sampler]({}, Memo()).version, sample.round, None) for sample in samples
    ]
