"""/v1/studies/{study}/trials/{number}: steer one model while it trains, and branch off from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Header, Path, Response

from server.routes.bodies import BodyRoute
from server.routes.dependencies import IdempotencyHeader, InDatabase, InTransactions, NumberPath, StudyPath
from server.services.idempotency import IdempotencyKey
from server.services.panda import branches, commands, lineage, timeline
from server.services.panda.commands import SteeringRequest
from sturgeon import messages

router = APIRouter(route_class=BodyRoute, prefix="/studies/{study}/trials/{number}", tags=["panda"])

ProposalPath = Annotated[int, Path(ge=1, le=messages.LARGEST_FENCE)]
IfMatch = Annotated[
    str | None,
    # The description tells of it with status 412: a value that somebody makes up by its pattern is refused.
    Header(alias="If-Match", pattern=r'^(\*|"[0-9]{1,10}"|[0-9]{1,10})$', include_in_schema=False),
]


def _seen(if_match: IfMatch = None) -> int | None:
    return None if if_match in (None, "*") else int(if_match.strip('"'))


Why = Annotated[messages.SteerRequest | None, Body()]


@dataclass(frozen=True)
class Steering:
    """What all verbs have in common: the trial, the version that the client has seen of it, and the idempotency key."""

    study: StudyPath
    number: NumberPath
    seen: Annotated[int | None, Depends(_seen)]
    response: Response
    key: IdempotencyHeader = None

    def request(self, verb: str, body: messages.Request | None) -> SteeringRequest:
        given = body or messages.SteerRequest()
        idempotency_key = IdempotencyKey.of(self.key, f"POST /studies/{self.study}/trials/{self.number}:{verb}", given)
        return SteeringRequest(self.study, self.number, self.seen, idempotency_key, getattr(given, "reason", ""))

    def tagged(self, answer: messages.Steered) -> messages.Steered:
        """The answer, with the version that If-Match is compared with next time."""
        self.response.headers["ETag"] = f'"{answer.desired.version}"'
        return answer


Steer = Annotated[Steering, Depends()]


@router.patch("/params", status_code=202)
def change_params(steer: Steer, request: messages.ParamsPatch, transactions: InTransactions) -> messages.Steered:
    """Change live parameters between two steps; with a guard, back to the checkpoint from before if they do harm."""
    return steer.tagged(commands.change(transactions, steer.request("params", request), request.params, request.guard))


@router.post(":pause", status_code=202)
def pause_trial(steer: Steer, transactions: InTransactions, request: Why = None) -> messages.Steered:
    """Leave a checkpoint, and hold no slot until it is resumed."""
    return steer.tagged(commands.pause(transactions, steer.request("pause", request)))


@router.post(":resume", status_code=202)
def resume_trial(steer: Steer, transactions: InTransactions, request: Why = None) -> messages.Steered:
    """Go on from where it was paused; takes a pause or a stop back that was not obeyed yet."""
    return steer.tagged(commands.resume(transactions, steer.request("resume", request)))


@router.post(":stop", status_code=202)
def stop_trial(steer: Steer, transactions: InTransactions, request: Why = None) -> messages.Steered:
    """Finish the epoch, and tell the result: the trial is complete."""
    return steer.tagged(commands.stop(transactions, steer.request("stop", request)))


@router.post(":checkpoint", status_code=202)
def keep_checkpoint_now(steer: Steer, transactions: InTransactions, request: Why = None) -> messages.Steered:
    """Leave a checkpoint between two steps; no rule drops it."""
    return steer.tagged(commands.checkpoint(transactions, steer.request("checkpoint", request)))


@router.post(":rollback", status_code=202)
def roll_trial_back(steer: Steer, request: messages.RollbackRequest, transactions: InTransactions) -> messages.Steered:
    """Back to a checkpoint; what came after it stays to be read, and counts for nothing."""
    return steer.tagged(
        commands.rollback(transactions, steer.request("rollback", request), request.step, request.params)
    )


@router.post(":fork", status_code=201)
def fork_trial(
    study: StudyPath,
    number: NumberPath,
    request: messages.ForkRequest,
    transactions: InTransactions,
    key: IdempotencyHeader = None,
) -> messages.Page[messages.Trial]:
    """Branches that go on from one checkpoint with other parameters, and an unchanged control beside them."""
    idempotency_key = IdempotencyKey.of(key, f"POST /studies/{study}/trials/{number}:fork", request)
    return branches.fork(transactions, study, number, request, idempotency_key)


@router.post(":promote", status_code=201)
def promote_trial(
    study: StudyPath,
    number: NumberPath,
    request: messages.PromoteRequest,
    response: Response,
    transactions: InTransactions,
    key: IdempotencyHeader = None,
) -> messages.Trial:
    """A new trial, a panda, that goes on from this one's best checkpoint; this one stays as it is."""
    idempotency_key = IdempotencyKey.of(key, f"POST /studies/{study}/trials/{number}:promote", request)
    trial = branches.promote(transactions, study, number, request, idempotency_key)
    response.headers["Location"] = f"/v1/studies/{study}/trials/{trial.number}"
    return trial


@router.get("/timeline")
def read_timeline(study: StudyPath, number: NumberPath, database: InDatabase) -> messages.Timeline:
    """What happened to the trial, whose branch it is, and the schedule that its training comes to."""
    return timeline.read(database, study, number)


@router.get("/lineage")
def read_lineage(study: StudyPath, number: NumberPath, database: InDatabase) -> messages.Lineage:
    """The whole tree of forks and promoted trials that the trial belongs to."""
    return lineage.read(database, study, number)


@router.get("/proposals")
def list_proposals(study: StudyPath, number: NumberPath, database: InDatabase) -> messages.Page[messages.Proposal]:
    """What policies would change, the oldest first."""
    return timeline.list_proposals(database, study, number)


@router.post("/proposals/{proposal}:accept", status_code=202)
def accept_proposal(
    steer: Steer, proposal: ProposalPath, transactions: InTransactions, request: Why = None
) -> messages.Steered:
    """Do what the policy proposed."""
    return steer.tagged(commands.accept(transactions, steer.request(f"proposals/{proposal}:accept", request), proposal))


@router.post("/proposals/{proposal}:dismiss")
def dismiss_proposal(
    study: StudyPath, number: NumberPath, proposal: ProposalPath, transactions: InTransactions
) -> messages.Proposal:
    """Do not; the policy waits before it proposes again."""
    return commands.dismiss(transactions, study, number, proposal)
