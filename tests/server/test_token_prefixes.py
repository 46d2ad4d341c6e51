"""Which studies a token is for: how prefixes are compared, and what is refused of a study by another name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from server.store import studies
from server.store.reach import EVERY_STUDY, Reach
from sturgeon.client import Client
from tests.server.studies import BOWL, DIGITS, NOT_VALID, Json, refusal
from tests.server.tokens import SHARED_TOKEN, with_token

if TYPE_CHECKING:
    from tests.running import RunningServer

OWN: Final = "mnist-a"
OTHER: Final = "classified"
ABSENT: Final = "nowhere"
NAMED: Final = ("mnistXa", "Mnist-a", "mnist", "mnist_", "mnist_a", "mnist_A", "mnist-a", "xmnist_")


@pytest.mark.parametrize(
    ("prefixes", "own"),
    [
        (["Mnist_"], []),
        (["mnist_"], ["mnist_", "mnist_a", "mnist_A"]),
        (["mnist_a"], ["mnist_a"]),
        (["mnist_a."], []),
        (["m"], ["mnistXa", "mnist", "mnist_", "mnist_a", "mnist_A", "mnist-a"]),
        (["mnist-", "M", "mnist-", "mnist-a"], ["Mnist-a", "mnist-a"]),
    ],
)
def test_a_prefix_is_compared_letter_for_letter(prefixes: list[str], own: list[str]) -> None:
    reach = Reach.of(prefixes, "ada")

    assert [name for name in NAMED if reach.includes(name)] == own
    assert all(EVERY_STUDY.includes(name) for name in NAMED)
    assert not any(Reach.of([], "ada").includes(name) for name in NAMED)


def test_the_database_compares_prefixes_in_the_same_way(guarded: RunningServer) -> None:
    for name in NAMED:
        guarded.client.create_study(BOWL | {"name": name})
    database = guarded.app.state.database
    for prefixes in (["mnist_"], ["Mnist_"], ["m"], ["mnist_a."], ["mnist-", "M"], [], None):
        reach = Reach.of(prefixes, "ada")
        own = [name for name in NAMED if reach.includes(name)]

        with database.reading() as tx:
            assert [row.name for row in studies.page(tx, 0, 100, reach=reach)] == own

    token = guarded.client.create_token("ada", ["read"], studies=["mnist_"])
    with Client(guarded.url, token=token.token) as client:  # full pages, and no page of nothing at the end
        pages = [page := client.studies(page_size=2), client.studies(page_size=2, page_token=page.next_page_token)]
    assert [[one.name for one in page.items] for page in pages] == [["mnist_", "mnist_a"], ["mnist_A"]]
    assert pages[1].next_page_token is None


FORMS: Final[dict[str, Json]] = {
    "a fixed field": {"task": DIGITS["task"] | {"fixed": {"hidden_units": 16, "start_from": "{}/0"}}},
    "the space": {"space": DIGITS["space"] | {"start_from": {"type": "fixed", "value": "{}/0"}}},
    "under a condition": {
        "space": DIGITS["space"]
        | {"start_from": {"type": "fixed", "value": "{}/0", "when": {"learning_rate": {"at_least": 0.01}}}}
    },
    "what a panda hides": {
        "mode": "panda",
        "budget": {"max_trials": 2},
        "task": DIGITS["task"] | {"fixed": {"hidden_units": 16, "start_from": "{}/0"}},
        "params": {"learning_rate": 0.1, "start_from": f"{OWN}/0"},
    },
    "a panda": {"mode": "panda", "budget": {"max_trials": 1}, "params": {"learning_rate": 0.1, "start_from": "{}/0"}},
}


def naming(form: Json, study: str) -> Json:
    """The form with the study in it."""
    made: Json = json.loads(json.dumps(form).replace("{}", study))
    return made


def test_no_study_begins_with_the_weights_of_another_one(guarded_sqlite: RunningServer) -> None:
    """Any worker would fetch them, also one that may read all studies."""
    server = guarded_sqlite
    for name in (OTHER, OWN):
        server.client.create_study(DIGITS | {"name": name})
    token = server.client.create_token("ada", ["write"], studies=["mnist-"])
    with with_token(server, token.token) as http:
        refusals = []
        for study in (OTHER, ABSENT):
            edit = naming(FORMS["the space"], study) | {"added": {"start_from": f"{study}/0"}}
            refusals.append(http.patch(f"/v1/studies/{OWN}", json=edit))
        for form in FORMS.values():
            for study in (OTHER, ABSENT):
                made = DIGITS | {"name": "mnist-b"} | naming(form, study)
                refusals += [http.post(f"/v1/studies{query}", json=made) for query in ("", "?dry_run=true")]
        for place, form in enumerate(FORMS.values()):
            made = http.post("/v1/studies", json=DIGITS | {"name": f"mnist-from-{place}"} | naming(form, OWN))
            assert made.status_code == 201, made.text

    assert {refusal(answer) for answer in refusals} == {(403, "forbidden")}
    assert len({answer.text for answer in refusals}) == 1
    assert len(server.client.studies().items) == 2 + len(FORMS)


def test_a_study_beyond_the_prefix_is_not_created(guarded_sqlite: RunningServer) -> None:
    server = guarded_sqlite
    server.client.create_study(BOWL | {"name": OTHER})
    token = server.client.create_token("ada", ["write"], studies=["mnist-"])
    with with_token(server, token.token) as http:
        refusals = [
            http.post(f"/v1/studies{query}", json=BOWL | {"name": name})
            for name in (OTHER, ABSENT, "Mnist-a", "mnist")
            for query in ("", "?dry_run=true")
        ]
        assert http.post("/v1/studies", json=BOWL | {"name": "mnist-"}).status_code == 201

    assert {refusal(answer) for answer in refusals} == {(403, "forbidden")}
    assert len({answer.text for answer in refusals}) == 1
    assert [one.name for one in server.client.studies().items] == [OTHER, "mnist-"]


IMPOSSIBLE: Final[tuple[tuple[list[str], object], ...]] = (
    *((["read"], [prefix]) for prefix in ("", "%", "mnist%", "-", "a b", "x" * 81, "mnist-\n", "é", None, 7)),
    (["read"], []),
    (["read"], ["x"] * 101),
    (["read"], "mnist-"),
    (["admin"], ["mnist-"]),
    (["read", "admin"], ["mnist-"]),
)


def test_a_token_of_studies_that_cannot_be_is_refused(guarded_sqlite: RunningServer) -> None:
    with with_token(guarded_sqlite, SHARED_TOKEN) as http:
        for scopes, prefixes in IMPOSSIBLE:
            answer = http.post("/v1/tokens", json={"name": "ada", "scopes": scopes, "studies": prefixes})

            assert refusal(answer) in NOT_VALID, prefixes
            assert answer.json()["errors"][0]["pointer"].startswith("/studies"), prefixes
    assert guarded_sqlite.client.tokens().items == []


def test_a_token_says_which_studies_it_is_for(guarded: RunningServer) -> None:
    made = guarded.client.create_token("ada", ["read"], studies=["mnist-", "digits-", "mnist-"])
    every = guarded.client.create_token("bob", ["admin"])

    assert (made.studies, every.studies) == (["digits-", "mnist-"], None)
    assert [one.studies for one in guarded.client.tokens().items] == [["digits-", "mnist-"], None]
