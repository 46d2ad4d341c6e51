"""`sturgeon study rounds | importance | replay`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from server.store.tables import trials
from tests.cli.command import BOWL, Command

if TYPE_CHECKING:
    from tests.running import RunningServer


@pytest.fixture
def fine(server: RunningServer) -> RunningServer:
    """`bowl` searched by coarse to fine, with one given trial and 11 others complete."""
    server.client.create_study(BOWL | {"search": {"seed": 1}, "budget": {"max_trials": 20}})
    space = server.client.study("bowl").space
    server.client.enqueue("bowl", space.decode([0.5] * len(space.searched)))
    for _ in range(12):
        [lease] = server.client.ask("bowl").leases
        server.client.tell("bowl", lease.number, lease.fence, {"loss": float(lease.params["x"]) ** 2})
    return server


@pytest.mark.usefixtures("fine")
def test_rounds_are_shown_with_the_boxes_of_the_one_that_draws(sturgeon: Command) -> None:
    ran = sturgeon("study", "rounds", "bowl")

    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].split() == ["round", "results", "trials", "best", "trial", "most", "important", "elites"]
    assert "even coverage" in lines[1]
    assert lines[4].rstrip().endswith("current")
    assert "Round 3 draws a fifth of its trials from the whole space, the rest around its elites:" in lines
    assert " .. " in lines[-1] or lines[-1].startswith("! ")


def test_rounds_say_why_one_whose_trials_were_all_pruned_has_no_best(sturgeon: Command, server: RunningServer) -> None:
    server.client.create_study(BOWL | {"pruning": {"rule": "asha"}})
    [first] = server.client.ask("bowl").leases
    server.client.tell("bowl", first.number, first.fence, {"loss": 0.5}, "pruned")
    sentence = "Best: of a round's complete trials; - where it has none, as where all were stopped early."

    assert sentence in sturgeon("study", "rounds", "bowl").out.splitlines()

    [second] = server.client.ask("bowl").leases
    server.client.tell("bowl", second.number, second.fence, {"loss": 0.5})
    assert sentence not in sturgeon("study", "rounds", "bowl").out


@pytest.mark.usefixtures("fine")
def test_rounds_as_json_are_the_servers_answer(sturgeon: Command, server: RunningServer) -> None:
    assert sturgeon("study", "rounds", "bowl", "-o", "json").json == server.client.rounds("bowl").model_dump(
        mode="json"
    )


def test_a_study_of_another_sampler_has_no_rounds(sturgeon: Command, server: RunningServer) -> None:
    server.client.create_study(BOWL | {"search": {"sampler": "random"}})

    ran = sturgeon("study", "rounds", "bowl")

    assert (ran.code, ran.err) == (1, "sturgeon: bowl is searched by random, which has no rounds.\n")


@pytest.mark.usefixtures("fine")
def test_importance_is_shown_with_bars_and_what_it_rests_on(sturgeon: Command) -> None:
    ran = sturgeon("study", "importance", "bowl")

    lines = ran.out.splitlines()
    assert lines[1].split()[0] == "x"
    assert lines[1].rstrip().endswith("█" * 24)
    assert lines[-1] == "From 12 results; spread: standard deviation over the last 3 rounds."


@pytest.mark.usefixtures("new_study")
def test_importance_of_too_few_results_is_none(sturgeon: Command) -> None:
    assert (
        sturgeon("study", "importance", "bowl").err
        == "sturgeon: bowl has too few results to tell which parameters matter.\n"
    )


def test_a_replay_says_exact_or_exits_with_1(sturgeon: Command, fine: RunningServer) -> None:
    exact = sturgeon("study", "replay", "bowl")
    assert (exact.code, exact.out.splitlines()) == (
        0,
        ["exact: all 11 samples are reproduced bit for bit.", "Not drawn, but given by a person: 1."],
    )

    with fine.app.state.database.writing() as tx:
        [point] = tx.execute(sa.select(trials.c.point).where(trials.c.number == 11)).scalars()
        tx.execute(trials.update().where(trials.c.number == 11).values(point=[abs(point[0] - 0.5), *point[1:]]))

    ran = sturgeon("study", "replay", "bowl")
    assert ran.code == 1
    assert ran.out.startswith("not exact: 1 of 11 samples differ, by up to ")
    assert sturgeon("study", "replay", "bowl", "-o", "json").code == 1


def test_the_table_of_trials_says_where_each_came_from(sturgeon: Command, fine: RunningServer) -> None:
    header, *rows = sturgeon("study", "trials", "bowl").out.splitlines()

    drawn = [row[header.index("drawn") :].split("  ")[0].strip() for row in rows]
    assert drawn[:2] == ["given", "round 0, even"]
    boxed = [trial for trial in fine.client.all_trials("bowl") if trial.drawn.elite is not None]
    for trial in boxed:
        share = 2 ** (trial.drawn.level or 0)
        assert drawn[trial.number] == f"round {trial.drawn.round}, around {trial.drawn.elite} (1/{share})"
    assert boxed
    assert "round 1, anywhere" in drawn or "round 2, anywhere" in drawn or "round 3, anywhere" in drawn
    assert "coarse_to_fine, model=gp, cost_aware=true, seed 1" in sturgeon("study", "show", "bowl").out
