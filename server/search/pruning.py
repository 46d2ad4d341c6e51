"""When to stop a trial that is getting nowhere, and what the search then takes its score to be.

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

EVERY: Final = 4
RECENT: Final = 8
POWER: Final = 0.75
ETA: Final = 3
FIRST_LOOK: Final[dict[Rule, int]] = {"curve": EVERY, "asha": 3, "median": 5, "none": 0}
"""The grace of a rule whose settings give none, in epochs."""
FEWEST_CURVES: Final = 5


class Settings(NamedTuple):
    """A rule for trials of at most `epochs` epochs, which looks at none before epoch `grace`. `eta` is ASHA's: one of
    so many goes on."""

    rule: Rule
    epochs: float = math.inf
    eta: int = ETA
    grace: int | None = None

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

    None when there is none in between, or the trial is at its end. Several at once count as the last of them.
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


def judge(
    settings: Settings, epoch: int, own: Sequence[float | None], others: Sequence[float], incumbent: float
) -> Verdict:
    """Whether a trial should stop when the rule looks at it for `epoch`.

    `own`: its scores so far in their order; `others`: the best so far of each of the study's other trials when the
    rule looked at them for this epoch (running and finished, pruned and complete; inf where nothing was finite);
    `incumbent`: the best final score of a complete trial, inf while there is none.
    """
    if settings.rule == "curve":
        return power_law(own, epoch, settings.epochs, incumbent)
    if settings.rule == "asha":
        return asha(best_of(own), epoch, others, settings.eta)
    if settings.rule == "median":
        return below_median(best_of(own), epoch, others)
    return GO_ON


def power_law(own: Sequence[float | None], epoch: int, epochs: float, incumbent: float) -> Verdict:
    """Stop when even the hopeful forecast is worse than the best complete trial (`incumbent`).

    The forecast: errors fall no faster than epoch^-0.75, so the last epoch's is at least min(last 8) (e / E)^0.75. It
    needs a score that shrinks towards 0, such as an error or a loss; with a negative one there is no forecast.
    """
    recent = best_of(own[-RECENT:])
    if math.isinf(recent):
        return Verdict(True, f"no finite score among the last {RECENT}")
    forecast = recent * (epoch / epochs) ** POWER
    if recent < 0 or forecast <= incumbent:
        return GO_ON
    return Verdict(
        True, f"at epoch {epoch} its forecast for epoch {epochs:g} is {forecast:.4g}; the best has {incumbent:.4g}"
    )


def asha(mine: float, epoch: int, others: Sequence[float], eta: int = ETA) -> Verdict:
    """Asynchronous successive halving (Li et al., MLSys 2020): at each rung the best third goes on (with eta 3).

    A trial is compared with all that have passed the rung; the first eta - 1 to come there go on.
    """
    better = sum(score < mine for score in others)
    places = (len(others) + 1) // eta
    if not places or (better < places and math.isfinite(mine)):
        return GO_ON
    return Verdict(True, f"at epoch {epoch} it is {better + 1} of {len(others) + 1}; the best {places} go on")


def below_median(mine: float, epoch: int, others: Sequence[float]) -> Verdict:
    """The median rule (Golovin et al., Vizier, KDD 2017): stop when the best so far is worse than the others' median.

    Not before 5 others have come so far.
    """
    if len(others) < FEWEST_CURVES:
        return GO_ON
    middle = median(others)
    if mine <= middle and math.isfinite(mine):
        return GO_ON
    return Verdict(True, f"at epoch {epoch} its best is {mine:.4g}, the median of {len(others)} others {middle:.4g}")


def best_of(scores: Sequence[float | None]) -> float:
    """The least finite score; inf when there is none."""
    return min((score for score in scores if score is not None and math.isfinite(score)), default=math.inf)


def guessed_final(own: Curve, complete: Sequence[Curve]) -> float | None:
    """What a pruned trial would have scored: its last score times the median ratio final / then of `complete` trials.

    None when no score is finite: then it diverged. The last score itself when no complete trial has that epoch, or
    scores are not all positive, so that a ratio means nothing.
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
    return last * median(finite)


def log_error(error: float, examples: int) -> float:
    """The scale on which an error share is searched: log(error + half an example), so that 2 % to 1 % is as much as
    20 % to 10 %; `examples` are those that the share is of."""
    return math.log(error + 0.5 / examples)
