"""Ranges between neighbouring numbers: refused when the study is created, or searched like any other."""

from __future__ import annotations

import math

import httpx
import pytest

from sturgeon.scales import SCALES
from tests.running import RunningServer
from tests.server.studies import refusal

pytestmark = pytest.mark.fault("N")

LOWS = (0.2309017039945126, 0.4221165755827173, 0.9, 1e-300, 1 - 2**-52)


@pytest.mark.parametrize("low", LOWS)
def test_neighbouring_bounds_on_any_scale_give_no_server_error(
    server: RunningServer, http: httpx.Client, low: float
) -> None:
    high = math.nextafter(low, 1.0)
    ranges = {scale: {"type": "float", "low": low, "high": high, "scale": scale} for scale in SCALES}
    created = []
    for scale, range_ in ranges.items():
        body = {"name": scale, "metric": "loss", "space": {"p": range_}, "budget": {"max_trials": 20}}
        answer = http.post("/v1/studies", json=body)
        if answer.status_code != 201:
            assert refusal(answer) == (409, "contradiction")
            continue
        created.append(scale)
        assert http.post("/v1/space:preview", json={"space": {"p": range_}}).status_code == 200
        for value in (low, high):
            assert http.post(f"/v1/studies/{scale}/trials", json={"params": {"p": value}}).status_code == 201
        for number, lease in enumerate(server.client.ask(scale, 12).leases):
            assert low <= lease.params["p"] <= high
            server.client.tell(scale, lease.number, lease.fence, {"loss": float(number)})
        for page in ("best", "rounds", "importance", "replay"):
            assert http.get(f"/v1/studies/{scale}/{page}").status_code == 200
    assert {"linear", "log", "logit"} <= set(created)


def test_a_metric_that_is_not_finite_is_refused_with_what_to_send(server: RunningServer, http: httpx.Client) -> None:
    range_ = {"type": "float", "low": 0, "high": 1}
    server.client.create_study({"name": "nan", "metric": "loss", "space": {"x": range_}, "budget": {"max_trials": 1}})
    server.client.ask("nan")
    body = '{"fence": 1, "reports": [{"step": 1, "metrics": {"loss": NaN}}]}'

    answer = http.post("/v1/studies/nan/trials/0:report", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 422
    assert (
        'write a finite number, or null; the end of a run that diverged is told by {"state": "diverged"}'
        in (answer.json()["detail"])
    )


def test_a_field_that_is_no_typo_gets_no_guess(http: httpx.Client) -> None:
    body = {"name": "sweep", "metric": "loss", "program": "train.py", "space": {"x": {"type": "float"}}}
    detail = http.post("/v1/studies", json=body).json()["detail"]
    assert "program: unknown field; the fields are" in detail
