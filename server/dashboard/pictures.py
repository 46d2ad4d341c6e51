"""The pictures of the pages that compare: specifications without data, which the pages fill."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from sturgeon.plots.comparisons import compared_curves, compared_studies
from sturgeon.plots.specs import for_page

router = APIRouter(prefix="/pictures", include_in_schema=False)
ALWAYS_ASKED = {"Cache-Control": "no-cache"}


@router.get("/curves.json")
def read_compared_curves(scale: Annotated[Literal["linear", "log"], Query()] = "linear") -> Response:
    """Curves of several trials."""
    return JSONResponse(for_page(compared_curves(scale=scale)), headers=ALWAYS_ASKED)


@router.get("/studies.json")
def read_compared_studies(along: Annotated[Literal["trial", "time"], Query()] = "trial") -> Response:
    """The best so far of several studies."""
    return JSONResponse(for_page(compared_studies(along=along)), headers=ALWAYS_ASKED)
