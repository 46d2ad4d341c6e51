"""Whatever text stands wherever one may stand: it is kept as it is, to the last bit, or refused."""

from __future__ import annotations

import copy
import csv
import io
import itertools
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import httpx
import hypothesis
import pytest
from hypothesis import strategies as st

from server.services.exports import FORMULA_STARTS
from tests.server.description import openapi
from tests.server.extreme_numbers import TRAIN, Description
from tests.server.studies import refusal
from tests.server.text_bodies import HARD, OWN, TRIAL, WHOLE
from tests.server.text_fields import KEY, Texts

if TYPE_CHECKING:
    from tests.running import RunningServer

Json = dict[str, Any]
DESCRIPTION: Final = Description(openapi())
TEXTS: Final = Texts(openapi())
NAMES: Final = (f"t{number}" for number in itertools.count())
PER_PLACE: Final = 2
"""Texts that `make test` puts into each place, other ones in the next; `make test-long` puts all of them into each."""
JSON: Final = {"Content-Type": "application/json"}
OF_SEVERAL: Final = ("trials:tell", "trials:import")
"""Each is taken or refused by itself."""
OF_TRIALS: Final = (*OF_SEVERAL, "trials:ask")
OF_A_PANDA: Final = (
    "/params",
    ":pause",
    ":resume",
    ":stop",
    ":checkpoint",
    ":rollback",
    ":fork",
    ":promote",
    ":accept",
)
READ_AFTER: Final = {
    "/v1/studies": ("", "/revisions"),
    "/trials/{number}": ("/trials/{number}", *(f"/trials/{{number}}/{part}" for part in
        ("timeline", "metrics", "errors", "diagnosis", "dataset")), "/events?newest_first=true&page_size=20"),
}  # fmt: skip
NOT_KEPT: Final = {
    "LeaseRequest.labels": "what a worker is given fits to it; nobody else needs it",
    "LeaseRequest.only": "as its labels",
    "LeaseRequest.skip": "as its labels",
    "Held.study": "a lease that is not its own is told as lost",
}
LISTS: Final = ("Diagnosis.gaps", "ErrorAnalysis.mistakes", "ErrorAnalysis.categories")
OF_ENTRIES: Final = {f"{field}{end}" for field in LISTS for end in ("", KEY)}
"""Lists whose entries have a message of their own, beside which the description lets them be anything."""
ANY: Final = st.text(st.characters(exclude_categories=()), max_size=40)


def words(operation: str, body: Json) -> dict[str, set[str]]:
    """The words of a body that stand where a text may, with the places where they do."""
    found: dict[str, set[str]] = {}

    def walk(schema: Json, value: Any, place: str) -> None:
        schema = DESCRIPTION.resolved(schema, value)
        if isinstance(value, dict):
            model = schema.get("title", place) if "properties" in schema else None
            for name, one in value.items():
                if model is None:
                    found.setdefault(name, set()).add(place + KEY)
                walk(DESCRIPTION.entry(schema, name), one, place if model is None else f"{model}.{name}")
        elif isinstance(value, list):
            for one in value:
                walk(schema.get("items", {}), one, place)
        elif isinstance(value, str) and "enum" not in schema and "const" not in schema:
            found.setdefault(value, set()).add(place)

    walk(DESCRIPTION.body(operation), body, "")
    return found


def replaced(body: Any, word: str, text: str) -> Any:
    """The body with another text wherever a word stands, as a value or as a name."""
    if isinstance(body, dict):
        return {(text if name == word else name): replaced(one, word, text) for name, one in body.items()}
    if isinstance(body, list):
        return [replaced(one, word, text) for one in body]
    return text if body == word else copy.deepcopy(body)


PLACES: Final = [
    (operation, body, word, places)
    for operation, bodies in WHOLE.items()
    for body in bodies
    for word, places in words(operation, body).items()
]


def test_the_bodies_of_this_test_have_every_text_of_the_interface() -> None:
    met: dict[str, set[str]] = {}
    for operation, _, _, places in PLACES:
        met.setdefault(operation, set()).update(places)

    described = TEXTS.of_bodies()

    assert len(set().union(*described.values())) > 100
    missing = {operation: places - met.get(operation, set()) for operation, places in described.items()}
    everywhere = set().union(*met.values()) | OF_ENTRIES
    assert {operation: left for operation, places in missing.items() if (left := places - everywhere)} == {}


class Writer:
    """Sends bodies, to trials that it holds."""

    def __init__(self, server: RunningServer, http: httpx.Client) -> None:
        self._server, self._http = server, http
        self.study, self._panda = next(NAMES), next(NAMES)
        for body in (OWN | {"name": self.study}, TRAIN | {"name": self._panda}):
            assert self._sent("POST", "/v1/studies", body).status_code == 201
        self.kept: set[str] = set()

    def send(self, operation: str, body: Json, text: str, places: set[str]) -> None:
        """Send it, and look for the text in what is read afterwards, if it was taken."""
        method, path = operation.split()
        study, number, body = self._of(path, body)
        address = path.format(study=study, number=number, proposal=1)
        if method == "PUT" and not path.endswith("/tags"):
            address += f"?fence={self._fence}"
        answer = self._sent(method, address, body)
        if not answer.is_success:
            assert 400 <= answer.status_code < 500, (operation, body, answer.text)
            refusal(answer)
            assert len(answer.content) < 20_000, (operation, "it repeats what was sent")
            return
        if places <= NOT_KEPT.keys():
            return
        if path.endswith(OF_SEVERAL):
            [one] = answer.json()["items"]
            if one["code"] is not None:
                return
            number = one["number"]
        elif path.endswith("trials:ask"):
            [one] = answer.json()["leases"]
            number = one["number"]
        told = self._read(path, body.get("name", study) if path == "/v1/studies" else study, number)
        found = any(text in one for read in itertools.chain([answer.text], told) for one in strings(read))
        assert found, (operation, places, text, answer.text)
        self.kept |= places

    def _of(self, path: str, body: Json) -> tuple[str, int, Json]:
        """Where it goes, with the fence of a trial that is held here."""
        self._fence = 1
        if "{number}" not in path and not path.endswith("trials:tell"):
            text = json.dumps(body).replace('"a-name"', f'"{next(NAMES)}"').replace('"elsewhere:1"', f'"{next(NAMES)}"')
            return self.study, 0, json.loads(text)
        if path.endswith(OF_A_PANDA):
            return self._panda, 0, body
        [lease] = self._server.client.ask(self.study, worker="ada", lease_s=600).leases
        self._fence = lease.fence
        if "tells" in body:
            return (
                self.study,
                lease.number,
                {"tells": [body["tells"][0] | {"number": lease.number, "fence": lease.fence}]},
            )
        return self.study, lease.number, body | {"fence": lease.fence} if "fence" in body else body

    def _sent(self, method: str, path: str, body: Json) -> httpx.Response:
        return self._http.request(method, path, content=json.dumps(body), headers=JSON)

    def _read(self, path: str, study: str, number: int) -> Iterator[str]:
        about = "/trials/{number}" if "{number}" in path or path.endswith(OF_TRIALS) else "/v1/studies"
        for one in READ_AFTER[about]:
            answer = self._http.get(f"/v1/studies/{study}{one.format(number=number)}")
            if answer.is_success:
                yield answer.text
        if about == "/v1/studies":
            yield from (self._http.get(f"/v1/{what}").text for what in ("workers", "webhooks", "tokens"))


def strings(told: str) -> Iterator[str]:
    """All texts in an answer, names among them."""
    todo = [json.loads(told)] if told else []
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            yield from one
            todo += one.values()
        elif isinstance(one, list):
            todo += one
        elif isinstance(one, str):
            yield one


@pytest.fixture
def writer(server: RunningServer, http: httpx.Client) -> Writer:
    return Writer(server, http)


def test_a_text_is_kept_as_it_is_or_refused(writer: Writer) -> None:
    every = list(HARD.values())
    for at, (operation, body, word, places) in enumerate(PLACES):
        for number in range(PER_PLACE):
            text = every[(PER_PLACE * at + number) % len(every)]
            writer.send(operation, replaced(body, word, text), text, places)
    assert len(writer.kept) > 30, sorted(writer.kept)


@pytest.mark.long
def test_each_text_is_kept_as_it_is_or_refused_in_each_place(writer: Writer) -> None:
    for operation, body, word, places in PLACES:
        for text in HARD.values():
            writer.send(operation, replaced(body, word, text), text, places)
    assert len(writer.kept) > 60, sorted(writer.kept)


def test_any_made_up_text_is_kept_as_it_is_or_refused(writer: Writer) -> None:
    @hypothesis.settings(max_examples=25, database=None, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(st.sampled_from(PLACES), ANY)
    def sends(place: tuple[str, Json, str, set[str]], text: str) -> None:
        operation, body, word, places = place
        writer.send(operation, replaced(body, word, text), text, places)

    sends()


def test_a_text_in_an_address_or_a_header_is_taken_or_refused(http: httpx.Client, writer: Writer) -> None:
    known = {"study": writer.study, "number": "0", "step": "1", "webhook": "1", "proposal": "1", "kind": "history"}
    every = list(HARD.values())
    parameters = list(TEXTS.parameters())
    for at, (operation, where, name) in enumerate(parameters):
        method, path = operation.split()
        text = every[at % len(every)][:2000]
        sent = text.encode("utf-8", "surrogatepass")
        values = {each: quote(value) for each, value in (known | {"worker": "w", "token": "t"}).items()}
        query, headers = "", dict(JSON)
        if where == "path":
            values[name] = quote(sent, safe="") or "%20"
        elif where == "query":
            query = f"?{name}={quote(sent, safe='')}"
        else:
            headers[name] = sent.translate(None, bytes([0, 10, 13])).decode("latin-1").strip().encode("latin-1")
        answer = http.request(method, path.format(**values) + query, headers=headers)
        assert answer.status_code < 500, (operation, where, name, text)
        if answer.status_code >= 400:
            refusal(answer)
    assert len(parameters) > 80


def test_what_goes_out_as_a_page_or_a_table_is_harmless(http: httpx.Client, writer: Writer) -> None:
    hostile = [
        text for text in HARD.values() if 0 < len(text) < 100 and not set(text) & set("\0\ud800\udfff\ud83d\ude00")
    ]
    for text in hostile:
        writer.send(f"POST {TRIAL}:tell", {"fence": 1, "state": "failed", "error": text, "retry": False}, text, set())
        writer.send("POST /v1/studies", OWN | {"name": "a-name", "title": text, "notes": text}, text, set())
        http.patch(f"/v1/studies/{writer.study}", json={"title": text, "notes": text})
        for page in ("/", f"/studies/{writer.study}", f"/studies/{writer.study}/trials/0"):
            told = http.get(page, headers={"Accept": "text/html"})
            assert "<script>alert" not in told.text
            assert ' onmouseover="alert' not in told.text
    table = http.get(f"/v1/studies/{writer.study}/trials?format=csv").text
    rows = list(csv.reader(io.StringIO(table, newline="")))
    lines = http.get(f"/v1/studies/{writer.study}/trials?format=ndjson").text.split("\n")

    assert {len(row) for row in rows} == {len(rows[0])}
    cells = [cell for row in rows[1:] for cell in row if cell and not is_number(cell)]
    assert [cell for cell in cells if cell.lstrip(" \n").startswith(FORMULA_STARTS)] == []
    errors = {json.loads(line)["error"] for line in lines if line}
    assert set(hostile) <= errors


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
