"""The pages, one route each, and the files that they load."""

from __future__ import annotations

import json
from typing import Annotated, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, FastAPI, Path, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

from server.dashboard import assets, fields, login, pictures
from server.dashboard.rendering import FOLDER, page
from sturgeon.errors import FieldProblem, Invalid, TooLarge
from sturgeon.messages import STUDY_NAME
from sturgeon.study_texts import Unreadable, read_text

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

StudyPath = Annotated[str, Path(pattern=STUDY_NAME)]


@router.get("/")
def studies(request: Request) -> Response:
    """All studies."""
    return page(request, "studies.html")


@router.get("/new")
def new_study(request: Request) -> Response:
    """A study from a form or a file."""
    return page(request, "new.html")


@router.get("/studies/{study}")
def study(request: Request, study: StudyPath) -> Response:
    """One study: its pictures, its trials, and what can be done to it."""
    return page(request, "study.html", study=study)


@router.get("/studies/{study}/trials/{number}")
def trial(request: Request, study: StudyPath, number: str) -> Response:
    """One trial: its curves, what can be done to it, and what its model gets wrong."""
    return _of_trial(request, "trial.html", study, number)


@router.get("/studies/{study}/drift/{number}")
def drift(request: Request, study: StudyPath, number: str) -> Response:
    """A trial that follows a stream: alarms, and what came of them."""
    return _of_trial(request, "drift.html", study, number)


@router.get("/studies/{study}/compare")
def compare_trials(request: Request, study: StudyPath) -> Response:
    """Trials side by side."""
    return page(request, "compare.html", study=study)


@router.get("/compare")
def compare_studies(request: Request) -> Response:
    """Studies side by side."""
    return page(request, "compare.html", study="")


@router.get("/workers")
def workers(request: Request) -> Response:
    """All workers."""
    return page(request, "workers.html")


def _of_trial(request: Request, template: str, study: str, number: str) -> Response:
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        return page(request, "missing.html", 404)
    return page(request, template, study=study, number=int(number))


LESSONS: Final = {
    4: "Bias and variance",
    14: "Random values, not a grid",
    15: "Coarse to fine",
    16: "The right scale",
    17: "Panda and caviar",
    23: "Error analysis",
    26: "Data mismatch",
    29: "End to end",
}
"""The rows of the course that have a page, as `static/js/course/lessons.js` has them."""


@router.get("/course")
def course(request: Request) -> Response:
    """The rows of the course that have a page."""
    return page(request, "course.html")


@router.get("/course/{row}")
def lesson(request: Request, row: str) -> Response:
    """A row of the course."""
    title = next((title for number, title in LESSONS.items() if str(number) == row), None)
    if title is None:
        return page(request, "missing.html", 404)
    return page(request, "lesson.html", row=row, title=title)


MOST_TEXT: Final = 200_000
"""Bytes of a file that is pasted: YAML takes long to read."""


@router.post("/new:read")
async def read_study_file(request: Request) -> Response:
    """A study's file, YAML or JSON, as the JSON that `POST /v1/studies` takes.

    Raises: TooLarge, Invalid (with `line:N` as the pointer).
    """
    body = await request.body()
    if len(body) > MOST_TEXT:
        raise TooLarge(f"A study's file has at most {MOST_TEXT} bytes here; `sturgeon study create` takes larger ones.")
    try:
        content = await run_sync(read_text, body.decode("utf-8-sig", "replace"))
    except Unreadable as error:
        problems = (FieldProblem(f"line:{error.line}", f"The text {error.what}."),) if error.line else ()
        raise Invalid(f"The text {error.what}.", problems) from None
    # In ASCII, so that a lone surrogate comes to the page, and with the study to where it is refused at its field.
    return Response(json.dumps(content), media_type="application/json")


class _Files(StaticFiles):
    """Files that a browser asks about each time, and mostly gets no answer but `304`: so it never has an old one."""

    def file_response(self, *args: object, **named: object) -> Response:
        answer: Response = super().file_response(*args, **named)  # type: ignore[arg-type]
        answer.headers["Cache-Control"] = "no-cache"
        return answer


ROUTERS: Final = (router, login.router, fields.router, pictures.router, assets.router)


def install(app: FastAPI) -> None:
    """Serve the pages, the login and the files."""
    for one in ROUTERS:
        app.include_router(one)
    app.mount("/static", _Files(directory=FOLDER / "static"), name="static")
