"""/v1/space:preview."""

from __future__ import annotations

from fastapi import APIRouter

from server.routes.bodies import BodyRoute
from server.services.studies.validation import require_space
from sturgeon import messages
from sturgeon.search.preview import preview

router = APIRouter(route_class=BodyRoute, tags=["studies"])


@router.post("/space:preview")
def preview_space(request: messages.PreviewRequest) -> messages.Preview:
    """Quantiles, shares and examples of a space, before a day of compute is spent on it."""
    require_space(request.space)
    return preview(request.space, request.seed, request.examples)
