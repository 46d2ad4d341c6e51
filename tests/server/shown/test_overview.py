"""All studies at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.services.shown.overview import Overviews
from sturgeon.messages import Overview, StudySketch
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer

TEN = {"budget": {"max_trials": 100}}


def tell(server: RunningServer, study: str, *losses: float) -> None:
    for loss in losses:
        [lease] = server.client.ask(study, worker="ada").leases
        server.client.tell(study, lease.number, lease.fence, {"loss": loss})


def by_name(overview: Overview) -> dict[str, StudySketch]:
    return {one.name: one for one in overview.studies}


def test_each_study_has_its_counts_its_best_and_how_it_came_to_be(server: RunningServer) -> None:
    server.client.create_study(BOWL | TEN | {"name": "least", "tags": ["vision"]})
    server.client.create_study(BOWL | TEN | {"name": "most", "direction": "maximize"})
    server.client.create_study(BOWL | {"name": "empty"})
    tell(server, "least", 3.0, 4.0, 1.0, 2.0)
    tell(server, "most", *range(60))
    server.client.ask("least", worker="bob")
    server.client.invalidate("most", 59, "wrong")

    overview = server.client.overview()

    assert [one.name for one in overview.studies] == ["empty", "most", "least"]
    sketch = by_name(overview)
    least, most, empty = sketch["least"], sketch["most"], sketch["empty"]
    assert (least.best, least.best_number, least.sparkline) == (1.0, 2, [3.0, 3.0, 1.0, 1.0])
    assert (least.counts["complete"], least.counts["running"], least.workers, least.tags) == (4, 1, 1, ["vision"])
    assert (most.best, most.best_number, most.max_trials) == (58.0, 58, 100)
    assert (len(most.sparkline), most.sparkline[0], most.sparkline[-1]) == (30, 0.0, 58.0)
    assert (empty.best, empty.sparkline, set(empty.counts.values())) == (None, [], {0})


def test_the_best_of_replicates_is_their_mean(server: RunningServer) -> None:
    server.client.create_study(BOWL | TEN | {"search": BOWL["search"] | {"replicates": 2}})
    tell(server, "bowl", 4.0, 2.0, 1.0)  # the second group has a trial to come

    [sketch] = server.client.overview().studies

    assert (sketch.best, sketch.best_number, sketch.sparkline) == (3.0, 0, [3.0])
    assert sketch.best == server.client.study("bowl").best.value  # type: ignore[union-attr]


def test_only_studies_that_have_changed_come_with_a_cursor(server: RunningServer) -> None:
    overviews, database = Overviews(), server.app.state.database
    for name in ("one", "two", "three"):
        server.client.create_study(BOWL | {"name": name})
    first = overviews.read(database)

    tell(server, "two", 1.0)
    server.client.delete_study("one")
    second = overviews.read(database, first.cursor)
    server.client.create_study(BOWL | {"name": "one"})
    third = overviews.read(database, second.cursor)
    elsewhere = Overviews().read(database, first.cursor)  # another server, which has not seen it go

    assert ([one.name for one in second.studies], second.gone, second.total) == (["two"], ["one"], 2)
    assert ([one.name for one in third.studies], third.gone, third.complete) == (["one"], [], False)
    assert (elsewhere.complete, by_name(elsewhere).keys()) == (True, {"one", "two", "three"})
    assert overviews.read(database, third.cursor).studies == []
    assert by_name(overviews.read(database)) == by_name(Overviews().read(database))
