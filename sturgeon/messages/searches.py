"""How a study searches, and what its search has learnt."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from sturgeon.messages.forms import LARGEST_GRID, Answer, Request, Seed
from sturgeon.space import Constraints, Space
from sturgeon.values import Json

SamplerName = Literal["coarse_to_fine", "random", "sobol", "grid"]
"""The sampler of each name is in `sturgeon/search`, in the module of that name; its options are fields of `Search`."""


class Search(Request):
    """How samples are drawn. The server chooses and records what is left out."""

    sampler: SamplerName = Field(
        default="coarse_to_fine",
        description="`coarse_to_fine` draws ever more densely around the best; `sobol` covers the space evenly, "
        "`random` by chance; `grid` is there to be compared with.",
    )
    model: Literal["gp", "boxes"] | None = Field(
        default=None,
        description="Of coarse_to_fine: a Gaussian process (for up to 20 searched parameters), or the boxes alone.",
    )
    cost_aware: bool | None = Field(
        default=None,
        description="Of coarse_to_fine: of equally promising trials prefer cheap ones, where the tells have `seconds`; "
        "true unless said otherwise.",
    )
    points: Annotated[int, Field(ge=1, le=LARGEST_GRID)] | None = Field(
        default=None, description="Of grid: the largest number of its points; max_trials by default."
    )
    seed: Seed | None = Field(default=None, description="If it is left out, the server draws one and records it.")
    replicates: Annotated[int, Field(ge=1, le=100)] = Field(
        default=1,
        description="So many trials of each sample, whose seeds differ; they are compared by mean and standard error, "
        "and each counts in the budget.",
    )


class RoundBox(Answer):
    """Where a round draws: around trial `elite`, half as wide with each `level`. `ranges`: {"low", "high"} of a number,
    {"values"} of a choice, in the parameters' own units."""

    elite: int
    level: int
    ranges: dict[str, Json]


class FoundIn(Answer):
    """The best trial that a round has drawn so far."""

    number: int
    value: float


class Round(Answer):
    """What coarse to fine believed when a round began. Round 0 covers the space evenly and believes nothing.

    `start`: how many results it began with; `bars`: the share of each parameter in what changes the score (none
    without a model); `elites`: the few best, well separated trials, best first; `best`: the one to be taken as the
    winner then, without its luck; `alarms`: ranges that seem too narrow. `trials` were drawn in it, and `found` is the
    best of them. `current`: it is the one that draws now.
    """

    number: int
    revision: int
    start: int
    model: Literal["gp", "boxes"] | None
    bars: dict[str, float]
    elites: list[int]
    boxes: list[RoundBox]
    best: int | None
    alarms: list[str]
    current: bool
    trials: int
    found: FoundIn | None
    numerics: str | None
    at: AwareDatetime | None


class Rounds(Answer):
    """The rounds of a study, the oldest first; empty for a sampler without rounds."""

    study: str
    sampler: str
    items: list[Round]


class ParameterImportance(Answer):
    """`share` of what changes the score, the mean over the last rounds; `spread`: their standard deviation."""

    name: str
    share: float
    spread: float


class Importance(Answer):
    """Which parameters matter, the most important first; it rests on `trials` results, and `rounds` that learnt from
    more and more of them. Empty before the first round."""

    study: str
    trials: int
    rounds: int
    items: list[ParameterImportance]


class ReplayMismatch(Answer):
    """A sample that came out otherwise: the largest `difference` along a coordinate of the unit cube, or why there is
    none to compare."""

    number: int
    difference: float | None
    numerics: str | None
    reason: str


class NumericsUsed(Answer):
    """What the last bits of `trials` samples depend on, and whether this server has the same."""

    fingerprint: str | None
    same: bool
    trials: int
    facts: Json | None


class Replay(Answer):
    """The samples of a page of trials, derived again from the record: `trials` of the `total` of the study. `exact`
    and `verdict` are of these. `given`: parameters that a person gave are not drawn. `fallbacks`: draws that were
    uniform, by reason; derived again as such."""

    study: str
    exact: bool
    verdict: str
    trials: int
    total: int = 0
    given: int
    fallbacks: dict[str, int]
    largest_difference: float
    mismatches: list[ReplayMismatch]
    numerics: list[NumericsUsed]
    next_page_token: str | None = None


class PreviewRequest(Request):
    """`POST /space:preview`: shows what a space draws, before compute is spent on it."""

    space: Space
    constraints: Constraints = Field(default_factory=list)
    seed: Seed = 0
    examples: Annotated[int, Field(ge=0, le=100)] = 5

    @model_validator(mode="after")
    def _constrain(self) -> Self:
        self.space = self.space.constrained(self.constraints)
        return self


class ParameterPreview(Answer):
    """The quantiles of a float or int; the share of each value of a choice."""

    quantiles: dict[str, float] | None = None
    shares: dict[str, float] | None = None


class Preview(Answer):
    """`satisfied`: the share of the cube whose parameters satisfy all constraints; the quantiles and shares are those
    of each parameter by itself, and the examples satisfy them."""

    parameters: dict[str, ParameterPreview]
    examples: list[Json]
    satisfied: float = 1.0
