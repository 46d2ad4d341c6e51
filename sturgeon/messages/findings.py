"""What a run uploads of what it has found out about its model. Own code may upload objects of another form."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, FiniteFloat, RootModel, Tag, model_validator

from sturgeon.messages.forms import LARGEST_STEP
from sturgeon.strictness import Sized, WholeNumbers
from sturgeon.values import Json, PlainText, bad_form, plain_text

FindingKind = Literal["diagnosis", "errors", "dataset", "versions"]
Size = Annotated[int, Field(ge=0, le=LARGEST_STEP)]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Texts = Annotated[list[PlainText], Sized(1000)]
Parts = Sized(100)
RowNumber = Annotated[str, Field(pattern=r"^[0-9]{1,12}$")]
Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$")]
Names = Annotated[list[Annotated[PlainText, Field(max_length=100)]], Sized(100)]
MOST_MISTAKES = 10_000
MOST_LEVELS = 50  # of lists and objects within each other: JSON is not written beyond some hundreds


class _Known(WholeNumbers):
    """Fields that readers rely on; others stay as they are."""

    model_config = ConfigDict(extra="allow", strict=True)


class GapFound(_Known):
    name: PlainText
    between: Annotated[list[PlainText], Sized(2, least=2)]
    size: FiniteFloat
    uncertainty: FiniteFloat
    clear: bool


class Diagnosis(_Known):
    """Errors by part, and the gaps between them."""

    errors: Annotated[dict[PlainText, FiniteFloat], Parts]
    sizes: Annotated[dict[PlainText, Size], Parts]
    known_error: FiniteFloat | None = None
    gaps: Annotated[list[GapFound], Sized(100)]
    widest: PlainText | None = None
    advice: Texts
    warnings: Texts
    alarms: Texts


class MistakeFound(_Known):
    row: Size
    label: PlainText
    predicted: PlainText
    probability: Share
    tags: Annotated[list[PlainText], Sized(50)]


class CategoryFound(_Known):
    tag: PlainText
    count: Size
    share: FiniteFloat
    ceiling: FiniteFloat
    error_after: FiniteFloat


class PicturesFound(WholeNumbers):
    """Small pictures of mistakes, by row: base64 of a byte (0 black, 255 white) for each pixel and channel."""

    model_config = ConfigDict(extra="forbid", strict=True)

    height: Annotated[int, Field(ge=1, le=64)]
    width: Annotated[int, Field(ge=1, le=64)]
    channels: Literal[1, 3]
    pixels: Annotated[dict[RowNumber, Base64], Sized(MOST_MISTAKES)]

    @model_validator(mode="after")
    def _are_whole(self) -> Self:
        size = self.height * self.width * self.channels
        if any(len(text) != 4 * -(-size // 3) for text in self.pixels.values()):
            raise ValueError("pixels: write a byte for each pixel and channel, in base64")
        return self


class ErrorAnalysis(_Known):
    """The misclassified examples among `examples`, the surest first, and their table of categories."""

    part: PlainText
    examples: Annotated[int, Field(ge=1, le=LARGEST_STEP)]
    wrong: Size
    mistakes: Annotated[list[MistakeFound], Sized(MOST_MISTAKES)]
    categories: Annotated[list[CategoryFound], Sized(MOST_MISTAKES)]
    pictures: PicturesFound | None = Field(None, description="Of the mistakes, if the inputs are pictures.")

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        if self.wrong > self.examples:
            raise ValueError("wrong: write at most as many as examples")
        if len(self.mistakes) > self.wrong:
            raise ValueError("mistakes: write at most as many as wrong")
        return self


def _of_kind(kind: str, key: str, model: type[_Known]) -> Discriminator:
    def tag(body: object) -> str:
        return kind if isinstance(body, model) or (isinstance(body, dict) and key in body) else "other"

    return Discriminator(tag)


class _Finding(WholeNumbers):
    @model_validator(mode="before")
    @classmethod
    def _is_plain(cls, body: object) -> object:
        return plain_json(body) if isinstance(body, dict) else body


def _without(key: str) -> Any:
    return Field(json_schema_extra={"not": {"required": [key]}})


class DiagnosisFinding(
    _Finding,
    RootModel[
        Annotated[
            Annotated[Diagnosis, Tag("gaps")] | Annotated[dict[str, Any], _without("gaps"), Tag("other")],
            _of_kind("gaps", "gaps", Diagnosis),
        ]
    ],
):
    """`PUT .../{n}/diagnosis`: with `gaps` it is a whole diagnosis, else an object of your own form."""


class ErrorsFinding(
    _Finding,
    RootModel[
        Annotated[
            Annotated[ErrorAnalysis, Tag("mistakes")] | Annotated[dict[str, Any], _without("mistakes"), Tag("other")],
            _of_kind("mistakes", "mistakes", ErrorAnalysis),
        ]
    ],
):
    """`PUT .../{n}/errors`: with `mistakes` it is a whole error analysis, else an object of your own form."""


class EncodedColumn(_Finding):
    """What a column of a csv file becomes: a number stays, a date is days since 1970, each category is an input."""

    model_config = ConfigDict(extra="forbid", strict=True)

    column: PlainText
    kind: Literal["number", "date", "category"]
    inputs: Size = Field(description="How many inputs of the network it becomes.")
    missing: Size = Field(description="Cells without a value,")
    fill: float | PlainText = Field(description="and what stands in for them.")
    categories: Names = Field(description="Those that have an input of their own; `other`: all others share one.")
    other: bool


class Dialect(_Finding):
    """How a csv file is written."""

    model_config = ConfigDict(extra="forbid", strict=True)

    delimiter: PlainText
    decimal: PlainText
    encoding: PlainText
    header: bool


class DatasetSummary(_Finding):
    """What a trial's data were read as; `PUT .../{n}/dataset` uploads it.

    At most 100 columns and targets are named, all are counted.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    dataset: Annotated[PlainText, Field(max_length=300)]
    kind: Literal["classes", "labels", "values"] = Field(
        description="classes: one of several. labels: several of 0 or 1. values: numbers."
    )
    rows: Size | None = Field(description="Examples; null for a stream.")
    columns: Size = Field(description="Columns that are read as inputs,")
    inputs: Size | None = Field(None, description="and how many inputs of the network they become.")
    parts: Annotated[dict[PlainText, Size], Sized(20)] = Field(description="Examples of each part.")
    targets: Names = Field(description="Names of the classes, labels or values,")
    target_count: Size = Field(description="how many there are,")
    examples: Annotated[list[Size], Sized(100)] = Field(description="and how many examples each class or label has.")
    missing: Size = Field(description="Labels that are missing.")
    dropped: Names = Field(description="Columns that are not read.")
    constant: Names = Field(description="Columns whose values do not differ in the training part.")
    constant_count: Size
    encoded: Annotated[list[EncodedColumn], Sized(100)] = Field(
        [], description="What each column of a csv file becomes."
    )
    written: Dialect | None = Field(None, description="How a csv file is written.")
    notes: Annotated[list[PlainText], Sized(100)] = Field([], description="Sentences about columns that mislead.")


def plain_json(body: Json) -> Json:
    """Refuse what one of the two databases could not store: numbers that are not finite, NUL, lone surrogates; and what
    is nested too deeply to be written as JSON again.

    Raises: ValueError.
    """
    level: list[Any] = [body]
    for _ in range(MOST_LEVELS):
        inside = (part.values() if isinstance(part, dict) else part for part in level)
        level = [one for parts in inside for one in parts if isinstance(one, dict | list)]
    if level:
        raise bad_form(f"write lists and objects in at most {MOST_LEVELS} levels")
    try:
        plain_text(json.dumps(body, ensure_ascii=False, allow_nan=False).replace("\\u0000", "\0"))
    except ValueError as error:
        reason = str(error) if "write" in str(error) else "write finite numbers, and null for one that is not"
        raise bad_form(reason) from None
    return body
