"""What a run on a stream finds out about its model while it goes on: how it did on the newest portions, before it had
seen them. The diagnosis calls them dev."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np

from sturgeon.messages import FindingKind
from sturgeon.values import Json
from trainer.analysis.error_analysis import Predictions, mistakes_report
from trainer.data.images import MOST_BYTES
from trainer.new_portion import RECENT
from trainer.training import MeasuredPortion
from trainer.training import Progress as Trained
from worker.tasks.findings import table

EVERY_S: Final = 5.0
"""So often findings are reported, at most."""

LIMIT: Final = 500


def plain(text: str) -> str:
    """Names of files may hold anything; what goes into JSON is text."""
    return text.replace("\0", "").encode(errors="replace").decode()


class _MeasuredPortion(NamedTuple):
    portion: MeasuredPortion
    metrics: Mapping[str, float]


class RecentFindings:
    """The portions since the last alarm, at most the newest ten; a run that goes on in another process
    begins without any.

    clock: gives seconds.
    """

    def __init__(
        self, class_names: tuple[str, ...], known_error: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._names, self._known, self._clock = class_names, known_error, clock
        self._portions: deque[_MeasuredPortion] = deque(maxlen=RECENT)
        self._alarms: tuple[str, ...] = ()
        self._is_new, self._reported_at = False, -EVERY_S

    def see(self, trained: Trained) -> None:
        """Take note of a portion that was measured."""
        if trained.portion is None:
            return
        while self._portions and self._portions[-1].portion.number >= trained.portion.number:  # it went back
            self._portions.pop()
        if trained.metrics["drift"]:
            self._portions.clear()
        self._portions.append(_MeasuredPortion(trained.portion, trained.metrics))
        self._alarms, self._is_new = trained.alarms, True

    def due(self) -> dict[FindingKind, Json]:
        """The findings, if there are new ones and it is time to report them; else nothing."""
        if not self._is_new or self._clock() - self._reported_at < EVERY_S:
            return {}
        self._reported_at = self._clock()
        return self.rest()

    def rest(self) -> dict[FindingKind, Json]:
        """The findings, if there are new ones."""
        if not self._is_new:
            return {}
        self._is_new = False
        span = {"portions": {"first": self._portions[0].portion.number, "last": self._portions[-1].portion.number}}
        by_kind: dict[FindingKind, Json] = {"diagnosis": self._diagnosis() | span}
        if all(measured.portion.predictions is not None for measured in self._portions):
            by_kind["errors"] = self._errors() | span
        return by_kind

    def _diagnosis(self) -> Json:
        """Of each portion the error on it, and that on what the same model had trained on."""
        sizes = [int(measured.metrics["portion_examples"]) for measured in self._portions]
        errors = {
            part: float(np.average([measured.metrics[f"{part}_error"] for measured in self._portions], weights=sizes))
            for part in ("train", "dev")
        }
        # What was trained on before one portion was so before the next, too: it is counted once.
        counted = {"train": max(measured.portion.trained_on for measured in self._portions), "dev": sum(sizes)}
        warnings = []
        if self._portions[0].metrics["drift"]:
            number = self._portions[0].portion.number
            warnings = [f"Portion {number} raised an alarm: what seems to be variance may be a change of the data."]
        return table(errors, counted, self._known, warnings, self._alarms)

    def _errors(self) -> Json:
        """Rows count from the beginning of the stream; each mistake names its portion, and its row there."""
        measured = [one.portion.predictions for one in self._portions if one.portion.predictions is not None]
        columns = zip(*((one.rows, one.labels, one.predicted, one.confidence) for one in measured), strict=True)
        rows, labels, predicted, confidence = (np.concatenate(arrays) for arrays in columns)
        predictions = Predictions(rows, labels, predicted, confidence, suspected=np.arange(0))
        errors: Json = mistakes_report("dev", predictions, self._names, LIMIT)
        for mistake in errors["mistakes"]:
            portion = next(
                measured.portion
                for measured in reversed(self._portions)
                if measured.portion.first_row <= mistake["row"]
            )
            mistake |= {"portion": plain(portion.name), "portion_row": mistake["row"] - portion.first_row}
        doubtful = [row for one in reversed(measured) for row in one.rows[one.suspected].tolist()]
        return errors | {"suspected": {"dev": doubtful[:LIMIT]}} | self._pictures(errors["mistakes"])

    def _pictures(self, mistakes: list[Json]) -> Json:
        """Of these mistakes, those of the newest portions first."""
        found = [pictures for one in reversed(self._portions) if (pictures := one.portion.pictures) is not None]
        if not found:
            return {}
        rows = {str(mistake["row"]) for mistake in mistakes}
        pixels = {row: text for pictures in found for row, text in pictures["pixels"].items() if row in rows}
        most = MOST_BYTES // (found[0]["height"] * found[0]["width"] * found[0]["channels"])
        return {"pictures": dict(found[0]) | {"pixels": dict(itertools.islice(pixels.items(), most))}}
