"""When to stop a trial that is getting nowhere, and which final score the search predicts for it then.

Scores are minimised here: the caller turns the sign of a metric that is maximised. Epochs count from 1; for code that
reports no epochs its steps stand for them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final, Literal, NamedTuple

Curve = Mapping[int, float | None]
"""A trial's scores by epoch; None where it was not finite."""

Rule = Literal["curve", "asha", "median", "none"]

EVERY: Final = 3
POWER: Final = 0.25
ETA: Final = 3
FIRST_LOOK: Final[dict[Rule, int]] = {"curve": EVERY, "asha": 3, "median": 5, "none": 0}
"""The grace of a rule whose settings give none, in epochs."""
FEWEST_CURVES: Final = 5


class Settings(NamedTuple):
    """A rule for trials of at most `epochs` epochs, which looks at none before epoch `grace`.

    `eta` is ASHA's: one trial of so many goes on. `power` is the curve's: how fast its forecast falls.
    """

    rule: Rule
    epochs: float = math.inf
    eta: int = ETA
    grace: int | None = None
    power: float = POWER

    @property
    def first_look(self) -> int:
        return FIRST_LOOK[self.rule] if self.grace is None else self.grace


class Verdict(NamedTuple):
    """Whether to stop, and why, as a sentence for the timeline."""

    stop: bool
    why: str = ""


GO_ON: Final = Verdict(False)


def look(settings: Settings, before: float, now: float) -> int | None:
    """The epoch for which the rule looks at a trial whose report brings it from `before` to `now` epochs.

    None when no such epoch lies in between, or the trial is at its end; of several the last.
    """
    if settings.rule == "none" or not settings.first_look <= now < settings.epochs:
        return None
    if settings.rule == "curve":
        epoch = math.floor(now / EVERY) * EVERY
    elif settings.rule == "median":
        epoch = math.floor(now)
    else:
        epoch = settings.first_look
        while epoch * settings.eta <= now:
            epoch *= settings.eta
    return epoch if max(before, settings.first_look - 0.5) < epoch else None


def judge(settings: Settings, epoch: int, mine: float, others: Sequence[float], incumbent: float) -> Verdict:
    """Whether a trial should stop when the rule looks at it for `epoch`.

    `mine`: its best score so far, inf when nothing was finite. `others`: the scores at this rung, i.e. the best so far
    of each other trial of the study when the rule looked at it for this epoch, whatever became of it. `incumbent`: the
    best score of any other trial so far, inf while there is none.
    """
    if settings.rule == "curve":
        return power_law(mine, epoch, settings.epochs, incumbent, settings.power)
    if settings.rule == "asha":
        return asha(mine, epoch, others, settings.eta)
    if settings.rule == "median":
        return below_median(mine, epoch, others)
    return GO_ON


def power_law(mine: float, epoch: int, epochs: float, incumbent: float, power: float = POWER) -> Verdict:
    """Stop when the forecast is worse than the best score of another trial (`incumbent`).

    The forecast: errors fall on like epoch^-power, so at its last epoch the trial has mine times (e / E)^power. That is
    no bound: docs/pruning.md says how many errors fall faster, and what that costs. The trial that leads is never
    stopped. It needs a score that shrinks towards 0, such as an error or a loss; with a negative
    one there is no forecast.
    """
    if math.isinf(mine):
        return Verdict(True, f"at epoch {epoch} it has had no finite score yet")
    forecast = mine * (epoch / epochs) ** power
    if mine < 0 or forecast <= incumbent:
        return GO_ON
    return Verdict(
        True,
        f"at epoch {epoch} its best is {mine:.4g}, its forecast for epoch {epochs:g} {forecast:.4g}; "
        f"another trial has {incumbent:.4g} already",
    )


def asha(mine: float, epoch: int, others: Sequence[float], eta: int = ETA) -> Verdict:
    """Asynchronous successive halving (Li et al., MLSys 2020): at each rung the best third goes on (with eta 3).

    A trial is compared with all that have reached the rung; the first eta - 1 that reach it go on.
    """
    better = sum(score < mine for score in others)
    places = (len(others) + 1) // eta
    if not places or (better < places and math.isfinite(mine)):
        return GO_ON
    return Verdict(True, f"at epoch {epoch} it is {better + 1} of {len(others) + 1}; the best {places} go on")


def below_median(mine: float, epoch: int, others: Sequence[float]) -> Verdict:
    """The median rule (Golovin et al., Vizier, KDD 2017): stop when the best so far is worse than the others' median.

    Not before 5 others have reached this epoch.
    """
    if len(others) < FEWEST_CURVES:
        return GO_ON
    middle = median(others)
    if mine <= middle and math.isfinite(mine):
        return GO_ON
    return Verdict(True, f"at epoch {epoch} its best is {mine:.4g}, the median of {len(others)} others {middle:.4g}")


def predicted_final(own: Curve, complete: Sequence[Curve]) -> float | None:
    """The predicted final score of a pruned trial: its last one times the median of final / then of `complete` trials.

    None when it has no finite score: then it diverged. The last score itself when no complete trial has that epoch, or
    when scores are not all positive, so that a ratio means nothing, or the product is no finite number.
    """
    known = {epoch: score for epoch, score in own.items() if score is not None and math.isfinite(score)}
    if not known:
        return None
    epoch = max(known)
    last = known[epoch]
    pairs = [(curve[max(curve)], curve[epoch]) for curve in complete if epoch in curve]
    ratios = [
        final / then for final, then in pairs if final is not None and then is not None and final > 0 and then > 0
    ]
    finite = [ratio for ratio in ratios if math.isfinite(ratio)]
    if not finite or len(ratios) < len(pairs) or last <= 0:
        return last
    predicted = last * median(finite)
    return predicted if math.isfinite(predicted) else last
