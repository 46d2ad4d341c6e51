"""What samplers see of very many results: by indexes what reading all of them gives, now and in the past."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from benchmarks.scale_rows import SPACE, fill
from server.services.sampling.history import SamplerView, history_now
from server.services.sampling.past import Past, history_at
from server.services.sampling.refit import refit
from server.store import studies
from sturgeon.search.evidence import evidence_from, next_start
from tests.server.test_statements import statements_of

if TYPE_CHECKING:
    from tests.running import RunningServer

STUDY: dict[str, Any] = {
    "name": "many",
    "space": SPACE,
    "metric": "loss",
    "direction": "minimize",
    "budget": {"max_trials": 100_000},
    "search": {"seed": 7},
}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty results are many."""
    monkeypatch.setattr("sturgeon.search.evidence.MOST_FINISHED", 40)
    monkeypatch.setattr("sturgeon.search.evidence.SPREAD", 20)
    for module in ("sturgeon.search.evidence", "server.services.sampling.history"):
        monkeypatch.setattr(f"{module}.BEST", 8)


def now(server: RunningServer) -> SamplerView:
    with server.app.state.database.reading() as tx:
        study = studies.find(tx, "many")
        assert study is not None
        return history_now(tx, study, None)[0]


def past(server: RunningServer, basis: int, below: int) -> SamplerView:
    with server.app.state.database.reading() as tx:
        study = studies.find(tx, "many")
        assert study is not None
        return history_at(tx, study, basis, below)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_what_indexes_find_is_what_reading_all_finds(
    server: RunningServer, direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.client.create_study(STUDY | {"direction": direction})
    fill(server.app.state.database, "many", 300)
    for number in (1, 100, 200):
        server.client.invalidate("many", number, "no use")

    found = now(server)

    assert found.history.evidence is not None
    assert (len(found.history.finished) < 40, found.history.evidence.total) == (True, 294 - 3)
    assert found == past(server, 303, 300)
    monkeypatch.setattr("server.services.sampling.history.takes_all", lambda _total: True)
    assert found == now(server)


@pytest.mark.usefixtures("few")
def test_what_is_kept_and_grows_is_what_is_read_anew(server: RunningServer) -> None:
    server.client.create_study(STUDY)
    fill(server.app.state.database, "many", 38)
    pool = server.app.state.asks.sampler_pool

    for tell in range(24):
        [lease] = server.client.ask("many").leases
        server.client.tell("many", lease.number, lease.fence, {"loss": (lease.params["a"] - 0.3) ** 2})
        if tell % 8 == 0:
            with server.app.state.database.reading() as tx:
                study = studies.find(tx, "many")
                assert study is not None
                assert pool.history_now(tx, study) == history_now(tx, study, None)[0]
    assert server.client.trial("many", 61).drawn.model == "gp"
    assert server.client.replay("many").exact


def test_an_ask_reads_by_one_statement_what_is_new_and_what_runs(server: RunningServer) -> None:
    server.client.create_study(STUDY)
    fill(server.app.state.database, "many", 30)
    pool = server.app.state.asks.sampler_pool
    first, second = server.client.ask("many", count=2).leases
    steps: list[Callable[[], object]] = [
        lambda: server.client.tell("many", second.number, second.fence, {"loss": 0.5}),
        lambda: server.client.tell("many", first.number, first.fence, state="diverged"),
        lambda: server.client.ask("many"),
        lambda: server.client.invalidate("many", 7, "no use"),
        lambda: server.client.invalidate("many", server.client.ask("many").leases[0].number, "it runs"),
    ]

    for step in steps:
        step()
        with server.app.state.database.reading() as tx:
            study = studies.find(tx, "many")
            assert study is not None
            assert pool.history_now(tx, study) == history_now(tx, study, None)[0]
    one, two = server.client.ask("many", count=2).leases
    for lease in (two, one):
        server.client.tell("many", lease.number, lease.fence, {"loss": 0.25})
    with statements_of(server) as asking:
        server.client.ask("many")

    assert sum(sql.startswith(("SELECT", "WITH")) for sql in asking) == 2  # the study, and what is new
    with server.app.state.database.reading() as tx:
        study = studies.find(tx, "many")
        assert study is not None
        assert pool.history_now(tx, study) == history_now(tx, study, None)[0]


def test_a_model_is_fitted_anew_only_when_a_round_may_begin(server: RunningServer) -> None:
    server.client.create_study(STUDY)
    database, pool = server.app.state.database, server.app.state.asks.sampler_pool
    fill(database, "many", 42)
    study, view, _, _ = refit(database, pool, "many")
    evidence = view.history.evidence
    assert evidence is not None
    left = next_start(evidence, 5) - evidence.total
    assert left > 1

    assert not pool.may_begin_round(study.id, study.seq + left - 1)
    assert pool.may_begin_round(study.id, study.seq + left)
    assert pool.may_begin_round(study.id, None)  # a trial became invalid, for instance
    # An ask may read the results that begin a round before the refit of these is considered.
    pool.cache_of(study).refitted = (0, evidence.rounds[-2].start)
    assert pool.may_begin_round(study.id, study.seq)


@pytest.mark.usefixtures("few")
def test_the_past_is_read_once_for_all_times(server: RunningServer) -> None:
    server.client.create_study(STUDY)
    fill(server.app.state.database, "many", 200)
    statements: list[str] = []

    with server.app.state.database.reading() as tx:
        study = studies.find(tx, "many")
        assert study is not None
        whole = Past(tx, study, 200)
        whole.view(tx, 150, 200)

        def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
            statements.append(statement)

        sa.event.listen(tx.connection, "before_cursor_execute", note)
        views = [whole.view(tx, basis, 200) for basis in (30, 80, 150)]

    assert len(statements) <= 6  # of each time: the results that no other had, and what ran
    assert [view.history.evidence.total for view in views if view.history.evidence] == [29, 78, 147]
    results = [views[0].history.finished[place] for place in range(29)]
    assert views[0].history.evidence == evidence_from(results, 5)


@pytest.mark.usefixtures("few")
def test_an_edited_space_and_replicates_are_read_as_a_whole(server: RunningServer) -> None:
    server.client.create_study(STUDY)
    fill(server.app.state.database, "many", 120)
    server.client.patch_study("many", {"space": SPACE | {"a": {"type": "float", "low": 0.2, "high": 0.9}}})

    found = now(server)

    assert found.history.evidence is not None
    assert 40 < found.history.evidence.total < 118
    assert found == past(server, 121, 120)
