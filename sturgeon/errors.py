"""All errors that Sturgeon raises, in the server and in clients.

    SturgeonError
    ├── ServerUnreachable            (client only: no answer)
    │   ├── BrokenOff
    │   └── ClientClosed
    ├── MissingExtra                 (an extra of the package is not installed)
    └── Problem                      (an answer of the server: RFC 9457)
        ├── BadRequest          400
        ├── Unauthorized        401
        ├── Forbidden           403
        ├── NotFound            404
        ├── MethodNotAllowed    405
        ├── Conflict            409
        │   ├── LeaseLost
        │   ├── StudyExists
        │   ├── StudyBusy
        │   ├── WrongState
        │   ├── ReportConflict
        │   ├── TrialFinished
        │   ├── BudgetSpent
        │   └── IdempotencyMismatch
        ├── PreconditionFailed  412
        ├── TooLarge            413
        │   └── QuotaExceeded
        ├── UnsupportedMediaType 415
        ├── Invalid             422
        │   └── Contradiction   409  (its form is right, so the description of the interface allows it)
        ├── TooManyWrongTokens  429
        ├── InternalError       500
        └── Unavailable         503
            └── Overloaded

A class's docstring is its default message. `code` is its stable name in answers: the client raises the
class that the server raised.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple


class FieldProblem(NamedTuple):
    """One bad field: `pointer` is a JSON pointer into the body (or `query:name`), `detail` says what to write."""

    pointer: str
    detail: str


def json_pointer(*parts: str | int) -> str:
    """The JSON pointer (RFC 6901) to a field, from the names and places on the way to it: `~` and `/` are escaped."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


class SturgeonError(Exception):
    """Something went wrong in Sturgeon."""

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (self.__doc__ or "").strip()
        super().__init__(self.message)


class ServerUnreachable(SturgeonError):
    """The server did not answer. Is it running, and is the address right?"""


class BrokenOff(ServerUnreachable):
    """The server went away in mid-answer."""


class ClientClosed(ServerUnreachable):
    """The client has been closed."""


class MissingExtra(SturgeonError, ImportError):
    """A part of Sturgeon needs packages that are not installed; the sentence names the extra that brings them."""


class Problem(SturgeonError):
    """The server refused the request."""

    code: ClassVar[str] = "problem"
    status: ClassVar[int] = 500

    def __init__(self, message: str | None = None, errors: tuple[FieldProblem, ...] = ()) -> None:
        super().__init__(message)
        self.errors = errors


class BadRequest(Problem):
    """The request could not be read."""

    code = "bad_request"
    status = 400


class Unauthorized(Problem):
    """This server needs its token: send `Authorization: Bearer TOKEN`."""

    code = "unauthorized"
    status = 401


class Forbidden(Problem):
    """This may not be done from there."""

    code = "forbidden"
    status = 403


class NotFound(Problem):
    """There is no such thing here."""

    code = "not_found"
    status = 404


class MethodNotAllowed(Problem):
    """This address does not take that method."""

    code = "method_not_allowed"
    status = 405


class Conflict(Problem):
    """The request conflicts with the present state."""

    code = "conflict"
    status = 409


class IdempotencyMismatch(Conflict):
    """This Idempotency-Key was used before with another request; use a new key."""

    code = "idempotency_mismatch"


class LeaseLost(Conflict):
    """The lease is not yours any more; what you sent changed nothing."""

    code = "lease_lost"


class StudyExists(Conflict):
    """A study of that name already exists; choose another name."""

    code = "study_exists"


class StudyBusy(Conflict):
    """Trials of this study are running; wait for them, or add ?force=true."""

    code = "study_busy"


class WrongState(Conflict):
    """That move is not allowed from the present state."""

    code = "wrong_state"


class ReportConflict(Conflict):
    """That step was already reported with other values."""

    code = "report_conflict"


class TrialFinished(Conflict):
    """The trial has finished; its result can no longer be changed."""

    code = "trial_finished"


class BudgetSpent(Conflict):
    """The study's budget is spent; raise max_trials to go on."""

    code = "budget_spent"


class PreconditionFailed(Problem):
    """It has been changed since you read it; read it again."""

    code = "precondition_failed"
    status = 412


class TooLarge(Problem):
    """The body is larger than this server takes."""

    code = "too_large"
    status = 413


class QuotaExceeded(TooLarge):
    """The study has no room left for it."""

    code = "quota_exceeded"


class UnsupportedMediaType(Problem):
    """Send JSON, with the header `Content-Type: application/json`."""

    code = "unsupported_media_type"
    status = 415


class Invalid(Problem):
    """The request is not valid."""

    code = "invalid"
    status = 422


class Contradiction(Invalid):
    """What the request says does not go together, or does not fit what is stored."""

    code = "contradiction"
    status = 409


class TooManyWrongTokens(Problem):
    """Too many wrong tokens came from this address; wait before you send another one."""

    code = "too_many_wrong_tokens"
    status = 429

    def __init__(
        self, message: str | None = None, errors: tuple[FieldProblem, ...] = (), retry_after_s: int = 60
    ) -> None:
        super().__init__(message, errors)
        self.retry_after_s = retry_after_s


class InternalError(Problem):
    """The server failed unexpectedly; its log says where."""

    code = "internal_error"
    status = 500


class Unavailable(Problem):
    """The server cannot reach its database just now; try again in a moment."""

    code = "unavailable"
    status = 503
    retry_after_s: ClassVar[int] = 1


class Overloaded(Unavailable):
    """More requests wait than the server can answer soon; try again in a moment."""

    code = "overloaded"


def problem_classes() -> dict[str, type[Problem]]:
    """Wire code -> class, for every problem in the tree above."""
    found: dict[str, type[Problem]] = {}
    todo: list[type[Problem]] = [Problem]
    while todo:
        cls = todo.pop()
        found[cls.code] = cls
        todo.extend(cls.__subclasses__())
    return found
