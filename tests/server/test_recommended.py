"""The trial to take under noise: the best by what all results together say, for any sampler."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from server.services.sampling.sampler_pool import SamplerPool
from server.services.studies import lifecycle
from sturgeon.direction import Direction, sign_of
from sturgeon.search.coarse_to_fine import recommend
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer

LINE: dict[str, Any] = BOWL | {
    "space": {"x": {"type": "float", "low": -1, "high": 1}},
    "search": {"sampler": "random", "seed": 1},
    "budget": {"max_trials": 40},
}


def told(server: RunningServer, direction: Direction, luck: float, noise: float = 0.02) -> None:
    """Trials along a parabola, whose best lies at x = 0; the one at x = 1 is lucky."""
    sign = sign_of(direction)
    server.client.create_study(LINE | {"direction": direction})
    for i in range(21):
        x = i / 10 - 1
        server.client.enqueue("bowl", {"x": x})
        [lease] = server.client.ask("bowl").leases
        loss = x * x + noise * (-1) ** i - luck * (i == 20)
        server.client.tell("bowl", lease.number, lease.fence, {"loss": sign * loss})


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_lucky_trial_is_the_best_but_not_the_recommended(server: RunningServer, direction: Direction) -> None:
    told(server, direction, luck=1.1)

    best = server.client.best("bowl")

    assert [item.number for item in best.items] == [20]
    assert best.recommended is not None
    assert best.recommended.number in (9, 10, 11)
    assert best.recommended.params == server.client.trial("bowl", best.recommended.number).params
    assert best.recommended.why.startswith("Trial 20 has the best loss (")
    assert f"trial {best.recommended.number} (" in best.recommended.why


@pytest.mark.fault("W4")
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("penalty", [1e13, 1e30, sys.float_info.max])
def test_a_huge_penalty_changes_neither_the_recommended_nor_what_matters(
    server: RunningServer, direction: Direction, penalty: float
) -> None:
    sign = sign_of(direction)
    space = {"x": {"type": "float", "low": -1, "high": 1}, "idle": {"type": "float", "low": 0, "high": 1}}
    server.client.create_study(LINE | {"direction": direction, "space": space, "search": {"seed": 3}})
    losses = {}
    for lease in server.client.ask("bowl", count=24).leases:
        x = lease.params["x"]
        losses[lease.number] = penalty if x > 0.6 else x * x
        server.client.tell("bowl", lease.number, lease.fence, {"loss": sign * losses[lease.number]})

    best = server.client.best("bowl")
    matters = server.client.importance("bowl").items
    last = server.client.rounds("bowl").items[-1]

    assert best.recommended is not None
    assert losses[best.recommended.number] < 0.01
    assert (matters[0].name, matters[0].share > 0.7) == ("x", True)
    assert last.bars["x"] > 0.7
    assert last.best is not None
    assert losses[last.best] < 0.01


def test_where_the_results_agree_the_best_is_recommended(server: RunningServer) -> None:
    told(server, "minimize", luck=0, noise=0)

    best = server.client.best("bowl", 9)

    assert best.recommended is not None
    assert best.recommended.number == best.items[0].number
    assert best.recommended.why.endswith("and the results around it agree.")


def test_of_two_trials_with_the_same_score_neither_is_called_the_better(server: RunningServer) -> None:
    server.client.create_study(LINE)
    for x in (1.0, *(i / 10 - 1 for i in range(20))):  # the first one is lucky
        server.client.enqueue("bowl", {"x": x})
        [lease] = server.client.ask("bowl").leases
        server.client.tell("bowl", lease.number, lease.fence, {"loss": 0 if x == 1 else round(x * x, 4)})

    best = server.client.best("bowl")

    assert [item.number for item in best.items] == [0]
    assert best.recommended is not None
    assert best.recommended.why == (
        "Trials 0 and 11 have the same best loss; by all results together, trial 11 is the best in the present space."
    )


def test_a_few_results_recommend_the_best_and_none_recommend_nothing(server: RunningServer) -> None:
    server.client.create_study(LINE)
    assert server.client.best("bowl").recommended is None
    for loss in (0.5, 0.25):
        [lease] = server.client.ask("bowl").leases
        server.client.tell("bowl", lease.number, lease.fence, {"loss": loss})
    [lease] = server.client.ask("bowl").leases
    server.client.tell("bowl", lease.number, lease.fence, state="diverged")

    recommended = server.client.best("bowl").recommended

    assert recommended is not None
    assert (recommended.number, recommended.value) == (1, 0.25)
    assert recommended.why.endswith("there are too few results, or too many parameters for a model.")


def test_only_a_complete_trial_in_the_present_space_is_recommended(server: RunningServer) -> None:
    told(server, "minimize", luck=1.1)
    for number in (9, 10, 11):
        server.client.invalidate("bowl", number, "no use")
    server.client.patch_study("bowl", {"space": {"x": {"type": "float", "low": -1, "high": -0.25}}})
    [lease] = server.client.ask("bowl").leases
    server.client.tell("bowl", lease.number, lease.fence, {"loss": 0.05}, state="pruned")

    best = server.client.best("bowl")

    assert [item.number for item in best.items] == [20]
    assert best.recommended is not None
    assert best.recommended.number == 7  # x = -0.3: the least in the space that is left
    assert "outside the present space" in best.recommended.why


def test_replicates_of_which_one_was_pruned_are_not_recommended(server: RunningServer) -> None:
    server.client.create_study(LINE | {"search": {"sampler": "random", "seed": 1, "replicates": 2}})
    first, second = server.client.ask("bowl", count=2).leases
    server.client.tell("bowl", first.number, first.fence, {"loss": 0.5})
    server.client.tell("bowl", second.number, second.fence, {"loss": 0.5}, state="pruned")

    best = server.client.best("bowl")

    assert (best.items, best.recommended) == ([], None)


def test_of_very_many_results_a_model_of_their_selection_recommends(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sturgeon.search.evidence.MOST_FINISHED", 15)
    told(server, "minimize", luck=1.1)

    recommended = server.client.best("bowl").recommended

    assert recommended is not None
    assert recommended.number != 20
    assert "looks like luck" in recommended.why


def test_the_model_is_fitted_once_for_the_same_results(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    told(server, "minimize", luck=1.1)
    fits = 0

    def fit(*args: Any, **options: Any) -> int | None:
        nonlocal fits
        fits += 1
        return recommend(*args, **options)

    monkeypatch.setattr("server.services.sampling.best.recommend", fit)

    for k in (1, 3, 1000):
        server.client.best("bowl", k)
    assert fits == 1

    [lease] = server.client.ask("bowl").leases
    server.client.best("bowl")
    assert fits == 1

    server.client.tell("bowl", lease.number, lease.fence, {"loss": 0.5})
    server.client.best("bowl")
    server.client.best("bowl")
    assert fits == 2


def test_what_is_recommended_does_not_depend_on_what_was_kept(server: RunningServer) -> None:
    """After each change the server, which has answered before, says the same as one that has never been asked."""
    told(server, "minimize", luck=1.1)
    space: dict[str, Any] = {"x": {"type": "float", "low": -1, "high": 1}, "y": {"type": "float", "low": 0, "high": 1}}

    def take_the_recommended_out() -> None:
        recommended = server.client.best("bowl").recommended
        assert recommended is not None
        server.client.invalidate("bowl", recommended.number, "no use")

    def add_a_result() -> None:
        [lease] = server.client.ask("bowl").leases
        server.client.tell("bowl", lease.number, lease.fence, {"loss": 1e-3})

    changes: list[Callable[[], Any]] = [
        lambda: server.client.best("bowl"),
        take_the_recommended_out,
        lambda: server.client.patch_study("bowl", {"space": space, "added": {"y": 0.5}}),
        add_a_result,
        lambda: server.client.patch_study("bowl", {"space": dict(reversed(space.items()))}),
        take_the_recommended_out,
    ]
    for change in changes:
        change()
        assert server.client.best("bowl", 5) == lifecycle.best(server.app.state.database, SamplerPool(), "bowl", 5)
