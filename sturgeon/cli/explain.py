"""`sturgeon study rounds | importance | replay`: why the search draws where it draws, and that it can be shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sturgeon.cli.output import MISSING, cell, metric, print_json, print_table
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import StudyArgument
from sturgeon.errors import NotFound

if TYPE_CHECKING:
    from sturgeon.client import Client
    from sturgeon.messages import Replay, Round, RoundBox, Study

commands = typer.Typer()

PAGE: Final = 50
"""Trials that are drawn again in one call: each takes some milliseconds."""

BAR: Final = 24
"""Characters of a bar that is all of it."""

TIMEOUT_S: Final = 120.0


@commands.command()
@connected
def rounds(
    session: Session,
    study: StudyArgument,
    every: Annotated[bool, typer.Option("--all", help="The boxes of all rounds, not only of the last.")] = False,
) -> None:
    """Show the rounds of a coarse to fine search: what mattered, where it drew, ranges that seem too narrow."""
    with session.client(timeout=TIMEOUT_S) as client:
        told, of = client.rounds(study), client.study(study)
    if session.json:
        return print_json(told)
    if not told.items:
        raise NotFound(f"{study} is searched by {told.sampler}, which has no rounds.")
    columns = ("round", "from", "drew", "found", "trial", "most important", "elites", "")
    print_table(columns, [_row(of, one) for one in told.items], right=("round", "from", "drew", "found", "trial"))
    for one in told.items:
        if one.boxes and (one.current or every):
            _print_boxes(one)
    for alarm in next((one.alarms for one in told.items if one.current), []):
        typer.echo(f"\n! {alarm}")
    return None


def _row(study: Study, one: Round) -> tuple[object, ...]:
    top = sorted(one.bars.items(), key=lambda bar: -bar[1])[:3]
    bars = ", ".join(f"{name} {share:.0%}" for name, share in top)
    believed = bars or ("boxes alone" if one.model == "boxes" else "even coverage")
    found = metric(study, study.metric, one.found.value) if one.found else None
    number = str(one.found.number) if one.found else None
    elites = ", ".join(map(str, one.elites)) or None
    return str(one.number), one.start, one.trials, found, number, believed, elites, "now" if one.current else ""


def _print_boxes(one: Round) -> None:
    names = list(one.boxes[0].ranges)
    typer.echo(f"\nRound {one.number} draws a fifth from the whole space, and the rest around its elites:\n")
    rows = [(str(box.elite), str(box.level), *_ranges(box, names)) for box in one.boxes]
    print_table(("elite", "level", *names), rows, right=("elite", "level"))


def _ranges(box: RoundBox, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        one = box.ranges[name]
        yield cell(one["values"]) if "values" in one else f"{cell(one['low'])} .. {cell(one['high'])}"


@commands.command()
@connected
def importance(session: Session, study: StudyArgument) -> None:
    """Show which parameters change the score."""
    with session.client(timeout=TIMEOUT_S) as client:
        told = client.importance(study)
    if session.json:
        return print_json(told)
    if not told.items:
        raise NotFound(f"{study} has too few results to say what matters.")
    most = max(one.share for one in told.items)
    rows = [(one.name, f"{one.share:.1%}", f"{one.spread:.1%}", _bar(one.share / most)) for one in told.items]
    print_table(("parameter", "importance", "spread", ""), rows, right=("importance", "spread"))
    typer.echo(f"\nFrom {told.trials} results; the spread is that over the last {told.rounds} rounds.")
    return None


def _bar(share: float) -> str:
    return "█" * max(1, round(share * BAR))


@commands.command()
@connected
def replay(session: Session, study: StudyArgument) -> None:
    """Derive every sample again from the record; exit code 1 when one comes out otherwise."""
    with session.client(timeout=TIMEOUT_S) as client:
        pages = list(_pages(client, study))
    exact = all(page.exact for page in pages)
    if session.json:
        print_json(pages)
    else:
        _print_replay(pages, exact)
    if not exact:
        raise typer.Exit(1)


def _pages(client: Client, study: str) -> Iterator[Replay]:
    token = None
    while True:
        page = client.replay(study, PAGE, token)
        yield page
        token = page.next_page_token
        if token is None:
            return


def _print_replay(pages: list[Replay], exact: bool) -> None:
    drawn, given = sum(page.trials for page in pages), sum(page.given for page in pages)
    off = [one for page in pages for one in page.mismatches]
    if exact:
        typer.echo(f"exact: all {drawn} samples come out again bit for bit.")
    else:
        largest = max(page.largest_difference for page in pages)
        typer.echo(
            f"not exact: {len(off)} of {drawn} samples come out otherwise, by up to {largest:.3g} of the cube.\n"
        )
        rows = [(str(one.number), _difference(one.difference), one.numerics, one.reason) for one in off]
        print_table(("trial", "difference", "numerics", "reason"), rows, right=("trial", "difference"))
    if given:
        typer.echo(f"{given} more were given by a person.")
    for reason, count in _summed(pages).items():
        typer.echo(f"{count} were drawn uniformly at the time ({reason}), and come out as such.")


def _difference(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3g}"


def _summed(pages: list[Replay]) -> dict[str, int]:
    found: dict[str, int] = {}
    for page in pages:
        for reason, count in page.fallbacks.items():
            found[reason] = found.get(reason, 0) + count
    return found
