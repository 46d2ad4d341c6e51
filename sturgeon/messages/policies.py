"""Policies, which steer a panda by themselves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from sturgeon.messages.forms import Params, Request
from sturgeon.strictness import Sized
from sturgeon.values import Name


class PlateauPolicy(Request):
    """When a metric (the study's, unless another is named) has had no new best, by more than `least_gain`, for
    `patience_epochs`: multiply the learning rate by `factor`, down to `lowest`."""

    policy: Literal["plateau"]
    metric: Name | None = None
    patience_epochs: Annotated[FiniteFloat, Field(gt=0, le=1_000_000)] = 10.0
    least_gain: Annotated[FiniteFloat, Field(ge=0, le=1e9)] = 0.0
    factor: Annotated[FiniteFloat, Field(gt=0, lt=1)] = 0.5
    lowest: Annotated[FiniteFloat, Field(gt=0, le=100)] = 1e-6
    auto: bool = False


class DivergencePolicy(Request):
    """When the run diverges: back to its checkpoint, with the learning rate times `factor`; `give_up_after` times."""

    policy: Literal["divergence"]
    factor: Annotated[FiniteFloat, Field(gt=0, lt=1)] = 0.5
    give_up_after: Annotated[int, Field(ge=1, le=100)] = 3
    auto: bool = False


class Planned(Request):
    epoch: Annotated[FiniteFloat, Field(ge=0, le=1_000_000)]
    params: Params


class SchedulePolicy(Request):
    """Change live parameters at given epochs."""

    policy: Literal["schedule"]
    at: Annotated[list[Planned], Sized(1000, least=1)]
    auto: bool = False


class Guard(Request):
    """When the metric gets worse by more than `worse_by` within so many epochs after a change, or is not finite: back
    to the checkpoint from before the change."""

    metric: Name
    worse_by: Annotated[FiniteFloat, Field(ge=0, le=1e9)]
    within_epochs: Annotated[FiniteFloat, Field(gt=0, le=1_000_000)]


class GuardPolicy(Guard):
    """A guard for each change of parameters that has none of its own."""

    policy: Literal["guard"]
    auto: bool = False


class DriftPolicy(Request):
    """When a portion of a stream raises an alarm: train on it and later ones only (`forget`), `passes` times as often,
    with the learning rate times `rate_factor`, 1 - beta of the optimiser's averages times `averages_factor` and inputs
    clipped at `clip_inputs` deviations (0: as before); with `roll_back` from the newest checkpoint; with L2 of `l2`,
    where the model is no better than guessing. With `match_labels` nothing is forgotten where only the shares of the
    classes have changed: older examples are replayed with the new shares. After `calm_portions` without an alarm the
    usual values come back.

    With `auto`, `challengers` are forked at an alarm: the answer with other values each. After `after_portions` more
    the trial with the least mean fresh error goes on, the others stop; each takes a number of the budget."""

    policy: Literal["drift"]
    rate_factor: Annotated[FiniteFloat, Field(gt=0, le=100)] = 0.5
    averages_factor: Annotated[FiniteFloat, Field(ge=0.001, le=1000)] = 10.0
    passes: Annotated[int, Field(ge=1, le=1000)] = 40
    forget: bool = True
    match_labels: bool = True
    clip_inputs: Annotated[FiniteFloat, Field(ge=0, le=1000)] = 3.0
    l2: Annotated[FiniteFloat, Field(ge=0, le=100)] = 0.03
    calm_portions: Annotated[int, Field(ge=1, le=100_000)] = 5
    roll_back: bool = False
    challengers: Annotated[list[Params], Sized(8)] = Field(default_factory=list)
    after_portions: Annotated[int, Field(ge=1, le=1000)] = 3
    retest_after: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None,
        description="After so many portions a small caviar study around what is in force: has the optimum moved?",
    )
    retest_after_s: Annotated[FiniteFloat, Field(ge=1, le=315_360_000)] | None = Field(
        default=None,
        description="The same when its runs took so many seconds, at the next portion; with both, what comes first.",
    )
    retest_trials: Annotated[int, Field(ge=2, le=100)] = 8
    auto: bool = False


Policy = Annotated[
    PlateauPolicy | DivergencePolicy | SchedulePolicy | GuardPolicy | DriftPolicy, Field(discriminator="policy")
]
Policies = Annotated[list[Policy], Sized(20, every_problem=True)]
