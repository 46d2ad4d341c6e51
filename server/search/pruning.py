"""When to stop a trial that is getting nowhere, and what the search then takes its score to be.

All scores are minimised here: the caller turns the sign of a metric that is maximised. Epochs count from 1.
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
GRACE: Final = 3
WARM_UP: Final = 5
FEWEST_CURVES: Final = 5


class Verdict(NamedTuple):
    """Whether to stop, and why, as a sentence for the timeline."""

    stop: bool
    why: str = ""


GO_ON: Final = Verdict(False)


def judge(rule: Rule, own: Curve, epochs: int, others: Sequence[Curve], finals: Sequence[float]) -> Verdict:
    """Whether the trial with the curve `own`, of at most `epochs` epochs, should stop now.

    `others`: the curves of the study's other trials, running and finished, pruned and complete; `finals`: the final
    scores of its complete trials.
    """
    if not own:
        return GO_ON
    if rule == "curve":
        return power_law(own, epochs, min(finals, default=math.inf))
    if rule == "asha":
        return asha(own, epochs, others)
    if rule == "median":
        return below_median(own, epochs, others)
    return GO_ON


def power_law(own: Curve, epochs: int, incumbent: float) -> Verdict:
    """Stop when even the hopeful forecast is worse than the best complete trial (`incumbent`); asked every 4 epochs.

    The forecast: errors fall no faster than epoch^-0.75, so the last epoch's is at least min(last 8) (e / E)^0.75. It
    needs a score that shrinks towards 0, such as an error or a loss; with a negative one there is no forecast.
    """
    epoch = max(own)
    if epoch % EVERY or epoch >= epochs:
        return GO_ON
    recent = _finite([own[e] for e in sorted(own)[-RECENT:]])
    if not recent:
        return Verdict(True, f"no finite score in the last {RECENT} epochs")
    if min(recent) < 0:
        return GO_ON
    forecast = min(recent) * (epoch / epochs) ** POWER
    if forecast <= incumbent:
        return GO_ON
    return Verdict(
        True, f"at epoch {epoch} its forecast for epoch {epochs} is {forecast:.4g}; the best has {incumbent:.4g}"
    )


def asha(own: Curve, epochs: int, others: Sequence[Curve]) -> Verdict:
    """Asynchronous successive halving (Li et al., MLSys 2020), eta 3, grace 3: at epochs 3, 9, 27, .. a third goes on.

    A trial is compared with all that have passed the rung; the first two to come there go on.
    """
    epoch = max(own)
    if epoch >= epochs or epoch not in rungs(epochs):
        return GO_ON
    mine = _best_until(own, epoch)
    theirs = [_best_until(curve, epoch) for curve in others if epoch in curve]
    better = sum(score < mine for score in theirs)
    places = (len(theirs) + 1) // ETA
    if len(theirs) + 1 < ETA or (better < places and math.isfinite(mine)):
        return GO_ON
    return Verdict(True, f"at epoch {epoch} it is {better + 1} of {len(theirs) + 1}; the best {places} go on")


def rungs(epochs: int) -> list[int]:
    """The epochs at which ASHA looks: 3, 9, 27, .. below `epochs`."""
    found = []
    rung = GRACE
    while rung < epochs:
        found.append(rung)
        rung *= ETA
    return found


def below_median(own: Curve, epochs: int, others: Sequence[Curve]) -> Verdict:
    """The median rule (Golovin et al., Vizier, KDD 2017): stop when the best so far is worse than the others' median.

    Not before epoch 5, and not before 5 others have come so far.
    """
    epoch = max(own)
    theirs = [_best_until(curve, epoch) for curve in others if epoch in curve]
    if epoch < WARM_UP or epoch >= epochs or len(theirs) < FEWEST_CURVES:
        return GO_ON
    mine, middle = _best_until(own, epoch), median(theirs)
    if mine <= middle and math.isfinite(mine):
        return GO_ON
    return Verdict(True, f"at epoch {epoch} its best is {mine:.4g}, the median of {len(theirs)} others {middle:.4g}")


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


def _best_until(curve: Curve, epoch: int) -> float:
    return min(_finite([score for e, score in curve.items() if e <= epoch]), default=math.inf)


def _finite(scores: Sequence[float | None]) -> list[float]:
    return [score for score in scores if score is not None and math.isfinite(score)]
