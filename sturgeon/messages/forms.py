"""The parts of all messages: names, numbers, metrics, and the base of requests and of answers."""

from __future__ import annotations

from typing import Annotated, Final, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat

from sturgeon import identifiers
from sturgeon.direction import Direction as Direction
from sturgeon.strictness import Sized, Strict
from sturgeon.training import with_whole_numbers
from sturgeon.values import Name, PlainText, PlainValue

LARGEST_STEP: Final = 2**53
LARGEST_EPOCH: Final = 1_000_000_000
LARGEST_SEED: Final = 9_223_372_036_854_774_000  # 64 bits; OpenAPI writes it as a float, with 16 digits
LARGEST_FENCE: Final = 2**31 - 1
LARGEST_STACK: Final = 32
MOST_LEASES: Final = 1000
LARGEST_LOG: Final = 16_000_000  # bytes
LARGEST_GRID: Final = 100_000

STUDY_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,99}$"
WORKER_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._:@+\-]{0,199}$"

StudyName = Annotated[str, Field(pattern=STUDY_NAME)]
WorkerName = Annotated[str, Field(pattern=WORKER_NAME)]
Label = Annotated[str, Field(pattern=WORKER_NAME)]
Count = Annotated[int, Field(ge=1, le=MOST_LEASES)]
Step = Annotated[identifiers.Step, Field(ge=0, le=LARGEST_STEP)]
Epoch = Annotated[FiniteFloat, Field(ge=0, le=LARGEST_EPOCH)]
Fence = Annotated[identifiers.Fence, Field(ge=1, le=LARGEST_FENCE)]
Number = Annotated[identifiers.TrialNumber, Field(ge=0, le=LARGEST_FENCE)]
Version = Annotated[identifiers.Version, Field(ge=0, le=LARGEST_FENCE)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Metrics = Annotated[dict[Name, FiniteFloat | None], Sized(300)]
_WholeNumbers: Final = AfterValidator(with_whole_numbers)
Params = Annotated[dict[Name, PlainValue], Sized(100, every_problem=True), _WholeNumbers]
SomeParams = Annotated[dict[Name, PlainValue], Sized(100, least=1, every_problem=True), _WholeNumbers]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Fallback = Literal["contention", "error", "slow"]


class Request(Strict):
    pass


class Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", defer_build=True)


Reason = Annotated[PlainText, Field(max_length=1000, description="The reason, which is kept in the timeline.")]
Item = TypeVar("Item")


class Page(Answer, Generic[Item]):
    """One page of a list; `next_page_token` is null on the last page."""

    items: list[Item]
    next_page_token: str | None = None
