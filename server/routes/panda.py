"""/v1/studies/{study}/trials/{number}: steer one model while it trains, and branch off from it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Header, Path, Response

from server.routes.parts import IdempotencyKey, InCounters, InDatabase, NumberPath, StudyPath
from server.services import branching, panda, timelines
from server.services.once import Once
from server.services.panda import Asked
from sturgeon import messages

router = APIRouter(prefix="/studies/{study}/trials/{number}", tags=["panda"])

ProposalPath = Annotated[int, Path(ge=1, le=messages.LARGEST_FENCE)]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^(\*|"?[0-9]{1,10}"?)$',
        description="The version of the desired state that you have seen; 412 if it is another one by now.",
    ),
]


def _seen(if_match: IfMatch = None) -> int | None:
    return None if if_match in (None, "*") else int(if_match.strip('"'))


Seen = Annotated[int | None, Depends(_seen)]
Why = Annotated[messages.SteerRequest | None, Body()]


def _asked(
    study: str, number: int, verb: str, request: messages.Request | None, seen: int | None, key: str | None
) -> Asked:
    given = request or messages.SteerRequest()
    once = Once.of(key, f"POST /studies/{study}/trials/{number}:{verb}", given)
    return Asked(study, number, seen, once, getattr(given, "reason", ""))


def _tagged(response: Response, answer: messages.Steered) -> messages.Steered:
    response.headers["ETag"] = f'"{answer.desired.version}"'
    return answer


@router.patch("/params", status_code=202)
def change_params(
    study: StudyPath,
    number: NumberPath,
    request: messages.ParamsPatch,
    database: InDatabase,
    response: Response,
    seen: Seen = None,
    key: IdempotencyKey = None,
) -> messages.Steered:
    """Change live parameters between two steps; with a guard, back to the checkpoint from before if they do harm."""
    asked = _asked(study, number, "params", request, seen, key)
    return _tagged(response, panda.change(database, asked, request.params, request.guard))


@router.post(":pause", status_code=202)
def pause_trial(
    study: StudyPath,
    number: NumberPath,
    database: InDatabase,
    response: Response,
    request: Why = None,
    seen: Seen = None,
    key: IdempotencyKey = None,
) -> messages.Steered:
    """Leave a checkpoint, and hold no slot until it is resumed."""
    return _tagged(response, panda.pause(database, _asked(study, number, "pause", request, seen, key)))


@router.post(":resume", status_code=202)
def resume_trial(
    study: StudyPath,
    number: NumberPath,
    database: InDatabase,
    response: Response,
    request: Why = None,
    seen: Seen = None,
    key: IdempotencyKey = None,
) -> messages.Steered:
    """Go on from where it was paused; takes a pause or a stop back that was not obeyed yet."""
    return _tagged(response, panda.resume(database, _asked(study, number, "resume", request, seen, key)))


@router.post(":stop", status_code=202)
def stop_trial(
    study: StudyPath,
    number: NumberPath,
    database: InDatabase,
    counters: InCounters,
    response: Response,
    request: Why = None,
    seen: Seen = None,
    key: IdempotencyKey = None,
) -> messages.Steered:
    """Finish the epoch, and tell the result: the trial is complete."""
    return _tagged(response, panda.stop(database, counters, _asked(study, number, "stop", request, seen, key)))


@router.post(":checkpoint", status_code=202)
def keep_checkpoint_now(
    study: StudyPath,
    number: NumberPath,
    database: InDatabase,
    response: Response,
    request: Why = None,
    seen: Seen = None,
    key: IdempotencyKey = None,
) -> messages.Steered:
    """Leave a checkpoint between two steps; no rule drops it."""
    return _tagged(response, panda.checkpoint(database, _asked(study, number, "checkpoint", request, seen, key)))


@router.post(":rollback", status_code=202)
def roll_trial_back(
    study: StudyPath,
    number: NumberPath,
    request: messages.RollbackRequest,
    database: InDatabase,
    response: Response,
    seen: Seen = None,
    key: IdempotencyKey = None,
) -> messages.Steered:
    """Back to a checkpoint; what came after it stays to be read, and counts for nothing."""
    asked = _asked(study, number, "rollback", request, seen, key)
    return _tagged(response, panda.rollback(database, asked, request.step, request.params))


@router.post(":fork", status_code=201)
def fork_trial(
    study: StudyPath,
    number: NumberPath,
    request: messages.ForkRequest,
    database: InDatabase,
    key: IdempotencyKey = None,
) -> messages.Page[messages.Trial]:
    """Branches that go on from one checkpoint with other parameters, and an unchanged control beside them."""
    once = Once.of(key, f"POST /studies/{study}/trials/{number}:fork", request)
    return branching.fork(database, study, number, request, once)


@router.post(":promote", status_code=201)
def promote_trial(
    study: StudyPath,
    number: NumberPath,
    request: messages.PromoteRequest,
    response: Response,
    database: InDatabase,
    key: IdempotencyKey = None,
) -> messages.Trial:
    """A new trial, a panda, that goes on from this one's best checkpoint; this one stays as it is."""
    once = Once.of(key, f"POST /studies/{study}/trials/{number}:promote", request)
    trial = branching.promote(database, study, number, request, once)
    response.headers["Location"] = f"/v1/studies/{study}/trials/{trial.number}"
    return trial


@router.get("/timeline")
def read_timeline(study: StudyPath, number: NumberPath, database: InDatabase) -> messages.Timeline:
    """What happened to the trial, whose branch it is, and the schedule that its training comes to."""
    return timelines.read(database, study, number)


@router.get("/proposals")
def list_proposals(study: StudyPath, number: NumberPath, database: InDatabase) -> messages.Page[messages.Proposal]:
    """What policies would change, the oldest first."""
    return timelines.listed_proposals(database, study, number)


@router.post("/proposals/{proposal}:accept", status_code=202)
def accept_proposal(
    study: StudyPath,
    number: NumberPath,
    proposal: ProposalPath,
    database: InDatabase,
    response: Response,
    request: Why = None,
    seen: Seen = None,
    key: IdempotencyKey = None,
) -> messages.Steered:
    """Do what the policy proposed."""
    asked = _asked(study, number, f"proposals/{proposal}:accept", request, seen, key)
    return _tagged(response, panda.accept(database, asked, proposal))


@router.post("/proposals/{proposal}:dismiss")
def dismiss_proposal(
    study: StudyPath, number: NumberPath, proposal: ProposalPath, database: InDatabase
) -> messages.Proposal:
    """Do not; the policy waits before it proposes again."""
    return panda.dismiss(database, study, number, proposal)
