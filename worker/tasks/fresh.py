"""What a run on a stream finds out about its model while it goes on: how it did on the newest portions, before it had
seen them. The diagnosis calls them dev."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from sturgeon.messages import FindingKind
from trainer.analysis.error_analysis import Predictions, mistakes_report
from trainer.new_portion import RECENT
from trainer.training import MeasuredPortion
from trainer.training import Progress as Trained
from worker.tasks.findings import table

EVERY_S: Final = 5.0
"""So often findings are told, at most."""

LIMIT: Final = 500


def plain(text: str) -> str:
    """Names of files may hold anything; what goes into JSON is text."""
    return text.replace("\0", "").encode(errors="replace").decode()


class _Seen(NamedTuple):
    portion: MeasuredPortion
    metrics: Mapping[str, float]


class Fresh:
    """The portions since the last alarm, at most the newest ten; a run that goes on in another process begins anew.

    clock: gives seconds.
    """

    def __init__(
        self, class_names: tuple[str, ...], known_error: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._names, self._known, self._clock = class_names, known_error, clock
        self._seen: deque[_Seen] = deque(maxlen=RECENT)
        self._alarms: tuple[str, ...] = ()
        self._is_new, self._told_at = False, -EVERY_S

    def see(self, trained: Trained) -> None:
        """Take note of a portion that was measured."""
        if trained.portion is None:
            return
        while self._seen and self._seen[-1].portion.number >= trained.portion.number:  # it went back
            self._seen.pop()
        if trained.metrics["drift"]:
            self._seen.clear()
        self._seen.append(_Seen(trained.portion, trained.metrics))
        self._alarms, self._is_new = trained.alarms, True

    def due(self) -> dict[FindingKind, dict[str, Any]]:
        """The findings, if there are new ones and it is time to tell them; else nothing."""
        if not self._is_new or self._clock() - self._told_at < EVERY_S:
            return {}
        self._told_at = self._clock()
        return self.rest()

    def rest(self) -> dict[FindingKind, dict[str, Any]]:
        """The findings, if there are new ones."""
        if not self._is_new:
            return {}
        self._is_new = False
        span = {"portions": {"first": self._seen[0].portion.number, "last": self._seen[-1].portion.number}}
        found: dict[FindingKind, dict[str, Any]] = {"diagnosis": self._diagnosis() | span}
        if all(one.portion.predictions is not None for one in self._seen):
            found["errors"] = self._errors() | span
        return found

    def _diagnosis(self) -> dict[str, Any]:
        """Of each portion the error on it, and that on what the same model had trained on."""
        sizes = [int(one.metrics["portion_examples"]) for one in self._seen]
        errors = {
            part: float(np.average([one.metrics[f"{part}_error"] for one in self._seen], weights=sizes))
            for part in ("train", "dev")
        }
        # What was trained on before one portion was so before the next, too: it is counted once.
        counted = {"train": max(one.portion.trained_on for one in self._seen), "dev": sum(sizes)}
        warnings = []
        if self._seen[0].metrics["drift"]:
            number = self._seen[0].portion.number
            warnings = [f"Portion {number} raised an alarm: what seems to be variance may be a change of the data."]
        return table(errors, counted, self._known, warnings, self._alarms)

    def _errors(self) -> dict[str, Any]:
        """Rows count from the beginning of the stream; each mistake tells its portion, and its row there."""
        seen = [one.portion.predictions for one in self._seen if one.portion.predictions is not None]
        columns = zip(*((one.rows, one.labels, one.predicted, one.confidence) for one in seen), strict=True)
        rows, labels, predicted, confidence = (np.concatenate(arrays) for arrays in columns)
        predictions = Predictions(rows, labels, predicted, confidence, suspected=np.arange(0))
        found: dict[str, Any] = mistakes_report("dev", predictions, self._names, LIMIT)
        for mistake in found["mistakes"]:
            portion = next(one.portion for one in reversed(self._seen) if one.portion.first_row <= mistake["row"])
            mistake |= {"portion": plain(portion.name), "portion_row": mistake["row"] - portion.first_row}
        doubtful = [row for j in reversed(seen) for row in j.rows[j.suspected].tolist()]
        return found | {"suspected": {"dev": doubtful[:LIMIT]}}
