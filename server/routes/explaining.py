"""/v1/studies/{study}/rounds, /importance and /replay: why a sample is where it is, and that it can be shown."""

from __future__ import annotations

from fastapi import APIRouter

from server.routes.bodies import BodyRoute
from server.routes.dependencies import InAsks, InDatabase, PageSize, PageToken, StudyPath
from server.services.sampling import replay, rounds
from sturgeon import messages

router = APIRouter(route_class=BodyRoute, tags=["studies"])


@router.get("/studies/{study}/rounds")
def study_rounds(study: StudyPath, database: InDatabase, asks: InAsks) -> messages.Rounds:
    """The rounds of coarse to fine: boxes in real units, importance bars, elites, and ranges that seem too narrow."""
    return rounds.list_rounds(database, asks.sampler_pool, study)


@router.get("/studies/{study}/importance")
def study_importance(study: StudyPath, database: InDatabase, asks: InAsks) -> messages.Importance:
    """Which parameters change the score, with the spread over the last rounds and the number of results behind it."""
    return rounds.importance(database, asks.sampler_pool, study)


@router.get("/studies/{study}/replay")
def replay_study(
    study: StudyPath, database: InDatabase, asks: InAsks, page_size: PageSize = 100, page_token: PageToken = None
) -> messages.Replay:
    """Derive the samples of a page of trials again from the record: `exact`, or how far off, under which numerics."""
    return replay.replay(database, asks.sampler_pool, study, page_size, page_token)
