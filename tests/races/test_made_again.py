"""A study that another process deleted and made again: nothing of the old one is remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from server.settings import Settings
    from tests.running import RunningServer


def study(name: str) -> dict[str, Any]:
    space = {name: {"type": "float", "low": 0, "high": 1}}
    return {"name": "again", "metric": "loss", "space": space, "search": {"seed": 1}, "budget": {"max_trials": 40}}


def test_a_study_made_again_is_drawn_in_its_own_space_by_every_process(
    settings: Settings, serve: Callable[[Settings], RunningServer]
) -> None:
    one, other = serve(settings), serve(settings)
    one.client.create_study(study("old"))
    for _ in range(12):
        [lease] = one.client.ask("again").leases
        one.client.tell("again", lease.number, lease.fence, {"loss": lease.params["old"]})

    other.client.delete_study("again")
    for server in (one, other):
        server.advance(seconds=1)
    other.client.create_study(study("new"))
    for number in range(30):
        server = other if number < 15 else one
        [lease] = server.client.ask("again").leases
        assert (lease.number, set(lease.params)) == (number, {"new"})
        server.client.tell("again", lease.number, lease.fence, {"loss": lease.params["new"]})

    assert other.client.replay("again").exact
