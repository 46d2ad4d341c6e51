"""Which reports of a run a pruning rule looks at: the answer to one of these may stop the run."""

from __future__ import annotations

import math
from typing import Final

from sturgeon import messages as m
from sturgeon.search.pruning import Settings, look

_NONE: Final = Settings("none")


class Looks:
    """Follows a run's reports, as the server does."""

    def __init__(self, looks: m.Looks | None) -> None:
        self._settings = _NONE
        if looks is not None:
            epochs = math.inf if looks.epochs is None else looks.epochs
            self._settings = Settings(looks.rule, epochs, looks.eta, looks.grace)
        self._epoch = 0.0

    def at(self, epoch: float) -> bool:
        """Whether the rule looks at the run for the report of this epoch, which is the next."""
        before, self._epoch = self._epoch, max(self._epoch, epoch)
        return look(self._settings, before, self._epoch) is not None
