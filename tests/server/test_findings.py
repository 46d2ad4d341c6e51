"""What runs upload of what they found: it is validated when it is uploaded, so that whoever reads it can rely on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.services import lookup
from server.store import findings
from sturgeon.errors import Invalid, LeaseLost
from sturgeon.messages import Lease
from tests.server.studies import DATASET

if TYPE_CHECKING:
    from tests.running import RunningServer

pytestmark = pytest.mark.fault("L2")

MISTAKE: dict[str, Any] = {"row": 7, "label": "4", "predicted": "9", "probability": 0.98, "tags": ["4 taken for 9"]}
CATEGORY: dict[str, Any] = {"tag": "4 taken for 9", "count": 1, "share": 1.0, "ceiling": 0.1, "error_after": 0.0}
ERRORS: dict[str, Any] = {
    "part": "dev",
    "examples": 10,
    "wrong": 1,
    "class_names": ["4", "9"],
    "confusion": [[5, 1], [0, 4]],
    "mistakes": [MISTAKE],
    "categories": [CATEGORY],
    "suspected": {"dev": [7]},
}
GAP: dict[str, Any] = {"name": "variance", "between": ["train", "dev"], "size": 0.1, "uncertainty": 0.0, "clear": True}
DIAGNOSIS: dict[str, Any] = {
    "errors": {"dev": 0.1},
    "sizes": {"dev": 10},
    "known_error": None,
    "gaps": [GAP],
    "widest": "variance",
    "advice": [],
    "warnings": [],
    "alarms": [],
}

BAD_ERRORS: dict[str, Any] = {
    "mistakes alone": {"mistakes": [{}]},
    "mistakes that are a number": {"mistakes": 1},
    "mistakes that are null": {"mistakes": None},
    "a mistake without a row": ERRORS | {"mistakes": [{k: v for k, v in MISTAKE.items() if k != "row"}]},
    "a mistake that is a list": ERRORS | {"mistakes": [[]]},
    "a tag that is a list": ERRORS | {"mistakes": [MISTAKE | {"tags": [[]]}]},
    "tags that are null": ERRORS | {"mistakes": [MISTAKE | {"tags": None}]},
    "no examples": ERRORS | {"examples": 0},
    "examples below zero": ERRORS | {"examples": -1},
    "examples beyond 2^53": ERRORS | {"examples": 2**53 + 1},
    "examples that are true": ERRORS | {"examples": True},
    "more wrong than examples": ERRORS | {"wrong": 11},
    "more mistakes than wrong": ERRORS | {"wrong": 0},
    "a category without a count": ERRORS | {"categories": [{"tag": "a"}]},
    "a category that is a text": ERRORS | {"categories": ["a"]},
    "a row below zero": ERRORS | {"mistakes": [MISTAKE | {"row": -1}]},
    "a probability above one": ERRORS | {"mistakes": [MISTAKE | {"probability": 1.5}]},
    "a NUL in a field of one's own": ERRORS | {"mine": ["a\0"]},
}
DEEP = {levels: json.loads('{"mine": ' + "[" * levels + "]" * levels + "}") for levels in (49, 50, 300, 900)}
BAD_ERRORS |= {f"{levels} lists in a field of one's own": ERRORS | DEEP[levels] for levels in (50, 300, 900)}
BAD_DIAGNOSES: dict[str, Any] = {
    "gaps alone": {"gaps": []},
    "a gap that is empty": DIAGNOSIS | {"gaps": [{}]},
    "a gap between three": DIAGNOSIS | {"gaps": [GAP | {"between": ["a", "b", "c"]}]},
    "a gap of infinite size": DIAGNOSIS | {"gaps": [GAP | {"size": "inf"}]},
    "errors that are a list": DIAGNOSIS | {"errors": []},
    "sizes below zero": DIAGNOSIS | {"sizes": {"dev": -1}},
    "advice that is a text": DIAGNOSIS | {"advice": "more data"},
    "alarms of numbers": DIAGNOSIS | {"alarms": [1]},
    "300 lists in an object of one's own": DEEP[300],
}


@pytest.mark.parametrize("what", BAD_ERRORS)
def test_an_error_analysis_that_nobody_could_read_is_refused(
    server: RunningServer, leased_trial: Lease, what: str
) -> None:
    with pytest.raises(Invalid):
        server.client.put_finding("bowl", 0, "errors", leased_trial.fence, BAD_ERRORS[what])


@pytest.mark.parametrize("what", BAD_DIAGNOSES)
def test_a_diagnosis_that_nobody_could_read_is_refused(server: RunningServer, leased_trial: Lease, what: str) -> None:
    with pytest.raises(Invalid):
        server.client.put_finding("bowl", 0, "diagnosis", leased_trial.fence, BAD_DIAGNOSES[what])


def test_whole_findings_are_read_and_tagged_as_they_came(server: RunningServer, leased_trial: Lease) -> None:
    assert server.client.trial("bowl", 0).findings == {}
    server.client.put_finding("bowl", 0, "errors", leased_trial.fence, ERRORS)
    server.client.put_finding("bowl", 0, "diagnosis", leased_trial.fence, DIAGNOSIS)

    assert list(server.client.trial("bowl", 0).findings) == ["diagnosis", "errors"]
    assert server.client.errors("bowl", 0) == ERRORS
    assert server.client.diagnosis("bowl", 0) == DIAGNOSIS
    by_hand = {"tag": "smudged", "count": 1, "share": 1.0, "ceiling": 0.1, "error_after": 0.0}
    tagged = server.client.tag_errors("bowl", 0, {"7": ["smudged"], "99": ["nobody"]})
    assert tagged["categories"] == [CATEGORY, by_hand]


@pytest.mark.parametrize("body", [{}, {"mine": 1}, {"wrong": 3}, {"gaps": 1}, {"examples": [0]}, DEEP[49]], ids=str)
def test_findings_of_another_form_are_kept_as_they_are(
    server: RunningServer, leased_trial: Lease, body: dict[str, Any]
) -> None:
    server.client.put_finding("bowl", 0, "errors", leased_trial.fence, body)

    assert server.client.errors("bowl", 0) == body
    assert server.client.tag_errors("bowl", 0, {"7": ["smudged"]}) == body


@pytest.mark.parametrize("stored", [{"mistakes": [{}]}, {"mistakes": 1}, ERRORS | {"examples": 0}], ids=str)
def test_what_was_stored_before_uploads_were_validated_is_readable(
    server: RunningServer, http: httpx.Client, leased_trial: Lease, stored: dict[str, Any]
) -> None:
    server.client.put_finding("bowl", 0, "errors", leased_trial.fence, ERRORS)
    with server.app.state.database.writing() as tx:
        trial = lookup.get_trial(tx, lookup.get_study(tx, "bowl"), leased_trial.number)
        findings.replace(tx, trial.id, "errors", stored, tx.now())

    assert http.get("/v1/studies/bowl/trials/0/errors").json() == stored
    assert http.put("/v1/studies/bowl/trials/0/errors/tags", json={"tags": {"7": ["a"]}}).json() == stored


@pytest.mark.fault("W5")
def test_what_the_data_were_read_as_is_shown_with_the_trial(server: RunningServer, leased_trial: Lease) -> None:
    client = server.client
    assert client.trial("bowl", 0).dataset is None
    client.put_finding("bowl", 0, "dataset", leased_trial.fence, DATASET)
    shown = client.trial("bowl", 0).dataset
    assert shown is not None
    assert shown.model_dump() == DATASET
    assert next(iter(client.all_trials("bowl"))).dataset is None
    with pytest.raises(Invalid):
        client.put_finding("bowl", 0, "dataset", leased_trial.fence, DATASET | {"rows": -1})
    with pytest.raises(LeaseLost):
        client.put_finding("bowl", 0, "dataset", leased_trial.fence + 7, DATASET)


@pytest.mark.fault("W5")
def test_a_run_that_only_read_its_data_before_its_lease_ran_out_spends_an_attempt(
    server: RunningServer, leased_trial: Lease
) -> None:
    server.client.put_finding("bowl", 0, "dataset", leased_trial.fence, DATASET)
    server.advance(seconds=100)
    server.expire_leases()
    trial = server.client.trial("bowl", 0)
    assert (trial.state, trial.attempt) == ("queued", 1)
