"""/v1/studies/{study}/trials/{number}/diagnosis, /errors, /dataset and /versions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from server.routes.bodies import BodyRoute
from server.routes.dependencies import IdempotencyHeader, InDatabase, NumberPath, StudyPath
from server.services.idempotency import IdempotencyKey
from server.services.trials import findings
from sturgeon import messages
from sturgeon.identifiers import Fence

router = APIRouter(route_class=BodyRoute, prefix="/studies/{study}/trials/{number}", tags=["findings"])
FenceQuery = Annotated[Fence, Query(ge=1, le=messages.LARGEST_FENCE)]


@router.get("/diagnosis")
def read_diagnosis(study: StudyPath, number: NumberPath, database: InDatabase) -> dict[str, Any]:
    """Bias, variance and data mismatch of the trial's model, with what to try next."""
    return findings.diagnosis(database, study, number)


@router.get("/errors")
def read_errors(study: StudyPath, number: NumberPath, database: InDatabase) -> dict[str, Any]:
    """The misclassified examples with their tags, the table of tags with ceilings, the confusion matrix."""
    return findings.errors(database, study, number)


@router.put("/diagnosis", status_code=204)
def keep_diagnosis(
    study: StudyPath, number: NumberPath, body: messages.DiagnosisFinding, fence: FenceQuery, database: InDatabase
) -> None:
    """Upload the diagnosis, as the lease's holder."""
    findings.store_finding(database, study, number, "diagnosis", fence, body.model_dump(mode="json"))


@router.put("/errors", status_code=204)
def keep_errors(
    study: StudyPath, number: NumberPath, body: messages.ErrorsFinding, fence: FenceQuery, database: InDatabase
) -> None:
    """Upload the error analysis, as the lease's holder."""
    findings.store_finding(database, study, number, "errors", fence, body.model_dump(mode="json", exclude_unset=True))


@router.put("/dataset", status_code=204)
def keep_dataset(
    study: StudyPath, number: NumberPath, body: messages.DatasetSummary, fence: FenceQuery, database: InDatabase
) -> None:
    """Upload what the trial's data were read as, as the lease's holder."""
    findings.store_finding(database, study, number, "dataset", fence, body.model_dump(mode="json"))


@router.put("/versions", status_code=204)
def keep_versions(
    study: StudyPath, number: NumberPath, body: messages.RunVersions, fence: FenceQuery, database: InDatabase
) -> None:
    """Upload which code and data the trial's run has, as the lease's holder. A change amid a study is an event."""
    findings.store_versions(database, study, number, fence, body)


@router.put("/errors/tags")
def tag_errors(
    study: StudyPath,
    number: NumberPath,
    request: messages.TagsRequest,
    database: InDatabase,
    key: IdempotencyHeader = None,
) -> dict[str, Any]:
    """Tag misclassified examples by hand, by their rows; answers the error analysis with the new table."""
    idempotency_key = IdempotencyKey.of(key, f"PUT /studies/{study}/trials/{number}/errors/tags", request)
    return findings.tag(database, study, number, request, idempotency_key)
