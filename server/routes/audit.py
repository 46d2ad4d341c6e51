"""/v1/audit: who has changed what."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BeforeValidator
from pydantic_core import PydanticCustomError

from server.routes.bodies import BodyRoute
from server.routes.dependencies import InDatabase, PageSize, PageToken
from server.services import audit
from sturgeon import messages

_WRITTEN: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}:\d{2})")


def _as_written(text: object) -> object:
    """Raises: PydanticCustomError (it is a number, which pydantic takes for seconds, or has no time or zone)."""
    if isinstance(text, str) and not _WRITTEN.fullmatch(text):
        raise PydanticCustomError("moment", "write a date, a time and its zone, such as 2026-11-28T14:30:00Z")
    return text


Moment = Annotated[AwareDatetime, BeforeValidator(_as_written)]
router = APIRouter(route_class=BodyRoute, tags=["audit"])


@router.get("/audit")
def list_audit(
    database: InDatabase,
    actor: Annotated[str | None, Query(pattern=messages.WORKER_NAME, description="Of one token, by its name.")] = None,
    action: Annotated[str | None, Query(pattern=messages.ACTION, description="Such as `study.delete`.")] = None,
    study: Annotated[str | None, Query(pattern=messages.STUDY_NAME)] = None,
    since: Annotated[Moment | None, Query(description="From this moment on.")] = None,
    until: Annotated[Moment | None, Query(description="Before this moment.")] = None,
    page_size: PageSize = 100,
    page_token: PageToken = None,
) -> messages.Page[messages.AuditEntry]:
    """What people and programs have changed, the newest first. The work of workers is not in it."""
    return audit.listing(
        database, page_size, page_token, actor=actor, action=action, study=study, since=since, until=until
    )
