"""Does to a system what a plan says, and undoes it when its time is over."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from server.store.blobs import TORN
from tests.processes import looks
from tests.soak.case import CLOCK_STEP_S
from tests.soak.faults import SERVERS, Fault, PastFault
from tests.soak.history import HistoryWriter
from tests.soak.nuisances import Nuisance
from tests.soak.system import Member, System, now

READY_WITHIN_S: Final = 30.0
ALL: Final = 1_000_000_000
"""More answers than there are."""

Undo = Callable[[], None]


def _nothing() -> None:
    pass


class Injection:
    """The faults that are on, and those that were."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._on: list[tuple[float, Fault, float, str, Undo]] = []
        self._history = HistoryWriter(system.folder / "nuisance.history", "nuisance")
        self.happened: list[PastFault] = []

    @property
    def damaged(self) -> frozenset[str]:
        return frozenset(one.detail for one in self.happened if one.kind.startswith("checkpoint"))

    def begin(self, fault: Fault) -> bool:
        """Whether the fault has begun: its target may be away."""
        began = now()
        done = _BEGINNINGS[fault.kind](self, fault)
        if done is None:
            return False
        undo, detail = done
        self._on.append((began + fault.lasts_s, fault, began, detail, undo))
        self.end_due()
        return True

    def end_due(self, *, all_of_them: bool = False) -> None:
        """Undo those whose time is over."""
        due = [one for one in self._on if all_of_them or one[0] <= now()]
        for one in due:
            self._on.remove(one)
            _, fault, began, detail, undo = one
            undo()
            self.happened.append(PastFault(fault.kind, fault.target, began, now(), detail))

    # --- processes ---

    def kill(self, member: Member) -> tuple[Undo, str] | None:
        if not member.process.alive or not member.is_wanted:
            return None
        member.kill()
        return member.start, ""

    def die_at_commit(self, number: int) -> tuple[Undo, str] | None:
        """Before or after the next commit of a transaction that writes."""
        member, file = self._system.servers[number], self._system.failpoint(number)
        if not member.process.alive or not member.is_wanted or member.stands_still:
            return None
        member.is_wanted = False
        file.write_text(self._system.chance.choice(("before commit", "after commit")))

        def begin_again() -> None:
            file.unlink(missing_ok=True)
            member.start()

        return begin_again, ""

    def stand_still(self, member: Member) -> tuple[Undo, str] | None:
        if not member.process.alive or not member.is_wanted or member.stands_still:
            return None
        member.pause()
        return member.unpause, ""

    def restart(self, *members: Member) -> tuple[Undo, str] | None:
        if not all(one.process.alive and one.is_wanted and not one.stands_still for one in members):
            return None
        for one in members:
            one.stop()
            one.start()
            for _ in looks(READY_WITHIN_S):  # the next one goes on meanwhile
                if one in self._system.workers or self._system.is_ready(one):
                    break
        return _nothing, ""

    def kill_postgres(self) -> tuple[Undo, str] | None:
        postgres = self._system.postgres
        if postgres is None or any("PostgreSQL" in one.kind for _, one, *_ in self._on):
            return None
        postgres.kill()
        return postgres.start, ""

    # --- what is between them ---

    def cut(self, number: int) -> tuple[Undo, str]:
        cable = self._system.cables[number]
        cable.cut()
        return cable.mend, ""

    def lose_answers(self, number: int) -> tuple[Undo, str]:
        cable = self._system.cables[number]
        cable.answers_to_lose = ALL

        def find_again() -> None:
            cable.answers_to_lose = 0

        return find_again, ""

    def step_clock(self, seconds: int) -> tuple[Undo, str]:
        file = self._system.ahead
        ahead = int(file.read_text()) + seconds
        beside = file.with_name("ahead.part")
        beside.write_text(str(ahead))
        beside.replace(file)
        return _nothing, ""

    def fill_disk(self) -> tuple[Undo, str] | None:
        disk = self._system.disk
        if disk is None:
            return None
        disk.fill()
        return disk.make_room, ""

    def bother(self, number: int, how: str) -> tuple[Undo, str]:
        nuisance = Nuisance(self._system.cables[number].url)
        match how:
            case "slow":
                nuisance.be_slow()
            case "deaf":
                nuisance.be_deaf()
            case _:
                nuisance.be_large(self._history)
        return nuisance.end, ""

    def spoil_checkpoint(self, *, lose: bool) -> tuple[Undo, str] | None:
        """Delete a file, or change a bit amid it."""
        files = [file for file in self._system.checkpoints.rglob("*") if file.is_file() and TORN not in file.name]
        if not files:
            return None
        file = self._system.chance.choice(sorted(files))
        with suppress(FileNotFoundError):  # a rule drops it just now
            file.unlink() if lose else _flip(file)
        return _nothing, file.name


def _flip(file: Path) -> None:
    with file.open("r+b") as content:
        size = content.seek(0, 2)
        content.seek(size // 2)
        byte = content.read(1)
        content.seek(size // 2)
        content.write(bytes([byte[0] ^ 1]))


_BEGINNINGS: Final[dict[str, Callable[[Injection, Fault], tuple[Undo, str] | None]]] = {
    "server killed": lambda on, fault: on.kill(on._system.servers[fault.target]),
    "server died at a commit": lambda on, fault: on.die_at_commit(fault.target),
    "server stood still": lambda on, fault: on.stand_still(on._system.servers[fault.target]),
    "servers restarted in turn": lambda on, _: on.restart(*on._system.servers[:SERVERS]),
    "worker killed": lambda on, fault: on.kill(on._system.workers[fault.target]),
    "worker stood still": lambda on, fault: on.stand_still(on._system.workers[fault.target]),
    "worker restarted": lambda on, fault: on.restart(on._system.workers[fault.target]),
    "client killed": lambda on, fault: on.kill(on._system.clients[fault.target]),
    "connections cut": lambda on, fault: on.cut(fault.target),
    "answers lost": lambda on, fault: on.lose_answers(fault.target),
    "PostgreSQL killed": lambda on, _: on.kill_postgres(),
    "clock put forward": lambda on, _: on.step_clock(CLOCK_STEP_S),
    "clock put back": lambda on, _: on.step_clock(-CLOCK_STEP_S),
    "disk full": lambda on, _: on.fill_disk(),
    "slow clients": lambda on, fault: on.bother(fault.target, "slow"),
    "readers that do not read": lambda on, fault: on.bother(fault.target, "deaf"),
    "large bodies": lambda on, fault: on.bother(fault.target, "large"),
    "checkpoint lost": lambda on, _: on.spoil_checkpoint(lose=True),
    "checkpoint damaged": lambda on, _: on.spoil_checkpoint(lose=False),
}
