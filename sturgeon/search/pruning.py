"""When to stop a trial that is getting nowhere, and which final score the search predicts for it then.

Scores are minimised here: the caller turns the sign of a metric that is maximised. Epochs count from 1; for code that
reports no epochs its steps stand for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final, Literal, NamedTuple

Curve = Mapping[int, float | None]
"""A trial's scores by epoch; None where it was not finite."""

Rule = Literal["curve", "asha", "median", "none"]

EVERY: Final = 3
POWER: Final = 0.25
FASTEST: Final = 0.75
BACK: Final = 3
"""How fast a trial's errors fall is seen since a third of its epochs."""
ETA: Final = 3
FIRST_LOOK: Final[dict[Rule, int]] = {"curve": EVERY, "asha": 3, "median": 5, "none": 0}
"""The grace of a rule whose settings give none, in epochs."""
FEWEST_CURVES: Final = 5
"""How many other trials it takes to say what is usual."""


class Settings(NamedTuple):
    """A rule for trials of at most `epochs` epochs, which looks at none before epoch `grace`.

    `eta` is ASHA's: one trial of so many goes on. `power` is the curve's: how fast its forecast falls at least.
    """

    rule: Rule
    epochs: float = math.inf
    eta: int = ETA
    grace: int | None = None
    power: float = POWER

    @property
    def first_look(self) -> int:
        return FIRST_LOOK[self.rule] if self.grace is None else self.grace


class Earlier(NamedTuple):
    """What a trial had scored at an earlier epoch."""

    epoch: float
    score: float


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


def judge(
    settings: Settings,
    epoch: int,
    mine: float,
    others: Sequence[float],
    incumbent: float,
    earlier: Callable[[], Earlier | None] = lambda: None,
) -> Verdict:
    """Whether a trial should stop when the rule looks at it for `epoch`.

    `mine`: its best score so far, inf when nothing was finite. `others`: the scores at this rung, i.e. the best so far
    of each other trial of the study when the rule looked at it for this epoch, whatever became of it. `incumbent`: the
    best score of any other trial so far, inf while there is none. `earlier()`: its own score at about a third of the
    epochs, for the rule `curve`, which asks only where it matters.
    """
    if settings.rule == "curve":
        return power_law(settings, epoch, mine, incumbent, earlier)
    if settings.rule == "asha":
        return asha(mine, epoch, others, settings.eta)
    if settings.rule == "median":
        return below_median(mine, epoch, others)
    return GO_ON


def power_law(
    settings: Settings, epoch: int, mine: float, incumbent: float, earlier: Callable[[], Earlier | None]
) -> Verdict:
    """Stop when the forecast is worse than the best score of another trial (`incumbent`).

    The trial that leads is never stopped. It needs a score that shrinks towards 0, such as an error or a loss; where
    one of the two is negative there is no forecast.
    """
    if math.isinf(mine):
        return Verdict(True, f"at epoch {epoch} it has had no finite score yet")
    if min(mine, incumbent) < 0 or forecast(settings, epoch, mine) <= incumbent:
        return GO_ON
    final = forecast(settings, epoch, mine, earlier())
    if final <= incumbent:
        return GO_ON
    return Verdict(
        True,
        f"at epoch {epoch} its best is {mine:.4g}, its forecast for epoch {settings.epochs:g} {final:.4g}; "
        f"another trial has {incumbent:.4g} already",
    )


def forecast(settings: Settings, epoch: float, mine: float, earlier: Earlier | None = None) -> float:
    """The final score of a trial whose best at `epoch` is `mine`, 0 or more, if it falls on like epoch^-power.

    The power is that with which it has fallen since `earlier`, within `settings.power` and 0.75; without `earlier` it
    is `settings.power`. That is no bound: docs/pruning.md says how many errors fall faster, and what that costs.
    """
    power = settings.power
    if earlier is not None and 0 < earlier.epoch < epoch and 0 < mine < earlier.score < math.inf:
        fell = math.log(earlier.score) - math.log(mine)
        passed = math.log(epoch) - math.log(earlier.epoch)  # 0 where the epochs differ by a rounding
        power = max(power, FASTEST if fell >= FASTEST * passed else fell / passed)
    return mine * math.pow(min(1.0, epoch / settings.epochs), power)


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


def predicted_final(own: Curve, complete: Sequence[Curve], by_rule: float | None = None) -> float | None:
    """The predicted final score of a pruned trial: its last one times the median of final / then of `complete` trials.

    None when it has no finite score: then it diverged. by_rule: the forecast for which it was stopped. It is what is
    predicted while fewer than 5 complete trials have that epoch: those few are the ones that fell fastest, and by them
    what was stopped would often be better than the best. The last score itself when no complete trial has that epoch,
    or when scores are not all positive, so that a ratio means nothing, or the product is no finite number.
    """
    known = {epoch: score for epoch, score in own.items() if score is not None and math.isfinite(score)}
    if not known:
        return None
    epoch = max(known)
    last = known[epoch]
    pairs = [(curve[max(curve)], curve[epoch]) for curve in complete if epoch in curve]
    if by_rule is not None and len(pairs) < FEWEST_CURVES:
        return by_rule
    ratios = [
        final / then for final, then in pairs if final is not None and then is not None and final > 0 and then > 0
    ]
    finite = [ratio for ratio in ratios if math.isfinite(ratio)]
    if not finite or len(ratios) < len(pairs) or last <= 0:
        return last
    predicted = last * median(finite)
    return predicted if math.isfinite(predicted) else last
