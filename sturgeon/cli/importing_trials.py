"""`sturgeon import optuna URL`: brings finished trials into a study."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

from sturgeon.cli.inputs import WrongInput
from sturgeon.cli.output import cell, print_json, say
from sturgeon.cli.session import Session
from sturgeon.errors import NotFound

if TYPE_CHECKING:
    from sturgeon.client import Client
    from sturgeon.importers.drafts import Draft
    from sturgeon.importers.optuna_storage import StoredStudy
    from sturgeon.messages import ImportedOne

AT_ONCE: Final = 100


def import_storage(session: Session, url: str, study: str | None, name: str | None, trials: int | None) -> None:
    """Create the study if there is none of its name, and import the trials that it does not have yet."""
    from sturgeon.importers.drafts import CannotImport
    from sturgeon.importers.optuna_storage import read_storage

    try:
        stored = read_storage(url, study)
    except CannotImport as error:
        raise WrongInput(error.message) from None
    if name is not None:
        stored.draft.study["name"] = name
    if trials is not None:
        stored.draft.study["budget"]["max_trials"] = trials
    with session.client() as client:
        items = _imported(client, stored)
    outcomes = Counter("known" if item.known else "imported" if item.code is None else "refused" for item in items)
    if session.json:
        notes = {"unsaid": stored.draft.unsaid, "assumed": stored.draft.assumed}
        return print_json(
            {
                "study": stored.draft.study["name"],
                **dict(outcomes),
                "items": [one.model_dump(mode="json") for one in items],
            }
            | notes
        )
    print_notes(stored.draft)
    for item in items:
        if item.code is not None:
            say(f"Not imported: {cell(item.key)}: {cell(item.detail)}", sys.stderr)
    refused = f", {outcomes['refused']} do not fit" if outcomes["refused"] else ""
    counted = f"{outcomes['imported']} trials imported, {outcomes['known']} were there already{refused}."
    return say(f"{cell(stored.draft.study['name'])}: {counted}")


def _imported(client: Client, stored: StoredStudy) -> list[ImportedOne]:
    name = stored.draft.study["name"]
    try:
        client.study(name)
    except NotFound:
        client.create_study(stored.draft.study)
    items: list[ImportedOne] = []
    for start in range(0, len(stored.trials), AT_ONCE):
        items += client.import_trials(name, stored.trials[start : start + AT_ONCE]).items
    return items


def print_notes(draft: Draft) -> None:
    """On standard error: what could not be said, and what was not said."""
    for sentence in draft.unsaid:
        say(f"Not imported: {cell(sentence)}", sys.stderr)
    for sentence in draft.assumed:
        say(f"Note: {cell(sentence)}", sys.stderr)
