"""What a run has found out: the diagnosis of its model, and its errors, which people may tag by hand.

Most runs upload them at their end; a run on a stream uploads them while it goes on. What its data were read as a run
uploads at its beginning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ValidationError

from server.services import lookup
from server.services.idempotency import IdempotencyKey, claim_or_replay, store_answer
from server.services.runs import versions
from server.store import findings, holders, leases
from server.store.engine import Database
from server.store.json_columns import Json
from server.store.studies import StudyRow
from sturgeon.errors import LeaseLost, NotFound
from sturgeon.identifiers import Fence, TrialNumber
from sturgeon.messages import ErrorAnalysis, FindingKind, RunVersions, TagsRequest
from sturgeon.training import STREAM


def store_finding(
    database: Database, name: str, number: TrialNumber, kind: FindingKind, fence: Fence, body: Json
) -> None:
    """Store what the lease's holder has found. Raises: NotFound, LeaseLost."""
    with database.writing() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.get_trial(tx, study, number)
        now = tx.now()
        # To have read its data is no work that a crash would lose: another crash costs an attempt all the same.
        work = {} if kind == "dataset" else {"reported": True}
        if leases.renew(tx, trial, fence, **work) is None:
            if holders.was_held(tx, study, trial, fence) and findings.find(tx, trial.id, kind) == body:
                return  # the same upload came before
            raise LeaseLost(f"The lease of trial {number} is not yours any more; its {kind} was not stored.")
        findings.replace(tx, trial.id, kind, body, now)


def store_versions(database: Database, name: str, number: TrialNumber, fence: Fence, told: RunVersions) -> None:
    """Store the code and the data that the lease's holder runs with. Raises: NotFound, LeaseLost."""
    with database.writing() as tx:
        study = lookup.lock_study(tx, name)
        trial = lookup.lock_trial(tx, study, number)
        if (renewed := leases.renew(tx, trial, fence)) is not None:
            versions.record(tx, study, [renewed], told, tx.now())
        elif not holders.was_held(tx, study, trial, fence):
            raise LeaseLost(f"The lease of trial {number} is not yours any more; its versions were not stored.")


def diagnosis(database: Database, name: str, number: TrialNumber) -> Json:
    """The diagnosis that the run uploaded. Raises: NotFound."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.get_trial(tx, study, number)
        return _required(findings.find(tx, trial.id, "diagnosis"), study, number, "diagnosis")


def errors(database: Database, name: str, number: TrialNumber) -> Json:
    """The errors that the run uploaded, with the tags of people and the table over both. Raises: NotFound."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.get_trial(tx, study, number)
        body = _required(findings.find(tx, trial.id, "errors"), study, number, "error analysis")
        tags_of_rows = (findings.find(tx, trial.id, "tags") or {}).get("tags", {})
    return with_tags(body, tags_of_rows)


class TagsByHand(BaseModel):
    """The tags that people gave, by row."""

    tags: dict[str, list[str]]


def tag(database: Database, name: str, number: TrialNumber, request: TagsRequest, key: IdempotencyKey) -> Json:
    """Tag examples by their rows; an empty list removes a row's tags. Raises: NotFound, IdempotencyMismatch."""
    with database.writing() as tx:
        study = lookup.get_study(tx, name)
        trial = lookup.lock_trial(tx, study, number)
        now = tx.now()
        body = _required(findings.find(tx, trial.id, "errors"), study, number, "error analysis")
        if (answered := claim_or_replay(tx, key, TagsByHand, study)) is not None:
            return with_tags(body, answered.tags)
        tags_of_rows = (findings.find(tx, trial.id, "tags") or {}).get("tags", {}) | request.tags
        tags_of_rows = {row: tags for row, tags in tags_of_rows.items() if tags}
        findings.replace(tx, trial.id, "tags", {"tags": tags_of_rows}, now)
        store_answer(tx, key, TagsByHand(tags=tags_of_rows))
    return with_tags(body, tags_of_rows)


def with_tags(body: Json, tags_of_rows: Mapping[str, Sequence[str]]) -> Json:
    """The error analysis with the tags of each mistake, those of the run and those by hand, and with the table of tags.

    tags_of_rows: the tags by hand of each row. The table says of each tag how many mistakes have it, which share of
    all mistakes they are, and the ceiling: how far the error would fall if all of them were put right.
    """
    if not _is_error_analysis(body):
        return body
    mistakes = [
        mistake | {"tags": list(dict.fromkeys([*mistake["tags"], *tags_of_rows.get(str(mistake["row"]), ())]))}
        for mistake in body["mistakes"]
    ]
    counts = Counter(tag for mistake in mistakes for tag in mistake["tags"])
    by_hand = {tag for tags in tags_of_rows.values() for tag in tags}
    own = [row for row in body["categories"] if row["tag"] not in by_hand]
    table = own + [_category(tag, counts[tag], body["wrong"], body["examples"]) for tag in by_hand if counts[tag]]
    table.sort(key=lambda row: (-row["count"], row["tag"]))
    return body | {"mistakes": mistakes, "categories": table}


def _is_error_analysis(body: Json) -> bool:
    """Not so of own code's objects of another form, nor of what was stored before uploads were validated."""
    try:
        ErrorAnalysis.model_validate(body)
    except ValidationError:
        return False
    return True


def _category(tag: str, count: int, wrong: int, examples: int) -> Json:
    ceiling, after = count / examples, (wrong - count) / examples
    return {"tag": tag, "count": count, "share": count / wrong, "ceiling": ceiling, "error_after": after}


def _required(body: Json | None, study: StudyRow, number: TrialNumber, what: str) -> Json:
    if body is not None:
        return body
    when = "a train task uploads it at its end"
    if str((study.task or {}).get("dataset")).startswith(STREAM):
        when = "a run on a stream uploads it from the second portion on"
    if what == "error analysis":
        when += ", where the targets are classes"
    raise NotFound(f"Trial {number} has no {what}; {when}.")
