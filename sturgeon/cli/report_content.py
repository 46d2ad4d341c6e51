"""What a report of a study says, as plain blocks; `report_html` and `report_markdown` write them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sturgeon.cli.output import cell, metric
from sturgeon.cli.versions import changes, version_text
from sturgeon.direction import sign_of
from sturgeon.errors import NotFound
from sturgeon.tuning.pictures import picture

if TYPE_CHECKING:
    from sturgeon import messages as m
    from sturgeon.client import Client
    from sturgeon.plots.specs import Spec

BEST: Final = 5
REASONS: Final = 5
PICTURES: Final = ("history", "slice", "parallel", "importance", "curves")
CAPTIONS: Final = {
    "history": "All trials in the order of their numbers, and the best so far.",
    "slice": "Each parameter against the score. Bars above a panel are the boxes that each round drew from.",
    "parallel": "A line for each trial, in the colour of its score; the best are drawn last.",
    "importance": "How much each parameter changes the score.",
    "curves": "The metric of each trial while it trained.",
}


@dataclass(frozen=True)
class Heading:
    text: str


@dataclass(frozen=True)
class Prose:
    """A paragraph. `strong`: the sentence that a reader in a hurry reads."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Rows:
    """A table; without columns its rows are pairs of a name and a value."""

    rows: Sequence[Sequence[str]]
    columns: Sequence[str] = ()
    numbers: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Picture:
    kind: str
    spec: Spec
    caption: str


@dataclass(frozen=True)
class Code:
    text: str


Block = Heading | Prose | Rows | Picture | Code


@dataclass(frozen=True)
class Facts:
    """What a report is made of, all read at one time."""

    study: m.Study
    best: m.Best
    table: m.Table
    pictures: Sequence[Picture]


def gathered(client: Client, name: str) -> Facts:
    """Ask for all that a report needs. Raises: NotFound (no such study)."""
    study, best, table = client.study(name), client.best(name, BEST), client.rows(name)
    return Facts(study, best, table, list(_pictures(client, name)))


def blocks(facts: Facts) -> list[Block]:
    """The report, from what was asked to how to do it again."""
    parts: list[Callable[[Facts], Iterator[Block]]] = [_question, _result, _seen, _space, _ends, _again]
    return [block for part in parts for block in part(facts)]


def _pictures(client: Client, name: str) -> Iterator[Picture]:
    for kind in PICTURES:
        try:
            spec = picture(client, name, kind)
        except NotFound:  # no parameter varies
            continue
        data = spec["datasets"][spec["data"]["name"]] if "datasets" in spec else spec["data"][0]["values"]
        if data:
            yield Picture(kind, spec, CAPTIONS[kind])


def _question(facts: Facts) -> Iterator[Block]:
    study = facts.study
    yield Heading("The question")
    goal = "least" if study.direction == "minimize" else "greatest"
    searched = ", ".join(study.space.searched) or "nothing"
    yield Prose(f"Which values of {searched} give the {goal} {study.metric}?", strong=True)
    if study.notes:
        yield Prose(study.notes)
    spent = study.spent
    told = {
        "study": study.name,
        "state": study.state,
        "trials": f"{sum(study.counts.values())} of at most {study.budget.max_trials}",
        "epochs spent": cell(spent.epochs) if spent.epochs else "",
        "time spent by workers": _hours(spent.seconds) if spent.seconds else "",
        "tags": ", ".join(study.tags),
    }
    yield Rows([(name, value) for name, value in told.items() if value])


def _hours(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


def _result(facts: Facts) -> Iterator[Block]:
    study, best = facts.study, facts.best
    yield Heading("The result")
    winner = best.winner
    if winner is None:
        yield Prose("No trial has a result yet.", strong=True)
        return
    value = metric(study, study.metric, winner.value)
    yield Prose(f"Take trial {winner.number}: {study.metric} {value}{_noise(study, winner)}.", strong=True)
    if best.recommended is not None:
        yield Prose(best.recommended.why)
    if best.verdict:
        yield Prose(best.verdict)
    yield Rows([(name, cell(value)) for name, value in winner.params.items()])
    if best.items and best.items[0].number != winner.number:
        first = best.items[0]
        value = metric(study, study.metric, first.value)
        yield Prose(f"The best single score is that of trial {first.number}: {value}{_noise(study, first)}.")
    if study.search.replicates == 1:
        yield Prose("Each was run once, with one seed: how far chance moves a score was not measured.")
    names = list(study.space.searched)
    rows = _ranked(facts, names)
    yield Rows([shown for _, shown in rows], ("trial", "state", study.metric, *names), frozenset({0, 2}))


def _ranked(facts: Facts, names: Sequence[str]) -> list[tuple[float, tuple[str, ...]]]:
    """The best trials, each with its score, less is better: those that were pruned by the scores that they had."""
    study, sign = facts.study, sign_of(facts.study.direction)

    def row(number: int, state: str, value: float, params: Mapping[str, Any]) -> tuple[float, tuple[str, ...]]:
        shown = (cell(params.get(name)) for name in names)
        return sign * value, (str(number), state, metric(study, study.metric, value), *shown)

    fields = {parameter.name: parameter.field for parameter in facts.table.parameters}
    rows = [row(one.number, "complete", one.value, one.params) for one in facts.best.items]
    rows += [
        row(one["number"], "pruned", one["score"], {name: one.get(field) for name, field in fields.items()})
        for one in facts.table.rows
        if one["state"] == "pruned" and not one["invalid"] and one["score"] is not None and study.search.replicates == 1
    ]
    return sorted(rows, key=lambda one: one[0])[:BEST]


def _noise(study: m.Study, trial: m.BestTrial) -> str:
    """The standard error of its mean, where seeds were repeated."""
    again = trial.replicates
    if again is None:
        return ""
    spread = "" if again.standard_error is None else f" ± {metric(study, study.metric, again.standard_error)}"
    return f"{spread} (mean of {len(again.values)} trials with other seeds, and its standard error)"


def _seen(facts: Facts) -> Iterator[Block]:
    if facts.pictures:
        yield Heading("Pictures")
        yield from facts.pictures


def _space(facts: Facts) -> Iterator[Block]:
    study = facts.study
    yield Heading("The space")
    rows = [
        _parameter(name, study.space[name].model_dump(exclude_none=True, exclude_defaults=True)) for name in study.space
    ]
    columns = ("parameter", "kind", "values", "more")
    most = 4 if any(row[3] for row in rows) else 3
    yield Rows([row[:most] for row in rows], columns[:most])
    if study.constraints:
        yield Prose("With the constraints " + "; ".join(study.constraints) + ".")
    if study.revision:
        yield Prose(f"The space was edited {study.revision} times; this is the last one.")


def _parameter(name: str, facts: dict[str, Any]) -> tuple[str, str, str, str]:
    kind = str(facts.pop("type", ""))
    if "values" in facts:
        values = ", ".join(value if isinstance(value, str) else json.dumps(value) for value in facts.pop("values"))
    elif "value" in facts:
        values = cell(facts.pop("value"))
    else:
        ends = [cell(facts.pop(end)) if end in facts else "" for end in ("low", "high")]
        values = " .. ".join(ends) if any(ends) else ""
    scale = facts.pop("scale", None)
    return name, f"{kind}, {scale}" if scale else kind, values, cell(facts) if facts else ""


def _ends(facts: Facts) -> Iterator[Block]:
    """What became of the trials, and why some failed."""
    study = facts.study
    yield Heading("How trials ended")
    yield Rows(
        [(state, str(count)) for state, count in study.counts.items() if count], ("state", "trials"), frozenset({1})
    )
    pruned = [row for row in facts.table.rows if row["state"] == "pruned"]
    if pruned:
        at = sorted(row["pruned_at"] for row in pruned if row.get("pruned_at") is not None)
        middle = f", half of them before epoch {cell(at[len(at) // 2])}" if at else ""
        yield Prose(f"The rule {study.pruning.rule} stopped {study.counts['pruned']} trials early{middle}.")
    invalid = [str(row["number"]) for row in facts.table.rows if row.get("invalid")]
    if invalid:
        yield Prose(f"Taken out by a person, and counted nowhere: {', '.join(invalid)}.")
    yield from _why_failed(facts)


def _why_failed(facts: Facts) -> Iterator[Block]:
    """The most frequent reasons, each counted over all trials that the report has."""
    failed = [row for row in facts.table.rows if row["state"] == "failed"]
    reasons = Counter(cell(row["error"]) if row["error"] else "no reason was told" for row in failed)
    if not reasons:
        return
    counted = [(reason, str(n)) for reason, n in reasons.most_common(REASONS)]
    yield Rows(counted, ("why trials failed", "trials"), frozenset({1}))
    if rest := len(failed) - sum(int(n) for _reason, n in counted):
        yield Prose(f"{rest} more failed for other reasons.")
    if missing := facts.study.counts.get("failed", 0) - len(failed):
        yield Prose(f"{missing} older ones, which are not in this report, failed as well.")


def _again(facts: Facts) -> Iterator[Block]:
    study = facts.study
    yield Heading("How to do it again")
    told = {
        "seed of the search": str(study.search.seed),
        "sampler": study.search.sampler,
        "code": "" if study.code_version is None else version_text(study.code_version),
        "commit": "" if study.code_version is None else study.code_version.commit,
        "data": "" if study.data_version is None else version_text(study.data_version),
        "data fingerprint": "" if study.data_version is None else study.data_version.sha256,
    }
    yield Rows([(name, value) for name, value in told.items() if value])
    for sentence in changes(study):
        yield Prose(sentence)
    yield Prose("This is the study; write it to study.json, and create it under another name:")
    yield Code(json.dumps(definition(study), indent=2, ensure_ascii=False))
    commands = ["sturgeon study create study.json --name AGAIN", f"sturgeon study replay {study.name}"]
    if (winner := facts.best.winner) is not None and study.train_task is not None:
        commands.append(f"sturgeon study export {study.name} --model best.npz --trial {winner.number}")
    yield Code("\n".join(commands))
    yield Prose("The second command derives every sample of this study from its record again, and compares.")


def definition(study: m.Study) -> dict[str, Any]:
    """The request that makes this study, as far as it differs from what is taken when it is left out."""
    from sturgeon.messages import StudyRequest

    whole = study.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return {name: whole[name] for name in StudyRequest.model_fields if name in whole and whole[name] not in ({}, [])}
