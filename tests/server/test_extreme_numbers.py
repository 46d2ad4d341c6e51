"""Extreme but valid numbers in every field: all that was written can be read back, and no duty of the server stops."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import httpx
import hypothesis
import pytest
from hypothesis import strategies as st

from server.background import Duties
from server.services import lookup
from server.services.sampling.refit import refit
from server.store.tables import trials
from sturgeon.errors import NotFound
from sturgeon.identifiers import TrialNumber
from sturgeon.scales import SCALES, ScaleName
from sturgeon.search.preview import preview
from sturgeon.space import Space
from tests.server.description import openapi
from tests.server.extreme_numbers import BODIES, FLOATS, STUDIES, Description, Json, one_replaced
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer

pytestmark = pytest.mark.fault("L2")

HUGE: Final = 1.7e308
TINY: Final = 5e-324
LONG: Final = {"spent_epochs": HUGE, "run_epoch": HUGE}
DESCRIPTION: Final = Description(openapi())
NAMES: Final = (f"s{number}" for number in itertools.count())
CREATE: Final = "POST /v1/studies"
TRIAL: Final = "/v1/studies/{study}/trials/{number}"
Draw = Callable[[st.SearchStrategy[Any]], Any]


def test_the_bodies_of_this_test_have_every_number_of_the_interface() -> None:
    bodies = [*BODIES.items(), *(("POST /v1/studies", body) for body in STUDIES.values())]

    met = {place for name, body in bodies for place, _ in DESCRIPTION.numbers(DESCRIPTION.body(name), body)}

    assert len(met) > 80
    assert DESCRIPTION.every_number() - met == set()


UNBOUNDED: Final = {
    ("Float", "low"),
    ("Float", "high"),
    ("Float", "step"),
    *(("Normal", name) for name in ("mean", "sd", "low", "high", "step")),
    *(("LogNormal", name) for name in ("mean", "sd", "low", "high", "step")),
    ("Choice", "weights"),
    ("Range", "at_least"),
    ("Range", "at_most"),
    ("Range", "above"),
    ("Range", "below"),
    ("Choice", "values"),
    ("Fixed", "value"),
    ("StopWhen", "below"),
    ("StopWhen", "above"),
    ("Diagnosis", "known_error"),
    ("GapFound", "size"),
    ("GapFound", "uncertainty"),
    ("CategoryFound", "share"),
    ("CategoryFound", "ceiling"),
    ("CategoryFound", "error_after"),
    ("EncodedColumn", "fill"),
}
"""What a metric or a parameter of one's own code may be, and findings, which nobody computes with."""


def test_every_other_number_has_a_physical_range() -> None:
    bodies = [*BODIES.items(), *(("POST /v1/studies", body) for body in STUDIES.values())]
    every = [found for name, body in bodies for found in DESCRIPTION.numbers(DESCRIPTION.body(name), body)]
    fields = [(place, schema) for place, schema in every if len(place) == 2 and "type" in schema]

    ranges = {
        place: "enum" in schema
        or (
            ("minimum" in schema or "exclusiveMinimum" in schema)
            and ("maximum" in schema or "exclusiveMaximum" in schema)
        )
        for place, schema in fields
    }

    assert {place for place, bounded in ranges.items() if not bounded} == UNBOUNDED


class Story:
    """The life of one study on one server, each number of which `draw` may replace."""

    def __init__(self, http: httpx.Client, draw: Draw) -> None:
        self._http = http
        self._draw = draw
        self.study = next(NAMES)
        self.accepted: list[str] = []

    def send(self, operation: str, body: Json, number: int = 0, query: str = "", **own: Any) -> httpx.Response:
        """A body with drawn numbers, but for those of `own`."""
        method, path = operation.split()
        sent = DESCRIPTION.varied(DESCRIPTION.body(operation), body, self._draw) | own
        answer = self._http.request(method, path.format(study=self.study, number=number) + query, json=sent)
        assert answer.status_code < 500, (operation, sent, answer.text)
        if answer.is_success:
            self.accepted.append(operation)
        return answer

    def create(self) -> list[tuple[int, int]]:
        """The study as drawn, or as it stands here where that one is refused; the numbers and fences of its leases."""
        plain = STUDIES[self._draw(st.sampled_from(sorted(STUDIES)))] | {"name": self.study}
        if not self.send("POST /v1/studies", plain).is_success:
            answer = self._http.post("/v1/studies", json=plain)
            assert answer.status_code == 201, answer.text
        ask = "/v1/studies/{study}/trials:ask"
        self.send(f"POST {ask}", BODIES[f"POST {ask}"])
        answer = self._http.post(ask.format(study=self.study), json={"count": 4, "lease_s": 60})
        leases = answer.json().get("leases", []) if answer.is_success else []
        return [(lease["number"], lease["fence"]) for lease in leases]

    def run(self, number: int, fence: int) -> None:
        """Reports, a checkpoint, findings and the end of a trial."""
        report = f"POST {TRIAL}:report"
        for at in (1, 2):
            body = BODIES[report] | {"applied_version": None, "applied_step": None}
            self.send(report, body, number, fence=fence, events=[] if at == 2 else body["events"])
        self.checkpoint(number, fence)
        for kind in ("errors", "diagnosis", "dataset", "versions"):
            self.send(f"PUT {TRIAL}/{kind}", BODIES[f"PUT {TRIAL}/{kind}"], number, f"?fence={fence}")
        tags = self._http.put(
            f"/v1/studies/{self.study}/trials/{number}/errors/tags", json={"tags": {"1": ["a"], "999999999999": ["b"]}}
        )
        assert tags.status_code < 500
        for verb in (":rollback", ":fork", ":promote"):
            self.send(f"POST {TRIAL}{verb}", BODIES[f"POST {TRIAL}{verb}"], number)
        self.send(f"PATCH {TRIAL}/params", BODIES[f"PATCH {TRIAL}/params"], number)
        self.send(f"POST {TRIAL}:tell", BODIES[f"POST {TRIAL}:tell"], number, fence=fence)

    def checkpoint(self, number: int, fence: int) -> None:
        content = b"some bytes"
        operation = DESCRIPTION.paths[f"{TRIAL}/checkpoints/{{step}}"]["put"]
        schemas = {one["name"]: one["schema"] for one in operation["parameters"]}
        plain = {"step": 2, "epoch": 2.0, "value": 0.5, "version": 0, "wanted": 0}
        sent = {name: DESCRIPTION.varied(schemas[name], value, self._draw) for name, value in plain.items()}
        step = sent.pop("step")
        answer = self._http.put(
            f"/v1/studies/{self.study}/trials/{number}/checkpoints/{step}",
            params=sent | {"fence": fence, "sha256": hashlib.sha256(content).hexdigest()},
            content=content,
        )
        assert answer.status_code < 500, (sent, answer.text)
        if answer.is_success:
            self.accepted.append("checkpoint")

    def others(self) -> None:
        """What is not about one lease."""
        for operation in (
            "PATCH /v1/studies/{study}",
            "POST /v1/space:preview",
            "POST /v1/studies/{study}/trials",
            "POST /v1/studies/{study}/trials:tell",
            "POST /v1/studies/{study}/trials:import",
            "POST /v1/leases:renew",
            f"POST {TRIAL}:release",
        ):
            self.send(operation, BODIES[operation])
        self.send("POST /v1/leases", BODIES["POST /v1/leases"], wait=0)

    def read_everything(self, numbers: list[int]) -> None:
        """Every GET, of every trial; a page of a thousand, and of one."""
        for path, methods in DESCRIPTION.paths.items():
            if "get" not in methods or "{step}" in path:
                continue
            known = {one["name"] for one in methods["get"].get("parameters", ())}
            paged = (
                {"page_size": (1, 1000)} if "page_size" in known else {"k": (1, 1000)} if "k" in known else {"": (1,)}
            )
            [(name, values)] = paged.items()
            parameters = {one["name"]: one["schema"] for one in methods["get"].get("parameters", ())}
            kinds = parameters.get("kind", {}).get("enum", [""]) if "{kind}" in path else [""]
            some = numbers if "{number}" in path and "{kind}" not in path else numbers[:1]
            for number, value, kind in itertools.product(some, values, kinds):
                query = {name: value} if name else {}
                filled = path.format(study=self.study, number=number, kind=kind, webhook=1)
                answer = self._http.get(filled, params=query)
                assert answer.status_code < 500, (path, answer.text)
                assert "NaN" not in answer.text
                assert "Infinity" not in answer.text
        for form in ("csv", "ndjson"):
            export = self._http.get(f"/v1/studies/{self.study}/trials", params={"format": form, "sort": "-value"})
            assert export.status_code in (200, 404)


@hypothesis.given(data=st.data())
@hypothesis.settings(
    max_examples=6,
    database=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=(hypothesis.Phase.generate,),
)
def test_extreme_numbers_in_any_field_can_be_read_back_and_stop_no_duty(
    server: RunningServer, http: httpx.Client, data: st.DataObject
) -> None:
    story = Story(http, data.draw)
    leases = story.create()
    for number, fence in leases[:3]:
        story.run(number, fence)
    story.others()
    server.advance(seconds=100)

    do_all_duties(server, story.study)

    numbers = [number for number, _ in leases] or [0]
    story.read_everything(numbers)
    deleted = http.delete(f"/v1/studies/{story.study}?force=true", headers={"Content-Type": "application/json"})
    assert deleted.status_code in (204, 404)


def do_all_duties(server: RunningServer, study: str) -> None:
    """What a server does by itself. What fails in it is logged as an error, which fails the test."""
    state = server.app.state
    duties = Duties(state.transactions, state.blobs, lease_s=0, max_attempts=3)
    duties()
    with suppress(NotFound):  # no valid one was drawn
        refit(state.database, state.asks.sampler_pool, study)


def test_a_study_may_have_any_extreme_number(server: RunningServer, http: httpx.Client) -> None:
    """Each number by itself, so that another one does not refuse the study."""
    met: set[tuple[str, ...]] = set()
    bodies = [each for plain in STUDIES.values() for each in one_replaced(DESCRIPTION, CREATE, plain, met)]
    created = []
    for body in bodies:
        answer = http.post("/v1/studies", json=body | {"name": (name := next(NAMES))})
        assert answer.status_code in (201, 409, 422), (body, answer.text)
        if answer.is_success:
            created.append(name)
            asked = http.post(f"/v1/studies/{name}/trials:ask", json={"lease_s": 10})
            assert asked.status_code in (200, 409), (body, asked.text)
            for lease in asked.json().get("leases", ()):
                server.client.tell(name, lease["number"], lease["fence"], {body["metric"]: 0.5})
            answer = http.get(f"/v1/studies/{name}/best")
            assert answer.status_code == 200, (body, answer.text)
    server.advance(seconds=11)

    do_all_duties(server, created[-1])

    assert len(met) > 40
    assert len(created) > len(bodies) / 2
    assert http.get("/v1/studies?page_size=1000").status_code == 200


@pytest.mark.parametrize("scale", SCALES)
def test_a_space_with_extreme_ends_is_refused_or_previewed(scale: ScaleName) -> None:
    ends = sorted({*FLOATS, math.nextafter(1, 0), math.nextafter(1, 2), 0.5, math.nextafter(0.5, 1), 1e-16})
    previewed = 0
    for low, high in itertools.combinations(ends, 2):
        space = Space.model_validate({"x": {"type": "float", "low": low, "high": high, "scale": scale}})
        if not space.problems():
            previewed += 1
            told = preview(space, 0, 5).model_dump()
            values = [*told["parameters"]["x"]["quantiles"].values(), *(one["x"] for one in told["examples"])]
            assert all(low <= value <= high for value in values), (low, high, values)
    assert previewed > 5


# --- what was found ---


@pytest.fixture
def extreme_study(server: RunningServer) -> Callable[..., list[int]]:
    """Create a study of this name with more fields; the fences of its first two trials, held for ten seconds."""

    def create(name: str, **fields: Any) -> list[int]:
        server.client.create_study(BOWL | {"name": name} | fields)
        return [lease.fence for lease in server.client.ask(name, count=2, lease_s=10).leases]

    return create


@pytest.mark.parametrize("epoch", [1.7e308, 1e19, 1_000_000_001, -1, -5e-324])
@pytest.mark.parametrize("rule", ["none", "median", "asha"])
def test_an_epoch_outside_of_its_range_is_refused(
    http: httpx.Client, extreme_study: Callable[..., list[int]], epoch: float, rule: str
) -> None:
    fence, _ = extreme_study("aaa", pruning={"rule": rule})
    body = {"fence": fence, "reports": [{"step": 1, "epoch": epoch, "metrics": {"loss": 1}}]}

    assert http.post("/v1/studies/aaa/trials/0:report", json=body).status_code == 422
    put = f"/v1/studies/aaa/trials/0/checkpoints/1?fence={fence}&epoch={epoch}&sha256=" + "0" * 64
    assert http.put(put, content=b"x", headers={"Content-Type": "application/octet-stream"}).status_code == 422


def test_epochs_stored_before_they_were_limited_stop_no_later_study(
    server: RunningServer, http: httpx.Client, extreme_study: Callable[..., list[int]]
) -> None:
    """Two trials of 1.7e308 epochs: their sum is beyond a float."""
    goal = {"max_trials": 4, "max_epochs": 10, "stop_when": {"below": -1}}
    extreme_study("aaa", budget=goal)
    extreme_study("zzz")
    with server.app.state.database.writing() as tx:
        study = lookup.get_study(tx, "aaa")
        for number in (TrialNumber(0), TrialNumber(1)):
            tx.execute(trials.update().where(trials.c.id == lookup.get_trial(tx, study, number).id).values(LONG))
    server.advance(seconds=11)

    server.expire_leases()

    assert [server.client.trial(name, 0).state for name in ("aaa", "zzz")] == ["queued", "queued"]
    assert http.get("/v1/studies").status_code == 200
    assert http.delete("/v1/studies/aaa", params={"force": True}).status_code == 204


@pytest.mark.parametrize(
    "values", [(TINY, TINY), (TINY, -TINY), (HUGE, HUGE), (HUGE, -HUGE), (-HUGE, TINY), (1e-308, 1e308)]
)
def test_replicates_with_extreme_scores_are_compared(
    server: RunningServer, http: httpx.Client, extreme_study: Callable[..., list[int]], values: tuple[float, float]
) -> None:
    fences = extreme_study("twins", search={"sampler": "random", "seed": 7, "replicates": 2})
    for number, (fence, value) in enumerate(zip(fences, values, strict=True)):
        server.client.tell("twins", number, fence, {"loss": value})

    assert server.client.study("twins").best is not None
    assert http.get("/v1/studies/twins/best?k=10").status_code == 200
    assert http.get("/v1/studies").status_code == 200


def test_tiny_scores_without_replicates_keep_their_order(
    server: RunningServer, extreme_study: Callable[..., list[int]]
) -> None:
    for number, (fence, value) in enumerate(zip(extreme_study("tiny"), (2e-310, 1e-310), strict=True)):
        server.client.tell("tiny", number, fence, {"loss": value})

    best = server.client.study("tiny").best
    assert best is not None
    assert best.value == 1e-310
