"""A space that is edited while its study runs: old results stay in use, impossible edits are refused."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from server.services.sampling.history import SamplerView
from server.services.sampling.past import history_at
from server.store import studies
from sturgeon.errors import Invalid, WrongState
from sturgeon.messages import Study
from tests.server.studies import BOWL, DIGITS

if TYPE_CHECKING:
    from tests.running import RunningServer

SPACE: dict[str, Any] = BOWL["space"]
X, N = SPACE["x"], SPACE["n"]


def told(server: RunningServer, *given: dict[str, Any]) -> None:
    """Trials with these parameters, complete with losses 0, 1, .."""
    for loss, params in enumerate(given):
        server.client.enqueue("bowl", params)
        [lease] = server.client.ask("bowl").leases
        server.client.tell("bowl", lease.number, lease.fence, {"loss": loss})


def seen(server: RunningServer, basis: int | None = None) -> SamplerView:
    """What a sampler may see now, or saw at `basis`."""
    with server.app.state.database.reading() as tx:
        study = studies.find(tx, "bowl")
        assert study is not None
        return history_at(tx, study, study.seq if basis is None else basis, study.next_number)


def edit(server: RunningServer, space: dict[str, Any], **added: Any) -> Study:
    return server.client.patch_study("bowl", {"space": space, "added": added})


def points(found: SamplerView) -> dict[int, tuple[float, ...]]:
    return {trial.number: trial.point for trial in found.history.finished}


@pytest.mark.usefixtures("bowl")
def test_results_count_in_a_widened_space_at_their_new_place(server: RunningServer) -> None:
    told(server, {"x": 0.5, "n": 2}, {"x": -1, "n": 4})
    before = points(seen(server))

    study = edit(server, {"x": X | {"low": -3}, "n": N})

    assert (study.revision, study.space["x"].low) == (1, -3)  # type: ignore[union-attr]
    assert points(seen(server)) == {0: (0.875, before[0][1]), 1: (0.5, before[1][1])}
    assert server.client.trial("bowl", 0).params == {"x": 0.5, "n": 2}


@pytest.mark.usefixtures("bowl")
def test_a_result_beyond_narrowed_bounds_is_not_seen_until_they_are_widened_again(server: RunningServer) -> None:
    told(server, {"x": 0.5, "n": 2}, {"x": -0.5, "n": 3})

    edit(server, {"x": X | {"low": 0}, "n": N})
    assert list(points(seen(server))) == [0]
    assert [item.number for item in server.client.best("bowl", 9).items] == [0, 1]

    edit(server, SPACE)
    assert list(points(seen(server))) == [0, 1]


@pytest.mark.usefixtures("bowl")
def test_older_trials_count_as_having_the_given_value_of_an_added_parameter(server: RunningServer) -> None:
    told(server, {"x": 0.5, "n": 2})
    keep = {"type": "float", "low": 0, "high": 1}

    edit(server, SPACE | {"keep_prob": keep}, keep_prob=0.75)
    told(server, {"x": 0, "n": 2, "keep_prob": 0.25})

    assert [point[2] for point in points(seen(server)).values()] == [0.75, 0.25]
    assert server.client.trial("bowl", 0).params == {"x": 0.5, "n": 2}


@pytest.mark.usefixtures("bowl")
def test_a_parameter_left_out_is_ignored_in_older_trials_until_it_returns(
    server: RunningServer,
) -> None:
    told(server, {"x": 0.5, "n": 2})
    with_both = points(seen(server))

    edit(server, {"x": X})
    told(server, {"x": 0.25})
    assert points(seen(server)) == {0: (0.75,), 1: (0.625,)}

    edit(server, SPACE, n=4)
    assert points(seen(server)) == {0: with_both[0], 1: (0.625, 0.875)}


@pytest.mark.usefixtures("bowl")
def test_an_export_has_the_parameters_of_all_revisions(server: RunningServer) -> None:
    told(server, {"x": 0.5, "n": 2})
    edit(server, {"x": X, "m": {"type": "choice", "values": ["a", "b"]}}, m="a")
    told(server, {"x": 0.25, "m": "b"})

    header, *rows = (line.split(",") for line in server.client.export("bowl"))
    first = header.index("params.x")

    assert header[first : first + 3] == ["params.x", "params.m", "params.n"]
    assert [row[first : first + 3] for row in rows] == [["0.5", "", "2"], ["0.25", "b", ""]]


@pytest.mark.usefixtures("bowl")
def test_a_parameter_that_is_fixed_keeps_the_results_that_have_its_value(server: RunningServer) -> None:
    told(server, {"x": 0.5, "n": 2}, {"x": 0.5, "n": 3})

    edit(server, {"x": X, "n": {"type": "fixed", "value": 3}})

    assert points(seen(server)) == {1: (0.75,)}
    assert server.client.ask("bowl").leases[0].params["n"] == 3


@pytest.mark.usefixtures("bowl")
def test_a_running_trial_is_seen_at_its_new_place(server: RunningServer) -> None:
    server.client.enqueue("bowl", {"x": 1, "n": 2})
    server.client.ask("bowl")

    edit(server, {"x": X | {"high": 3}, "n": N})

    [running] = seen(server).history.running
    assert (running.number, running.point[0]) == (0, 0.5)


@pytest.mark.usefixtures("bowl")
def test_the_space_that_ruled_at_a_past_draw_is_found_again(server: RunningServer) -> None:
    told(server, {"x": 0.5, "n": 2})
    then = seen(server)
    edit(server, {"x": X | {"high": 5}, "n": N})
    told(server, {"x": 3, "n": 2})
    server.client.invalidate("bowl", 0, "a wrong label")

    assert seen(server, basis=1) == then
    assert seen(server).space["x"].high == 5  # type: ignore[union-attr]
    assert server.client.trial("bowl", 1).drawn.revision == 1


@pytest.mark.usefixtures("bowl")
def test_the_revisions_are_listed_with_what_was_added_and_from_when_on(server: RunningServer) -> None:
    told(server, {"x": 0.5, "n": 2})
    wider = {"x": X | {"high": 5}, "n": N, "m": {"type": "choice", "values": ["a", "b"]}}

    edit(server, wider, m="b")

    first, second = server.client.revisions("bowl").items
    assert [(r.revision, r.added, r.seq) for r in (first, second)] == [(0, {}, 0), (1, {"m": "b"}, 2)]
    assert list(second.space) == ["x", "n", "m"]
    page = server.client.revisions("bowl", page_size=1)
    assert server.client.revisions("bowl", page_token=page.next_page_token).items == [second]
    [event] = [event for event in server.client.events("bowl").items if event.kind == "space"]
    assert event.detail == {"revision": 1, "changed": ["x", "m"], "left_out": [], "added": {"m": "b"}}


@pytest.mark.usefixtures("bowl")
def test_the_same_edit_again_is_no_further_revision(server: RunningServer) -> None:
    wider = SPACE | {"m": {"type": "choice", "values": ["a", "b"]}}

    assert edit(server, wider, m="b") == edit(server, wider, m="b")
    assert edit(server, wider).revision == 1


def test_a_parameter_fixed_at_null_is_stored_and_read(server: RunningServer) -> None:
    space = SPACE | {"m": {"type": "fixed", "value": None}, "c": {"type": "choice", "values": [None, 1]}}
    server.client.create_study(BOWL | {"space": space})

    assert server.client.study("bowl").space["m"].value is None  # type: ignore[union-attr]
    assert server.client.ask("bowl").leases[0].params["m"] is None
    assert edit(server, {"x": X, "m": space["m"], "c": space["c"]}).revision == 1
    assert server.client.ask("bowl").leases[0].params["m"] is None


IMPOSSIBLE = {
    "/space/x": [
        ({"x": X | {"type": "int"}, "n": N}, {}, "x: its type cannot change from float to int: leave this parameter"),
        (
            {"x": X | {"low": 0.1, "scale": "log"}, "n": N},
            {},
            "x: its scale cannot change from linear to log: leave this parameter",
        ),
        ({"x": X | {"low": 2}, "n": N}, {}, "x: low must be less than high"),
    ],
    "/space/m": [
        (SPACE | {"m": N}, {}, 'm: it is new; say what the older trials count as having: "added": {"m": VALUE}'),
    ],
    "/space/n/when/x": [
        ({"n": N | {"when": {"x": [1]}}}, {}, "n: when names 'x', which is no parameter of this space"),
    ],
    "/added/m": [
        (SPACE | {"m": N}, {"m": 9}, "m: the older trials would lie outside of the new space, and none be of use"),
    ],
    "/added/x": [(SPACE | {"m": N}, {"m": 1, "x": 1}, "x: it was in the space before, and `added` is for new")],
    "/added/z": [(SPACE, {"z": 1}, "z: it is not in the space, and `added` is for new parameters alone")],
    "": [({"x": {"type": "fixed", "value": 1}}, {}, "a space needs at least one parameter that is not fixed")],
}


@pytest.mark.usefixtures("bowl")
def test_an_impossible_edit_is_refused_with_its_reason_and_changes_nothing(server: RunningServer) -> None:
    before = server.client.study("bowl")
    for pointer, edits in IMPOSSIBLE.items():
        for space, added, sentence in edits:
            with pytest.raises(Invalid) as refused:
                edit(server, space, **added)
            [problem] = refused.value.errors
            assert (problem.pointer, sentence in problem.detail) == (pointer or "/space", True), problem
    assert server.client.study("bowl") == before
    assert len(server.client.revisions("bowl").items) == 1


def test_what_the_task_does_not_know_cannot_be_added(server: RunningServer) -> None:
    server.client.create_study(DIGITS)
    space = DIGITS["space"] | {"momentun": {"type": "float", "low": 0.5, "high": 0.9}}

    with pytest.raises(Invalid, match="momentun"):
        server.client.patch_study("digits", {"space": space, "added": {"momentun": 0.5}})
    space = DIGITS["space"] | {"hidden_units": {"type": "int", "low": 8, "high": 32}}
    with pytest.raises(Invalid, match="hidden_units: the study's task fixes it; a new study can search it"):
        server.client.patch_study("digits", {"space": space, "added": {"hidden_units": 16}})


@pytest.mark.usefixtures("bowl")
def test_added_stands_beside_a_space_only(server: RunningServer) -> None:
    with pytest.raises(Invalid, match="write the new `space` beside it"):
        server.client.patch_study("bowl", {"added": {"x": 1}})


@pytest.mark.usefixtures("bowl")
def test_a_cancelled_studys_space_does_not_change(server: RunningServer) -> None:
    server.client.patch_study("bowl", {"state": "cancelled"})

    with pytest.raises(WrongState, match="its space does not change any more"):
        edit(server, {"x": X | {"high": 5}, "n": N})


@pytest.mark.parametrize("replicates", [1, 2])
def test_every_sample_comes_out_again_after_edits_invalidations_and_given_trials(
    server: RunningServer, replicates: int
) -> None:
    search = {"sampler": "coarse_to_fine", "seed": 3, "replicates": replicates}
    server.client.create_study(BOWL | {"search": search, "budget": {"max_trials": 60}})
    momentum = {"type": "float", "low": 0, "high": 1, "when": {"kind": ["b"]}}
    kind = {"type": "choice", "values": ["a", "b"]}
    edits: dict[int, Any] = {
        4: lambda: edit(server, {"x": X | {"low": -0.5}, "n": N}),
        7: lambda: server.client.enqueue("bowl", {"x": 0.25, "n": 4}),
        8: lambda: server.client.invalidate("bowl", 2, "no use"),
        9: lambda: edit(server, {"kind": kind, "x": X, "n": N, "momentum": momentum}, kind="b", momentum=0.5),
        11: lambda: server.client.invalidate("bowl", 12, "no use"),
        12: lambda: server.client.requeue("bowl", 5),
        13: lambda: edit(server, {"x": X | {"high": 3}, "momentum": momentum, "kind": kind}),
    }
    for turn in range(20):
        edits.get(turn, lambda: None)()
        for lease in server.client.ask("bowl", 3).leases:
            x, number = lease.params["x"], lease.number
            if number == 5 and lease.fence == 1:
                server.client.cancel("bowl", number)
            elif number % 10 == 9:
                server.client.tell("bowl", number, lease.fence, state="diverged")
            else:
                server.client.tell("bowl", number, lease.fence, {"loss": (x - 0.25) ** 2})

    replay = server.client.replay("bowl")

    drawn = [trial.drawn for trial in server.client.all_trials("bowl")]
    assert replay.exact, replay.verdict
    assert (replay.trials, replay.given) == (len(drawn) - replicates, replicates)
    assert {one.revision for one in drawn} == {0, 1, 2, 3}
    assert {one.model for one in drawn if one.revision == 3} == {"gp"}


@pytest.mark.fault("W1")
def test_a_reordered_space_is_searched_and_replayed_in_its_own_order(server: RunningServer) -> None:
    """Whatever this process remembers of the old order, as `n` and `x` change places."""
    server.client.create_study(BOWL | {"search": {"seed": 3}, "budget": {"max_trials": 40}})

    def work(count: int) -> None:
        for _ in range(count):
            [lease] = server.client.ask("bowl").leases
            server.client.tell("bowl", lease.number, lease.fence, {"loss": (lease.params["x"] - 0.25) ** 2})

    work(12)
    edit(server, {"n": N, "x": X})
    work(12)

    later = server.client.replay("bowl", page_size=12, page_token=server.client.replay("bowl", 12).next_page_token)
    assert (later.trials, later.verdict) == (
        12,
        "exact so far: the 12 samples of the study's 24 come out again bit for bit",
    )
    assert server.client.replay("bowl").verdict == "exact: all 24 samples come out again bit for bit"


MIXED: dict[str, Any] = {
    "kind": {"type": "choice", "values": ["a", "b", "c"]},
    "rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"},
    "depth": {"type": "int", "low": 1, "high": 5, "when": {"kind": ["b", "c"]}},
    "width": {"type": "choice", "values": [16, 32, 64], "ordered": True, "when": {"depth": [2, 3, 4]}},
}
ORDERS = [
    ("kind", "rate", "depth", "width"),
    ("width", "depth", "rate", "kind"),  # children before their parents
    ("rate", "kind", "width", "depth"),
    ("kind", "rate", "depth", "width"),  # and back
]


@pytest.mark.fault("W1")
@pytest.mark.parametrize("sampler", ["coarse_to_fine", "random", "sobol", "grid"])
def test_a_space_that_is_reordered_again_and_again_is_replayed_from_any_page(
    server: RunningServer, sampler: str
) -> None:
    """Of choices, integers and floats under conditions; pages end within and begin after each edit."""
    orders = [{name: MIXED[name] for name in order} for order in ORDERS]
    search = {"sampler": sampler, "seed": 3} | ({"points": 400} if sampler == "grid" else {})
    server.client.create_study(BOWL | {"space": orders[0], "search": search, "budget": {"max_trials": 60}})
    for order in orders:
        edit(server, order)
        for _ in range(4):
            for lease in server.client.ask("bowl", 3).leases:
                kind, rate = lease.params["kind"], lease.params["rate"]
                value = (kind != "b") + abs(math.log10(rate) + 2) / 4 + abs(lease.params.get("depth", 1) - 3) / 9
                server.client.tell("bowl", lease.number, lease.fence, {"loss": value})

    drawn = list(server.client.all_trials("bowl"))
    assert [trial.drawn.revision for trial in drawn] == [revision for revision in range(4) for _ in range(12)]
    assert server.client.replay("bowl").verdict == "exact: all 48 samples come out again bit for bit"
    for size in (5, 12):
        token, seen = None, 0
        while True:
            page = server.client.replay("bowl", page_size=size, page_token=token)
            seen += page.trials
            assert page.exact, page.verdict
            if (token := page.next_page_token) is None:
                break
        assert seen == 48
    if sampler != "grid":  # a mixed-up order would put the rate into the few cells of a choice
        rates = [[trial.params["rate"] for trial in drawn[12 * r : 12 * r + 12]] for r in range(4)]
        assert all(len({round(math.log10(rate), 6) for rate in own}) > 8 for own in rates)
