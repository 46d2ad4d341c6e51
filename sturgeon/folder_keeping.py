"""When a run's checkpoint folder is packed and handed over, and what the run goes on from: the same in a worker and in
a loop of `sturgeon.study`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from sturgeon.direction import Direction, sign_of
from sturgeon.messages import CheckpointRule
from sturgeon.packed_folder import NotPacked, empty, pack, unpack
from sturgeon.trial_process import folder_state

QUIET_S: Final = 5.0
"""A folder in which nothing has changed for so long is whole, where the program does not say so itself."""
LOOK_EVERY_S: Final = 0.02
"""So often the folder is looked at; less often if it has so many files that this takes long."""
QUIET_AT_THE_END_S: Final = 1.0
SHARE_OF_TIME: Final = 0.02
SHARE_OF_TIME_FOR_THE_BEST: Final = 0.1
MOST_BYTES: Final = 4_000_000_000


class Packed(NamedTuple):
    """A packed folder. value: the study's metric at that step, None where it was not measured; version: what was in
    force; wanted: the version that asked for it, or 0."""

    step: int
    epoch: float | None
    value: float | None
    content: bytes
    version: int
    wanted: int = 0


class Curve(Protocol):
    """What the run has reported so far."""

    step: int
    epoch: float | None

    def value_at(self, step: int) -> float | None: ...

    def memory(self, step: int) -> dict[str, object]: ...


class Log(Protocol):
    """Where a folder that cannot be packed is told of."""

    def note(self, sentence: str) -> None: ...


class _Said(NamedTuple):
    step: int
    state: str


class FolderKeeper:
    """The checkpoint folder of a run. rule: of the task; folder: the program's; packed: where the newest pack is.

    `clock` gives seconds.
    """

    def __init__(
        self,
        rule: CheckpointRule,
        direction: Direction,
        folder: Path,
        packed: Path,
        log: Log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self._packed, self._rule, self._sign = folder, packed, rule, sign_of(direction)
        self._log, self._clock = log, clock
        self._saved: _Said | None = None
        self._says_so = False
        self._best: float | None = None
        self._newest: Packed | None = None
        self._handed_at, self._cost_s, self._handed_epoch = clock(), 0.0, 0.0
        self._state, self._state_since = "", clock()
        self._is_wanted = False
        self._looked_at, self._look_cost_s = -math.inf, 0.0
        self._packed_state = ""

    def has_one_since(self, step: int) -> bool:
        """Whether there is a pack of this step or a later one."""
        return self._newest is not None and self._newest.step >= step

    def want(self) -> None:
        """Pack the folder the next time that it is whole."""
        self._is_wanted = True

    @property
    def step(self) -> int:
        """The step of the newest pack; 0 where there is none."""
        return 0 if self._newest is None else self._newest.step

    def begin(self, content: bytes | None, step: int, version: int) -> Mapping[str, object]:
        """The folder as the run begins with it; what the earlier run remembered. Raises: Damaged."""
        self._saved, self._best, self._newest = None, None, None
        if content is None:
            empty(self.folder)
            self._packed.unlink(missing_ok=True)
            memory: Mapping[str, object] = {}
        else:
            memory = unpack(content, self.folder)
            self._packed.write_bytes(content)
            epoch = memory.get("epoch")
            known = float(epoch) if isinstance(epoch, int | float) else None
            self._newest = Packed(step, known, None, b"", version)
        self._packed_state = self._state = folder_state(self.folder)
        self._state_since = self._clock()
        return memory

    def begin_again(self) -> int:
        """Make the folder what it was when it was packed last, if a program that was killed has left another; the
        step."""
        if folder_state(self.folder) == self._packed_state:
            return self.step
        if self._newest is None:
            empty(self.folder)
            return 0
        unpack(self._packed.read_bytes(), self.folder)
        self._packed_state = folder_state(self.folder)
        return self._newest.step

    def said_saved(self, step: int, state: str) -> None:
        """The program says that the folder is whole at this step. state: what `folder_state` said of it then; empty if
        unknown."""
        self._saved, self._says_so = _Said(step, state), True
        self._looked_at = -math.inf

    def due(self, curve: Curve, version: int) -> Packed | None:
        """What is to be handed over now, while the program runs."""
        now = self._clock()
        if now - self._looked_at < max(LOOK_EVERY_S, self._look_cost_s / SHARE_OF_TIME):
            return None
        due = self._due(curve, version, now)
        self._looked_at = self._clock()
        self._look_cost_s = self._looked_at - now
        return due

    def _due(self, curve: Curve, version: int, now: float) -> Packed | None:
        if self._says_so:
            saved = self._saved
            if saved is None or not self._is_due(saved, curve, now):
                return None
            packed = self._pack(saved.step, saved.state, curve, version)
            if packed is not None:
                self._saved = None
            return packed
        if not self._is_time(now) or not self._is_quiet(now):
            return None
        return self._pack(curve.step, self._state, curve, version)

    def _is_time(self, now: float) -> bool:
        return self._is_wanted or now - self._handed_at >= max(self._rule.every_s, self._cost_s / SHARE_OF_TIME)

    def _is_due(self, saved: _Said, curve: Curve, now: float) -> bool:
        if self._is_time(now):
            return True
        if now - self._handed_at < self._cost_s / SHARE_OF_TIME_FOR_THE_BEST:
            return False
        every = self._rule.every_epochs
        if every is not None and curve.epoch is not None and curve.epoch - self._handed_epoch >= every:
            return True
        value = curve.value_at(saved.step)
        is_best = value is not None and (self._best is None or self._sign * value < self._sign * self._best)
        return is_best and self._rule.best > 0

    def _is_quiet(self, now: float) -> bool:
        """Whether the folder has something new in it, and has been left alone for a while."""
        state = folder_state(self.folder)
        if state != self._state:
            self._state, self._state_since = state, now
            return False
        return state != self._packed_state and now - self._state_since >= QUIET_S

    def at_end(self, curve: Curve, version: int, is_clean: bool) -> Packed | None:
        """The folder when the program has ended, if it is whole and has something new in it. is_clean: the program
        had time to leave it whole."""
        state = folder_state(self.folder)
        if state == self._packed_state:
            return None
        if self._saved is not None and self._saved.state == state:
            return self._pack(self._saved.step, state, curve, version)
        if is_clean or (not self._says_so and self._was_left_alone()):
            return self._pack(curve.step, state, curve, version)
        return None

    def _was_left_alone(self) -> bool:
        try:
            changed = max((path.lstat().st_mtime for path in self.folder.rglob("*")), default=0.0)
        except OSError:  # something is being deleted in it
            return False
        return time.time() - changed >= QUIET_AT_THE_END_S

    def newest(self, wanted: int) -> Packed | None:
        """The newest pack again, for whoever wants one to be kept."""
        if self._newest is None:
            return None
        one = self._newest
        return one._replace(content=self._packed.read_bytes(), wanted=wanted)

    def _pack(self, step: int, state: str, curve: Curve, version: int) -> Packed | None:
        began, beside = self._clock(), self._packed.with_suffix(".new")
        try:
            if not pack(self.folder, beside, curve.memory(step), MOST_BYTES, state):
                return None
        except NotPacked as error:
            self._log.note(str(error))
            self._handed_at = self._clock()
            self._packed_state = state
            return None
        beside.replace(self._packed)
        self._is_wanted = False
        value = curve.value_at(step)
        if value is not None and (self._best is None or self._sign * value < self._sign * self._best):
            self._best = value
        self._newest = Packed(step, curve.epoch, value, b"", version)
        self._packed_state = state or folder_state(self.folder)
        self._handed_at, self._handed_epoch = self._clock(), curve.epoch or 0.0
        self._cost_s = self._handed_at - began
        return self.newest(0)
