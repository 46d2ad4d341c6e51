"""Every module of routes, and what each address is for: the one place that says which scope a token needs there, and
what a token of some studies may ask for.

A route that is not named here keeps the server from starting, and so does a name without a route.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from fastapi import APIRouter

from server.request_context import UNRECORDED
from server.request_context import WORK as WORK_ACTION
from server.routes import (
    audit,
    checkpoints,
    explaining,
    findings,
    health,
    leases,
    logs,
    observing,
    panda,
    plots,
    preview,
    rows,
    streaming,
    studies,
    tokens,
    trials,
    webhooks,
)
from server.scopes import ADMIN, OPEN, READ, READ_OR_WORK, WORK, WRITE, Needed
from sturgeon.errors import SturgeonError

_OF_STUDIES: Final = (studies, explaining)
_OF_TRIALS: Final = (trials, panda, leases, checkpoints, findings, logs)
_OF_THE_SERVER: Final = (observing, preview, rows, plots, streaming, webhooks, tokens, audit)
ROUTERS: Final[tuple[tuple[APIRouter, str], ...]] = (
    *((module.router, "/v1") for module in (*_OF_STUDIES, *_OF_TRIALS, *_OF_THE_SERVER)),
    (health.router, ""),
)
"""Each router with its prefix, in the order in which the app looks through them."""

_STUDY: Final = "/v1/studies/{study}"
_TRIAL: Final = _STUDY + "/trials/{number}"
SCOPES: Final[Mapping[str, Needed]] = {
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "GET /metrics": READ,
    # studies
    "POST /v1/studies": WRITE,
    "GET /v1/studies": READ,
    "GET /v1/studies:overview": READ,
    "POST /v1/space:preview": READ,
    f"GET {_STUDY}": READ,
    f"PATCH {_STUDY}": WRITE,
    f"DELETE {_STUDY}": WRITE,
    f"GET {_STUDY}/best": READ,
    f"GET {_STUDY}/rounds": READ,
    f"GET {_STUDY}/importance": READ,
    f"GET {_STUDY}/replay": READ,
    f"GET {_STUDY}/events": READ,
    f"GET {_STUDY}/revisions": READ,
    f"GET {_STUDY}/late-results": READ,
    f"GET {_STUDY}/rows": READ,
    f"GET {_STUDY}/curves": READ,
    f"GET {_STUDY}/metrics": READ,
    f"GET {_STUDY}/plots/{{kind}}": READ,
    f"GET {_STUDY}/stream": READ,
    "GET /v1/stream": READ,
    # trials
    f"GET {_STUDY}/trials": READ,
    f"POST {_STUDY}/trials": WRITE,
    f"POST {_STUDY}/trials:import": WRITE,
    f"GET {_STUDY}/trials/{{number:segment}}": READ,
    f"PATCH {_STUDY}/trials/{{number:segment}}": WRITE,
    f"GET {_TRIAL}/metrics": READ,
    f"GET {_TRIAL}/curves": READ,
    f"GET {_TRIAL}/plots/{{kind}}": READ,
    f"GET {_TRIAL}/log": READ,
    f"GET {_TRIAL}/diagnosis": READ,
    f"GET {_TRIAL}/errors": READ,
    f"PUT {_TRIAL}/errors/tags": WRITE,
    f"POST {_TRIAL}:requeue": WRITE,
    f"POST {_TRIAL}:invalidate": WRITE,
    f"POST {_TRIAL}:cancel": WRITE,
    # steering
    f"PATCH {_TRIAL}/params": WRITE,
    f"POST {_TRIAL}:pause": WRITE,
    f"POST {_TRIAL}:resume": WRITE,
    f"POST {_TRIAL}:stop": WRITE,
    f"POST {_TRIAL}:checkpoint": WRITE,
    f"POST {_TRIAL}:rollback": WRITE,
    f"POST {_TRIAL}:fork": WRITE,
    f"POST {_TRIAL}:promote": WRITE,
    f"GET {_TRIAL}/timeline": READ,
    f"GET {_TRIAL}/lineage": READ,
    f"GET {_TRIAL}/proposals": READ,
    f"POST {_TRIAL}/proposals/{{proposal}}:accept": WRITE,
    f"POST {_TRIAL}/proposals/{{proposal}}:dismiss": WRITE,
    # work: under a lease, or to get one
    "POST /v1/leases": WORK,
    "POST /v1/leases:renew": WORK,
    f"POST {_STUDY}/trials:ask": WORK,
    f"POST {_STUDY}/trials:tell": WORK,
    f"POST {_TRIAL}:report": WORK,
    f"POST {_TRIAL}:tell": WORK,
    f"POST {_TRIAL}:release": WORK,
    f"GET {_TRIAL}/checkpoints": READ_OR_WORK,
    f"GET {_TRIAL}/checkpoints/best": READ_OR_WORK,
    f"GET {_TRIAL}/checkpoints/{{step:step}}": READ_OR_WORK,
    f"PUT {_TRIAL}/checkpoints/{{step:step}}": WORK,
    f"PUT {_TRIAL}/diagnosis": WORK,
    f"PUT {_TRIAL}/errors": WORK,
    f"PUT {_TRIAL}/dataset": WORK,
    f"PUT {_TRIAL}/versions": WORK,
    f"PUT {_TRIAL}/log": WORK,
    # the server itself
    "GET /v1/workers": READ,
    "POST /v1/workers/{worker}:drain": ADMIN,
    "POST /v1/webhooks": ADMIN,
    "GET /v1/webhooks": ADMIN,
    "DELETE /v1/webhooks/{webhook:segment}": ADMIN,
    "POST /v1/webhooks/{webhook}:test": ADMIN,
    "GET /v1/webhooks/{webhook}/deliveries": ADMIN,
    "POST /v1/tokens": ADMIN,
    "GET /v1/tokens": ADMIN,
    "DELETE /v1/tokens/{token}": ADMIN,
    "GET /v1/audit": ADMIN,
    # pages, and what they load
    "GET /login": OPEN,
    "POST /login": OPEN,
    "POST /logout": OPEN,
    "GET /static/vega-{version}.js": OPEN,
    "GET /static/vega-themes.json": OPEN,
    "GET /": READ,
    "GET /new": READ,
    "POST /new:read": READ,
    "GET /studies/{study}": READ,
    "GET /studies/{study}/trials/{number}": READ,
    "GET /studies/{study}/drift/{number}": READ,
    "GET /studies/{study}/compare": READ,
    "GET /compare": READ,
    "GET /workers": READ,
    "GET /course": READ,
    "GET /course/{row}": READ,
    "GET /fields/live.json": READ,
    "GET /pictures/curves.json": READ,
    "GET /pictures/studies.json": READ,
}

ACROSS: Final[frozenset[str]] = frozenset(
    {
        # These take `InReach`, and answer and change what is of the token's studies alone.
        "POST /v1/studies",
        "GET /v1/studies",
        "GET /v1/studies:overview",
        "GET /v1/stream",
        "GET /v1/workers",
        "POST /v1/leases",
        "POST /v1/leases:renew",
        # These know of no study.
        "POST /v1/space:preview",
        "GET /",
        "GET /new",
        "POST /new:read",
        "GET /compare",
        "GET /workers",
        "GET /course",
        "GET /course/{row}",
        "GET /fields/live.json",
        "GET /pictures/curves.json",
        "GET /pictures/studies.json",
    }
)
"""The routes that name no study in their address, and that a token of some studies may ask all the same. An address
with a study needs no entry: the token has to be for that one. All others, such as `/metrics`, are refused: they are of
all studies."""

ACTIONS: Final[Mapping[str, str]] = {
    "POST /v1/studies": "study.create",
    f"PATCH {_STUDY}": "study.change",
    f"DELETE {_STUDY}": "study.delete",
    "POST /v1/space:preview": UNRECORDED,
    f"POST {_STUDY}/trials": "trial.enqueue",
    f"POST {_STUDY}/trials:import": "trial.import",
    f"PATCH {_STUDY}/trials/{{number:segment}}": "trial.describe",
    f"PUT {_TRIAL}/errors/tags": "trial.tag",
    f"POST {_TRIAL}:requeue": "trial.requeue",
    f"POST {_TRIAL}:invalidate": "trial.invalidate",
    f"POST {_TRIAL}:cancel": "trial.cancel",
    f"PATCH {_TRIAL}/params": "trial.params",
    f"POST {_TRIAL}:pause": "trial.pause",
    f"POST {_TRIAL}:resume": "trial.resume",
    f"POST {_TRIAL}:stop": "trial.stop",
    f"POST {_TRIAL}:checkpoint": "trial.checkpoint",
    f"POST {_TRIAL}:rollback": "trial.rollback",
    f"POST {_TRIAL}:fork": "trial.fork",
    f"POST {_TRIAL}:promote": "trial.promote",
    f"POST {_TRIAL}/proposals/{{proposal}}:accept": "proposal.accept",
    f"POST {_TRIAL}/proposals/{{proposal}}:dismiss": "proposal.dismiss",
    "POST /v1/leases": WORK_ACTION,
    "POST /v1/leases:renew": WORK_ACTION,
    f"POST {_STUDY}/trials:ask": WORK_ACTION,
    f"POST {_STUDY}/trials:tell": WORK_ACTION,
    f"POST {_TRIAL}:report": WORK_ACTION,
    f"POST {_TRIAL}:tell": WORK_ACTION,
    f"POST {_TRIAL}:release": WORK_ACTION,
    f"PUT {_TRIAL}/checkpoints/{{step:step}}": WORK_ACTION,
    f"PUT {_TRIAL}/diagnosis": WORK_ACTION,
    f"PUT {_TRIAL}/errors": WORK_ACTION,
    f"PUT {_TRIAL}/dataset": WORK_ACTION,
    f"PUT {_TRIAL}/versions": WORK_ACTION,
    f"PUT {_TRIAL}/log": WORK_ACTION,
    "POST /v1/workers/{worker}:drain": "worker.drain",
    "POST /v1/webhooks": "webhook.create",
    "DELETE /v1/webhooks/{webhook:segment}": "webhook.delete",
    "POST /v1/webhooks/{webhook}:test": "webhook.test",
    "POST /v1/tokens": "token.create",
    "DELETE /v1/tokens/{token}": "token.revoke",
    "POST /login": UNRECORDED,
    "POST /logout": UNRECORDED,
    "POST /new:read": UNRECORDED,
}
"""What each route that may change something does, as the audit trail has it. A route that is not named here keeps the
server from starting, and so does a name without a route."""


def require_actions(routes: Iterable[tuple[str, str]]) -> None:
    """routes: the method and the path of each. Raises: SturgeonError (ACTIONS and the routes are not the same)."""
    changing = {f"{method} {path}" for method, path in routes if method not in ("GET", "HEAD")}
    if changing != ACTIONS.keys():
        wrong = ", ".join(sorted(changing ^ ACTIONS.keys()))
        raise SturgeonError(f"server/routes/table.py names no action for these routes, or they do not exist: {wrong}.")
