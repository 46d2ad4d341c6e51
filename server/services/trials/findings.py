"""What a run found out: the diagnosis of its errors, and the errors, tagged by hand if you like. Most runs upload it at
their end, those on a stream while they go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from server.services import lookup
from server.store import findings, leases
from server.store.engine import Database
from server.store.studies import StudyRow
from sturgeon.errors import LeaseLost, NotFound
from sturgeon.messages import FindingKind, TagsRequest
from sturgeon.training import STREAM


def store_finding(
    database: Database, name: str, number: int, kind: FindingKind, fence: int, body: dict[str, Any]
) -> None:
    """Keep what the lease's holder found. Raises NotFound, LeaseLost."""
    with database.writing() as tx:
        trial = lookup.get_trial(tx, lookup.get_study(tx, name), number)
        now = tx.now()
        if leases.renew(tx, trial.id, fence, now, reported=True) is None:
            raise LeaseLost(f"The lease of trial {number} is not yours any more; its {kind} was not kept.")
        findings.replace(tx, trial.id, kind, body, now)


def diagnosis(database: Database, name: str, number: int) -> dict[str, Any]:
    """Raises NotFound."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.get_trial(tx, study, number)
        return _required(findings.find(tx, trial.id, "diagnosis"), study, number, "diagnosis")


def errors(database: Database, name: str, number: int) -> dict[str, Any]:
    """The errors that the run uploaded, with the tags of people and the table over both. Raises NotFound."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.get_trial(tx, study, number)
        body = _required(findings.find(tx, trial.id, "errors"), study, number, "error analysis")
        given = (findings.find(tx, trial.id, "tags") or {}).get("tags", {})
    return with_tags(body, given)


def tag(database: Database, name: str, number: int, request: TagsRequest) -> dict[str, Any]:
    """Give tags to examples by their rows; an empty list takes a row's tags back. Raises NotFound."""
    with database.writing() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.lock_trial(tx, study, number)
        now = tx.now()
        body = _required(findings.find(tx, trial.id, "errors"), study, number, "error analysis")
        given = (findings.find(tx, trial.id, "tags") or {}).get("tags", {}) | request.tags
        given = {row: tags for row, tags in given.items() if tags}
        findings.replace(tx, trial.id, "tags", {"tags": given}, now)
    return with_tags(body, given)


def with_tags(body: dict[str, Any], given: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The error analysis with each mistake's tags, its own and by hand, and the table of them: how many wrong examples
    have the tag, their share, and the ceiling (how far the error falls if all of them were put right)."""
    if "mistakes" not in body:
        return body
    mistakes = [
        mistake | {"tags": list(dict.fromkeys([*mistake["tags"], *given.get(str(mistake["row"]), ())]))}
        for mistake in body["mistakes"]
    ]
    counts = Counter(tag for mistake in mistakes for tag in mistake["tags"])
    by_hand = {tag for tags in given.values() for tag in tags}
    own = [row for row in body["categories"] if row["tag"] not in by_hand]
    table = own + [_category(tag, counts[tag], body["wrong"], body["examples"]) for tag in by_hand if counts[tag]]
    table.sort(key=lambda row: (-row["count"], row["tag"]))
    return body | {"mistakes": mistakes, "categories": table}


def _category(tag: str, count: int, wrong: int, examples: int) -> dict[str, Any]:
    ceiling, after = count / examples, (wrong - count) / examples
    return {"tag": tag, "count": count, "share": count / wrong, "ceiling": ceiling, "error_after": after}


def _required(body: dict[str, Any] | None, study: StudyRow, number: int, what: str) -> dict[str, Any]:
    if body is not None:
        return body
    when = "a train task uploads it at its end"
    if str((study.task or {}).get("dataset")).startswith(STREAM):
        when = "a run on a stream uploads it from the second portion on"
    if what == "error analysis":
        when += ", where the targets are classes"
    raise NotFound(f"Trial {number} has no {what}; {when}.")
