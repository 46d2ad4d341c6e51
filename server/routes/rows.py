"""What tables and pictures are made of: a study's rows and curves, and all studies at a glance.

The answers are large, so they are made and written in the thread of the request, once, and not by FastAPI again.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from server.routes.bodies import BodyRoute
from server.routes.dependencies import (
    InCurveMemo,
    InDatabase,
    InOverviews,
    InReach,
    InRecentTables,
    NumberPath,
    StudyPath,
)
from server.services.shown import all_metrics, curves, rows, trial_curves
from server.services.shown.all_metrics import Form
from server.services.shown.cursors import LOOKS_LIKE
from server.services.shown.curves import Wanted
from server.services.shown.thinning import LEAST
from sturgeon import messages
from sturgeon.values import Name

router = APIRouter(route_class=BodyRoute, tags=["rows and curves"])

MOST_POINTS: Final = 5_000
JSON: Final = "application/json"

Since = Annotated[
    str | None, Query(pattern=LOOKS_LIKE, description="The cursor of an answer: only what has changed since.")
]
Points = Annotated[int, Query(ge=LEAST, le=MOST_POINTS, description="So many points of a curve at most.")]
Numbers = Annotated[
    str | None,
    Query(pattern=r"^[0-9]{1,9}(,[0-9]{1,9})*$", max_length=10_000, description="Only these trials: 3,7,12"),
]


@router.get("/studies:overview", response_model=messages.Overview)
def overview(database: InDatabase, overviews: InOverviews, reach: InReach) -> Response:
    """All studies at a glance, the newest first: counts, the best, and how it came to be."""
    return Response(overviews.read(database, reach=reach).model_dump_json(), media_type=JSON)


@router.get("/studies/{study}/rows", response_model=messages.Table)
def list_rows(study: StudyPath, database: InDatabase, tables: InRecentTables, since: Since = None) -> Response:
    """The trials as flat rows, by number. Of more than 20,000 trials the newest, and the best 2,000 of the others."""
    table = tables.read(study, may_grow=False) if since is None else rows.rows_since(database, study, since)
    return Response(rows.as_json(table), media_type=JSON)


@router.get("/studies/{study}/curves", response_model=messages.Curves)
def list_curves(
    study: StudyPath,
    database: InDatabase,
    memo: InCurveMemo,
    points: Points = 200,
    metric: Annotated[Name | None, Query(description="By default that of the study.")] = None,
    numbers: Numbers = None,
    since: Since = None,
) -> Response:
    """One metric of up to 1,000 trials, the newest, of the reports that count. The ends and the extremes are kept."""
    chosen = None if numbers is None else [int(number) for number in numbers.split(",")][: curves.MOST]
    return Response(curves.curves(database, memo, study, Wanted(points, metric, chosen, since)), media_type=JSON)


@router.get("/studies/{study}/trials/{number}/curves", response_model=messages.TrialCurves)
def read_trial_curves(study: StudyPath, number: NumberPath, database: InDatabase, points: Points = 500) -> Response:
    """Every metric of a trial, and what was changed while it ran."""
    found = trial_curves.read_trial_curves(database, study, number, points)
    return Response(found.model_dump_json(), media_type=JSON)


MEDIA_TYPES: Final[dict[Form, str]] = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
FILES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {media_type.partition(";")[0]: {} for media_type in MEDIA_TYPES.values()}}
}


@router.get("/studies/{study}/metrics", response_class=StreamingResponse, responses=FILES)
def export_metrics(
    study: StudyPath,
    database: InDatabase,
    format: Annotated[Form, Query(description="parquet where the server has pyarrow (`sturgeon[parquet]`).")] = "csv",
) -> StreamingResponse:
    """All metrics of all trials, a row for each report that counts, by trial and step."""
    return StreamingResponse(all_metrics.all_metrics(database, study, format), media_type=MEDIA_TYPES[format])
