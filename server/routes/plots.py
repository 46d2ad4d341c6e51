"""Pictures as Vega-Lite and Vega specifications, the same as `sturgeon study plot` draws."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response

from server.routes.bodies import BodyRoute
from server.routes.dependencies import InPictures, NumberPath, StudyPath
from server.services.shown.picture_changes import LOOKS_LIKE
from sturgeon.identifiers import TrialNumber
from sturgeon.messages import LARGEST_FENCE
from sturgeon.values import Json, Name

router = APIRouter(route_class=BodyRoute, prefix="/studies/{study}", tags=["rows and curves"])

KindPath = Annotated[str, Path(pattern=r"^[a-z_]{1,40}$")]
# A server takes a head of 64 kB, and a character may be written with 12 bytes.
One = Annotated[str | None, Query(max_length=200)]
Several = Annotated[str | None, Query(max_length=2000)]


class Look:
    """How a picture looks: the options of its kind, its size, and whether its data are in it."""

    def __init__(
        self,
        fields: Several = None,
        field: One = None,
        x: One = None,
        y: One = None,
        knob: One = None,
        metric: Annotated[Name | None, Query()] = None,
        scale: Literal["linear", "log"] | None = None,
        top: Annotated[float | None, Query(ge=0.1, le=100, description="Only the best so many per cent.")] = None,
        width: Annotated[int | None, Query(ge=100, le=10_000, description="Pixels; by default its place's.")] = None,
        data: Annotated[bool, Query(description="Without it the datasets are there, and empty.")] = True,
    ) -> None:
        self.width, self.with_data = width, data
        self.options = {
            "fields": fields,
            "field": field,
            "x": x,
            "y": y,
            "knob": knob,
            "metric": metric,
            "scale": scale,
        }
        self.options |= {"top": None if top is None else f"{top:g}"}


InLook = Annotated[Look, Depends()]


@router.get("/plots/{kind}", response_model=Json)
def study_plot(
    study: StudyPath,
    kind: KindPath,
    pictures: InPictures,
    look: InLook,
    number: Annotated[
        TrialNumber | None, Query(ge=0, le=LARGEST_FENCE, description="Of a picture of a trial: its number.")
    ] = None,
) -> Response:
    """The specification of a picture of a study. Options that its kind does not take change nothing."""
    spec = pictures.draw(study, number, kind, look.options, width=look.width, with_data=look.with_data)
    return Response(spec, media_type="application/json")


@router.get("/trials/{number}/plots/{kind}", response_model=Json)
def trial_plot(
    study: StudyPath,
    number: NumberPath,
    kind: KindPath,
    pictures: InPictures,
    look: InLook,
    since: Annotated[
        str | None,
        Query(
            pattern=LOOKS_LIKE,
            description="What has changed since this cursor, at first an empty one: `{cursor, spec, datasets}`, where "
            "`spec` is null if it is as it was, and each dataset has its `rows` from `start` on.",
        ),
    ] = None,
) -> Response:
    """The specification of a picture of a trial; with `since` what has changed of it, as wide as its place."""
    if since is not None:
        return Response(pictures.changes(study, number, kind, look.options, since), media_type="application/json")
    spec = pictures.draw(study, number, kind, look.options, width=look.width, with_data=look.with_data)
    return Response(spec, media_type="application/json")
