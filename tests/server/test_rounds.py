"""What people see of the search: rounds, importance, and where each trial came from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from server.services import lookup
from server.services.sampling.past import history_at
from server.store import studies
from server.store.tables import rounds as stored
from sturgeon.search.rounds import round_at
from sturgeon.search.scores import round_starts

if TYPE_CHECKING:
    from server.store.studies import StudyRow
    from tests.running import RunningServer

VALLEY: dict[str, Any] = {
    "name": "valley",
    "metric": "loss",
    "space": {
        "rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"},
        "idle": {"type": "float", "low": 0, "high": 1},
        "units": {"type": "int", "low": 16, "high": 128},
    },
    "search": {"seed": 5},
    "budget": {"max_trials": 60},
}


def loss(params: dict[str, Any]) -> float:
    """Least at the upper end of rate; idle does not matter, units hardly."""
    return (math.log10(params["rate"]) - 0.3) ** 2 + (params["units"] - 64) ** 2 / 1e4


def work(server: RunningServer, trials: int) -> None:
    """So many trials, up to four at once."""
    for done in range(0, trials, 4):
        leases = server.client.ask("valley", count=min(4, trials - done)).leases
        tells = [{"number": one.number, "fence": one.fence, "metrics": {"loss": loss(one.params)}} for one in leases]
        server.client.tell_many("valley", tells)


@pytest.fixture
def valley(server: RunningServer) -> RunningServer:
    """A server with a study of which 26 trials are complete."""
    server.client.create_study(VALLEY)
    work(server, 26)
    return server


def test_rounds_are_those_that_the_record_gives(valley: RunningServer) -> None:
    told = valley.client.rounds("valley")

    with valley.app.state.database.reading() as tx:
        study = studies.find(tx, "valley")
        assert study is not None
        space, history = history_at(tx, study, study.seq, study.next_number)
    starts = round_starts(3, 26)
    assert [one.number for one in told.items] == list(range(7))
    assert [one.start for one in told.items] == [0, *starts]
    first, *modelled = told.items
    assert (first.bars, first.elites, first.boxes, first.best, first.alarms) == ({}, [], [], None, [])
    for one, start in zip(modelled, starts, strict=True):
        expected = round_at(space, study.seed, history.finished[:start], one.number)
        assert one.bars == expected.relevance
        assert (one.elites, one.best, one.alarms) == (list(expected.elites), expected.best, list(expected.alarms))
        assert [box.model_dump() for box in one.boxes] == [box._asdict() for box in expected.boxes]
    assert [one.current for one in told.items] == [False] * 6 + [True]
    assert sum(one.trials for one in told.items) == 26


def test_the_last_round_says_what_matters_and_where_the_range_is_too_narrow(valley: RunningServer) -> None:
    last = valley.client.rounds("valley").items[-1]

    assert max(last.bars, key=last.bars.__getitem__) == "rate"
    assert last.alarms == ["the best rate lies at the upper end: widen it"]
    [narrow] = [box for box in last.boxes if (box.elite, box.level) == (last.elites[0], 4)]
    assert 1e-4 <= narrow.ranges["rate"]["low"] < valley.client.trial("valley", narrow.elite).params["rate"]
    assert narrow.ranges["rate"]["high"] == 1
    assert isinstance(narrow.ranges["units"]["low"], int)


def test_a_trial_says_from_which_round_elite_and_level_it_came(valley: RunningServer) -> None:
    drawn = [trial.drawn for trial in valley.client.all_trials("valley")]
    told = {one.number: one for one in valley.client.rounds("valley").items}

    assert [one.round for one in drawn[:4]] == [0] * 4
    assert [one.round for one in drawn] == sorted(one.round or 0 for one in drawn)
    boxed = [one for one in drawn if one.elite is not None]
    assert {one.level for one in boxed} <= {1, 2, 3, 4}
    assert all(one.elite in range(26) for one in boxed)
    assert len(boxed) > 10
    assert {one.model for one in drawn[4:]} == {"gp"}
    assert all(one.numerics == told[1].numerics for one in drawn)


def test_rounds_are_kept_in_the_background_and_stay_as_they_were_seen(valley: RunningServer) -> None:
    before = valley.client.rounds("valley").items
    work(valley, 4)

    growing = {"current", "trials", "found"}
    after = valley.client.rounds("valley").items
    assert [one.model_dump(exclude=growing) for one in after[:7]] == [one.model_dump(exclude=growing) for one in before]
    with valley.app.state.database.reading() as tx:
        assert tx.execute(sa.select(sa.func.count()).select_from(stored)).scalar_one() == len(round_starts(3, 30))


def test_a_round_that_nobody_kept_is_recovered_from_the_trials_that_it_drew(valley: RunningServer) -> None:
    """As when the server was killed before it had learnt; even one whose results count no more."""
    before = valley.client.rounds("valley").items
    with valley.app.state.database.writing() as tx:
        tx.execute(stored.delete().where(stored.c.number.in_((2, 3))))
    valley.client.invalidate("valley", 1, reason="the disk was full")

    after = valley.client.rounds("valley").items

    changing = {"current", "found", "at"}
    assert [one.model_dump(exclude=changing) for one in after[:7]] == [
        one.model_dump(exclude=changing) for one in before
    ]


def test_a_round_that_learnt_from_a_trial_that_became_invalid_begins_again(valley: RunningServer) -> None:
    before = valley.client.rounds("valley").items
    best = before[-1].best
    assert best is not None

    valley.client.invalidate("valley", best, reason="the disk was full")
    after = valley.client.rounds("valley").items

    assert [one.bars for one in after[:-1]] == [one.bars for one in before]
    assert (after[-1].number, after[-1].current) == (6, True)
    assert best not in after[-1].elites
    assert best in after[-2].elites


def test_a_round_of_fewer_results_rules_again_when_trials_become_invalid(valley: RunningServer) -> None:
    assert valley.client.rounds("valley").items[-1].number == 6  # so it is kept, whatever the background has done
    for number in (1, 2, 3):
        valley.client.invalidate("valley", number, reason="the disk was full")

    told = valley.client.rounds("valley").items
    assert [one.number for one in told[:7]] == list(range(7))
    assert [(one.number, one.start) for one in told if one.current] == [(5, 20)]
    assert told[-1].current


def test_importance_rests_on_the_last_rounds_with_their_spread(valley: RunningServer) -> None:
    told = valley.client.importance("valley")

    assert told.items[0].name == "rate"
    assert sum(one.share for one in told.items) == pytest.approx(1)
    assert (told.trials, told.rounds) == (round_starts(3, 26)[-1], 3)
    bars = [one.bars["rate"] for one in valley.client.rounds("valley").items[-3:]]
    assert told.items[0].share == pytest.approx(sum(bars) / 3)
    assert told.items[0].spread > 0


def test_importance_does_not_ask_who_drew_the_trials(server: RunningServer) -> None:
    server.client.create_study(VALLEY | {"search": {"sampler": "random", "seed": 5}})
    assert server.client.importance("valley").items == []
    work(server, 20)

    assert server.client.importance("valley").items[0].name == "rate"
    assert server.client.rounds("valley").model_dump() == {"study": "valley", "sampler": "random", "items": []}


def test_boxes_alone_have_rounds_without_bars(server: RunningServer) -> None:
    server.client.create_study(VALLEY | {"search": {"model": "boxes", "seed": 5}})
    work(server, 8)

    *_, last = server.client.rounds("valley").items
    assert (last.model, last.bars, last.number) == ("boxes", {}, 2)
    assert len(last.boxes) == 4 * len(last.elites)
    assert {trial.drawn.model for trial in server.client.all_trials("valley")} == {None, "boxes"}


def test_results_that_are_all_alike_or_not_finite_break_no_round(server: RunningServer) -> None:
    server.client.create_study(VALLEY)
    for turn in range(12):
        [lease] = server.client.ask("valley").leases
        if turn % 3:
            server.client.tell("valley", lease.number, lease.fence, {"loss": 1e308 if turn % 2 else 1.0})
        else:
            server.client.tell("valley", lease.number, lease.fence, state="diverged")

    assert server.client.rounds("valley").items[-1].number == 3
    assert len(server.client.importance("valley").items) == 3
    assert {trial.drawn.fallback for trial in server.client.all_trials("valley")} == {None}
    assert server.client.replay("valley").exact


STUDY_OF_TALLIES = {
    "name": "tallied",
    "space": {"x": {"type": "float", "low": 0, "high": 1}},
    "metric": "loss",
    "budget": {"max_trials": 40},
    "search": {"seed": 5},
}


def study_row(server: RunningServer, name: str) -> StudyRow:
    with server.app.state.database.reading() as tx:
        return lookup.get_study(tx, name)


def test_what_rounds_have_found_is_kept_and_is_what_is_counted_anew(server: RunningServer) -> None:
    server.client.create_study(STUDY_OF_TALLIES)
    pool = server.app.state.asks.sampler_pool
    for told in range(14):
        [lease] = server.client.ask("tallied").leases
        server.client.tell("tallied", lease.number, lease.fence, {"loss": abs(lease.params["x"] - 0.3)})
        if told % 4 == 0:
            kept = server.client.rounds("tallied").items
            pool.cache_of(study_row(server, "tallied")).tally = None
            assert server.client.rounds("tallied").items == kept
    assert sum(one.trials for one in server.client.rounds("tallied").items) == 14

    best = server.client.best("tallied").items[0].number
    server.client.invalidate("tallied", best, "no use")
    found = [one.found.number for one in server.client.rounds("tallied").items if one.found]
    assert best not in found
    assert len(found) > 1
