"""`sturgeon study rounds | importance | replay`: where the search draws samples, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sturgeon.cli import tables
from sturgeon.cli.output import cell, metric, print_json, print_table, say, say_prose
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import StudyArgument
from sturgeon.errors import NotFound

if TYPE_CHECKING:
    from sturgeon.client import Client
    from sturgeon.messages import Replay, Round, RoundBox, Study

commands = typer.Typer()

PAGE: Final = 50
"""Trials that one call draws again; each takes a few milliseconds."""

BAR: Final = 24
"""Characters of the longest bar."""

TIMEOUT_S: Final = 120.0


@commands.command()
@connected
def rounds(
    session: Session,
    study: StudyArgument,
    every: Annotated[bool, typer.Option("--all", help="Show the boxes of all rounds, not only the last.")] = False,
) -> None:
    """Show the rounds of a coarse-to-fine search: important parameters, sampled boxes, ranges that seem too narrow."""
    with session.client(timeout=TIMEOUT_S) as client:
        answer, facts = client.rounds(study), client.study(study)
    if session.json:
        return print_json(answer)
    if not answer.items:
        raise NotFound(f"{study} is searched by {answer.sampler}, which has no rounds.")
    columns = ("round", "results", "trials", "best", "trial", "most important", "elites", "")
    numbers = ("round", "results", "trials", "best", "trial")
    print_table(
        columns,
        [_row(facts, round_) for round_ in answer.items],
        right=numbers,
        keep=("best",),
        prose=("most important", "elites"),
    )
    if facts.counts.get("pruned") and any(round_.trials and round_.found is None for round_ in answer.items):
        say_prose("Best: of a round's complete trials; - where it has none, as where all were stopped early.")
    for round_ in answer.items:
        if round_.boxes and (round_.current or every):
            _print_boxes(round_)
    for alarm in next((round_.alarms for round_ in answer.items if round_.current), []):
        say(f"\n! {alarm}")
    return None


def _row(study: Study, round_: Round) -> tuple[object, ...]:
    most_important = sorted(round_.bars.items(), key=lambda bar: -bar[1])[:3]
    shares = ", ".join(f"{name} {share:.0%}" for name, share in most_important)
    model = shares or ("boxes only" if round_.model == "boxes" else "even coverage")
    best = round_.found
    value = metric(study, study.metric, best.value) if best else None
    number = str(best.number) if best else None
    elites = ", ".join(map(str, round_.elites)) or None
    current = "current" if round_.current else ""
    return str(round_.number), round_.start, round_.trials, value, number, model, elites, current


def _print_boxes(round_: Round) -> None:
    names = list(round_.boxes[0].ranges)
    say("")
    say_prose(f"Round {round_.number} draws a fifth of its trials from the whole space, the rest around its elites:")
    say("")
    rows = [(str(box.elite), str(box.level), *_ranges(box, names)) for box in round_.boxes]
    print_table(("elite", "level", *names), rows, right=("elite", "level"))


def _ranges(box: RoundBox, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        range_ = box.ranges[name]
        yield cell(range_["values"]) if "values" in range_ else f"{cell(range_['low'])} .. {cell(range_['high'])}"


@commands.command()
@connected
def importance(session: Session, study: StudyArgument) -> None:
    """Show which parameters matter most for the metric."""
    with session.client(timeout=TIMEOUT_S) as client:
        answer = client.importance(study)
    if session.json:
        return print_json(answer)
    if not answer.items:
        raise NotFound(f"{study} has too few results to tell which parameters matter.")
    most = max(item.share for item in answer.items)
    rows = [(item.name, f"{item.share:.1%}", f"{item.spread:.1%}", _bar(item.share / most)) for item in answer.items]
    print_table(("parameter", "importance", "spread", ""), rows, right=("importance", "spread"))
    say(f"\nFrom {answer.trials} results; spread: standard deviation over the last {answer.rounds} rounds.")
    return None


def _bar(share: float) -> str:
    return "█" * max(1, round(share * BAR))


@commands.command()
@connected
def replay(session: Session, study: StudyArgument) -> None:
    """Draw every sample again from the record and compare; exit code 1 if one differs."""
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
    drawn, enqueued = sum(page.trials for page in pages), sum(page.given for page in pages)
    mismatches = [mismatch for page in pages for mismatch in page.mismatches]
    if exact:
        say(f"exact: all {drawn} samples are reproduced bit for bit.")
    else:
        largest = max(page.largest_difference for page in pages)
        say(f"not exact: {len(mismatches)} of {drawn} samples differ, by up to {largest:.3g} of a parameter's range.\n")
        rows = [(str(m.number), _difference(m.difference), m.numerics, m.reason) for m in mismatches]
        print_table(
            ("trial", "difference", "numerics", "reason"), rows, right=("trial", "difference"), prose=("reason",)
        )
    if enqueued:
        say(f"Not drawn, but given by a person: {enqueued}.")
    for reason, count in _summed(pages).items():
        say(f"Drawn uniformly instead of by the sampler ({reason}): {count}.")


def _difference(value: float | None) -> str:
    return tables.MISSING if value is None else f"{value:.3g}"


def _summed(pages: list[Replay]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for page in pages:
        for reason, count in page.fallbacks.items():
            counts[reason] = counts.get(reason, 0) + count
    return counts
