"""What people write of studies and trials, and the code and the data that runs had."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field

from sturgeon.identifiers import TrialNumber
from sturgeon.messages.forms import LARGEST_STEP, Answer, Request, Sha256
from sturgeon.strictness import Sized
from sturgeon.values import Json, PlainText

TAG = r"^[A-Za-z0-9][A-Za-z0-9._:/@+\-]{0,63}$"


def _once(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


Tag = Annotated[str, Field(pattern=TAG)]
Tags = Annotated[list[Tag], Sized(50), AfterValidator(_once)]
Notes = Annotated[PlainText, Field(max_length=10_000)]


class CodeVersion(Request):
    """The commit of the code that a run has. `dirty`: files differ from it; then `diff` is a hash of the difference."""

    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40,64}$")]
    dirty: bool = False
    diff: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] | None = None


class DataVersion(Request):
    """A fingerprint of the files that a run reads: the SHA-256 of their names, sizes and contents. `partial`: they are
    large, and only parts of their contents were read for it."""

    sha256: Sha256
    files: Annotated[int, Field(ge=0, le=LARGEST_STEP)]
    size: Annotated[int, Field(ge=0, le=LARGEST_STEP)]
    partial: bool = False


class RunVersions(Request):
    """`PUT .../{n}/versions`: the code and the data of a run, as the lease's holder finds them."""

    code: CodeVersion | None = None
    data: DataVersion | None = None


class VersionChange(Answer):
    """The newest change of the code or the data amid a study: from trial `number` on it was another."""

    what: Literal["code", "data"]
    number: TrialNumber
    was: Json
    now: Json
    at: AwareDatetime


class TrialPatch(Request):
    """`PATCH /studies/{study}/trials/{n}`: changes what is given."""

    tags: Tags | None = None
    notes: Notes | None = None
