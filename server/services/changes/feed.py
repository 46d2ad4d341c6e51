"""The feed of changes: one thread that tells all streams of a server what was committed, by whichever server.

Every commit of this server wakes it (`Database.on_commit`), those of other servers do through `store/notices.py` or,
with SQLite, are found by the number of the last transaction. What has changed is read from the tables, by the cursor of
each stream: streams with the same cursor, as most have, share the work and the bytes.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from threading import Event, Lock, Thread
from typing import Final, NamedTuple

from server.services import lookup
from server.services.changes import pushes
from server.services.changes.pushes import Push
from server.services.changes.streams import Of, Stream, Streams
from server.services.isolation import isolated
from server.services.shown.overview import Overviews
from server.store import changes
from server.store.engine import ChangedStudies, Database, Transaction
from server.store.notices import Notices
from server.store.reach import EVERY_STUDY, Reach
from server.store.studies import StudyRow
from sturgeon.threads import supervised

THREAD: Final = "feed"
STEP_S: Final = 0.05
"""What is committed within it is looked for at once."""
BETWEEN_PUSHES_S: Final = 0.25
BETWEEN_OVERVIEWS_S: Final = 1.0
BETWEEN_STUDIES_S: Final = 1.0
"""A study as a whole is told of so often at most."""
SHARE: Final = 0.05
"""Of a processor, which telling of one study may take: the counts of 10,000 trials take 50 ms."""
BETWEEN_NOTICES_S: Final = 0.25
AFTER_FAILURE_S: Final = 5.0
POLL_S: Final = 0.5
LOOK_ALL_THE_SAME_S: Final = 5.0
"""Notices may be lost with a connection; and a worker is gone without a commit."""


class _Told(NamedTuple):
    """A study as it was told of last, when that was, and when it may be told of again."""

    body: bytes
    at: float
    again_at: float


class Feed:
    """The thread, and the streams that it feeds."""

    def __init__(self, database: Database, overviews: Overviews) -> None:
        self._database, self._overviews = database, overviews
        self._notices = Notices(database)
        self._guard = Lock()
        self._wake, self._stop = Event(), Event()
        self.streams = Streams(self._wake.set)
        self._threads: list[Thread] = []
        self._wakes = 0
        self._untold = False
        self._tell_at = self._look_at = 0.0
        self._moment = ""
        self._told: dict[str, _Told] = {}
        database.on_commit(self._committed)

    def start(self) -> None:
        """Start the thread."""
        self._threads.append(supervised(THREAD, self._run, on_failure=self._begin_again))

    def stop(self) -> None:
        """End the streams and the threads."""
        self.streams.end()
        self._stop.set()
        self._wake.set()
        for thread in self._threads:
            thread.join()

    def begin(self, study: str | None, since: str | None, reach: Reach = EVERY_STUDY) -> str:
        """The cursor that a stream goes on from. Not for the event loop. Raises: NotFound."""
        if self._notices.are_sent and len(self._threads) == 1:
            self._threads.append(supervised("notices", self._listen, on_failure=self._begin_again))
        if study is None:
            return since or self._overviews.read(self._database, reach=reach).cursor
        with self._database.reading() as tx:
            row = lookup.get_study(tx, study)
            return since or pushes.cursor_now(tx, row)

    def _begin_again(self, _error: Exception) -> bool:
        return not self._stop.wait(AFTER_FAILURE_S)

    def _listen(self) -> None:
        self._notices.listen(self._woken, self._stop)

    def _committed(self, _studies: ChangedStudies) -> None:
        self._untold = True
        if self._notices.are_sent or self.streams:
            self._woken()

    def _woken(self) -> None:
        with self._guard:
            self._wakes += 1
        self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(self._pause())
            self._wake.clear()
            with isolated(THREAD):
                self._turn(time.monotonic())
            self._stop.wait(STEP_S)

    def _pause(self) -> float | None:
        """Seconds until there is something to do without being woken."""
        now = time.monotonic()
        due = [self._tell_at] if self._untold and self._notices.are_sent else []
        if self.streams:
            due.append(self._look_at)
            due += [stream.not_before for stream in self.streams.waiting() if self._has_news(stream)]
        return max(0.0, min(due) - now) if due else None

    def _has_news(self, stream: Stream) -> bool:
        return stream.seen < self._wakes or (stream.owes_study and stream.of.study is not None)

    def _turn(self, now: float) -> None:
        if self._untold and self._notices.are_sent and now >= self._tell_at:
            self._untold, self._tell_at = False, now + BETWEEN_NOTICES_S
            self._notices.tell()
        if not self.streams:
            return
        if now >= self._look_at:
            self._look(now)
        wakes = self._wakes
        groups: dict[tuple[Of, str], list[Stream]] = defaultdict(list)
        for stream in self.streams.waiting():
            if stream.not_before <= now and self._has_news(stream):
                stream.not_before = now + AFTER_FAILURE_S  # if this one fails
                groups[stream.of, stream.cursor].append(stream)
        for (of, cursor), streams in groups.items():
            with isolated(THREAD, study=of.study):
                if of.study is None:
                    self._feed_overview(of.reach, cursor, streams, now)
                else:
                    self._feed_study(of.study, cursor, streams, now)
                for stream in streams:
                    stream.seen = wakes
        if len(self._told) > len(groups):
            followed = {of.study for of, _ in groups}
            self._told = {name: told for name, told in self._told.items() if name in followed}

    def _look(self, now: float) -> None:
        """Find out by ourselves what we are not told."""
        if self._notices.are_sent:
            self._look_at = now + LOOK_ALL_THE_SAME_S
            self._woken()
            return
        self._look_at = now + POLL_S
        with self._database.reading() as tx:
            moment = changes.moment(tx)
        if moment != self._moment:
            self._moment = moment
            self._woken()

    def _feed_study(self, name: str, cursor: str, streams: Sequence[Stream], now: float) -> None:
        with self._database.reading() as tx:
            change = pushes.of_one(tx, name, cursor)
            told = None
            if change is not None and (change.is_touched or any(stream.owes_study for stream in streams)):
                told = self._study(tx, change.study, now)
        bodies: dict[bool, bytes] = {}
        for stream in streams:
            stream.not_before = now + BETWEEN_PUSHES_S
            if change is None:  # the study was deleted
                self.streams.give(stream, None)
                continue
            stream.owes_study = (stream.owes_study or change.is_touched) and told is None
            is_news = told is not None and told != stream.shown_study
            stream.shown_study = told or stream.shown_study
            stream.cursor = change.push.cursor
            if (whole := change.push.with_study(told if is_news else None)).events:
                self.streams.give(stream, bodies.setdefault(is_news, bodies.get(is_news) or whole.as_bytes()))

    def _study(self, tx: Transaction, study: StudyRow, now: float) -> bytes | None:
        """The study as JSON; None where it was told of a moment ago."""
        told = self._told.get(study.name)
        if told is not None and now < told.again_at:
            return told.body if told.at == now else None
        began = time.thread_time()
        body = pushes.study_message(tx, study)
        cost = time.thread_time() - began
        self._told[study.name] = _Told(body, now, now + max(BETWEEN_STUDIES_S, cost / SHARE))
        return body

    def _feed_overview(self, reach: Reach, cursor: str, streams: Sequence[Stream], now: float) -> None:
        overview = self._overviews.read(self._database, cursor, reach)
        workers = pushes.workers(self._database, reach)
        is_news = overview.complete or overview.studies or overview.gone
        changed = [("studies", overview.model_dump_json().encode())] if is_news else []
        for stream in streams:
            stream.not_before = now + BETWEEN_OVERVIEWS_S
            events = [*pushes.of_workers(stream.shown_workers, workers), *changed]
            stream.cursor, stream.shown_workers = overview.cursor, workers
            if events:
                self.streams.give(stream, Push(events, overview.cursor).as_bytes())
