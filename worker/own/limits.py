"""What a program may take, and how it is ended: asked first, then, after a grace time, killed with all its tree."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol

MEMORY_EVERY_S: Final = 0.5

Why = Literal["stop", "pause", "restart", "rollback", "diverged", "seconds", "memory", "leave"]
FAULTS: Final[frozenset[Why]] = frozenset({"seconds", "memory"})
CAN_BE_TAKEN_BACK: Final[frozenset[Why]] = frozenset({"stop", "pause"})
_RANK: Final[tuple[Why, ...]] = ("pause", "stop", "restart", "rollback", "diverged", "seconds", "memory", "leave")


class Running(Protocol):
    """The program, as far as it is ended from here."""

    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    def memory(self, most: float) -> int: ...


@dataclass(frozen=True)
class Ending:
    """Why the program shall end; at `ask_at` it is asked by a signal, at `kill_at` it is killed (monotonic seconds)."""

    why: Why
    ask_at: float
    kill_at: float
    reason: str = ""
    is_asked: bool = False
    is_killed: bool = False


class Limits:
    """Watches a program's time and memory, and brings it to its end. `fields` as in a task's `limits`."""

    def __init__(self, fields: Mapping[str, object], clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._memory_gb = _number(fields.get("seconds")), _number(fields.get("memory_gb"))
        grace = _number(fields.get("grace_s"))
        self.grace_s = 10.0 if grace is None else grace
        self.nice = int(_number(fields.get("nice")) or 0)
        self.log_bytes = round((_number(fields.get("log_mb")) or 1.0) * 1e6)
        self._clock = clock
        self._began = clock()
        self._looked = clock()
        self.ending: Ending | None = None

    def begin(self) -> None:
        """The program starts, perhaps again; its time goes on."""
        self.ending = None

    def end(self, why: Why, reason: str = "", *, is_told: bool = False) -> None:
        """Let the program end. is_told: it knows by itself, so it is asked by a signal only after the grace time; a
        second reason does not give it more time."""
        now = self._clock()
        ask_at = now + (self.grace_s if is_told else 0.0)
        if self.ending is None:
            self.ending = Ending(why, ask_at, ask_at + self.grace_s, reason)
        elif _RANK.index(why) > _RANK.index(self.ending.why):
            before = self.ending
            kill_at = min(before.kill_at, ask_at + self.grace_s)
            self.ending = replace(before, why=why, reason=reason, ask_at=min(before.ask_at, ask_at), kill_at=kill_at)

    def end_now(self, why: Why, reason: str = "") -> None:
        """Let the program end without grace."""
        self.end(why, reason)
        assert self.ending is not None
        self.ending = replace(self.ending, kill_at=self._clock())

    def take_back(self) -> None:
        """A stop or a pause is not wanted any more, if the program was not asked by a signal yet."""
        if self.ending is not None and self.ending.why in CAN_BE_TAKEN_BACK and not self.ending.is_asked:
            self.ending = None

    def enforce(self, program: Running) -> None:
        """Look at the limits, and do what is due."""
        now = self._clock()
        if self._seconds is not None and now - self._began > self._seconds:
            self.end("seconds", f"The program took longer than its limit of {self._seconds:g} s.")
        if self._memory_gb is not None and now - self._looked >= MEMORY_EVERY_S:
            self._looked = now
            used = program.memory(self._memory_gb * 1e9)
            if used > self._memory_gb * 1e9:
                limit = f"more than its limit of {self._memory_gb:g} GB"
                self.end_now("memory", f"The program and its descendants used {used / 1e9:.2f} GB of memory, {limit}.")
        if self.ending is not None:
            self._carry_out(program, self.ending, now)

    def _carry_out(self, program: Running, ending: Ending, now: float) -> None:
        if now >= ending.ask_at and not ending.is_asked:
            program.terminate()
            self.ending = ending = replace(ending, is_asked=True)
        if now >= ending.kill_at and not ending.is_killed:
            program.kill()
            self.ending = replace(ending, is_killed=True)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
