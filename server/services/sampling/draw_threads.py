"""Threads for draws that may be slow, kept for the next draws. A draw that does not end holds up neither others, since
another thread is started for them, nor the end of the process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Final

from sturgeon.threads import supervised

IDLE_S: Final = 30.0
"""A thread that had nothing to do for so long ends."""

Draw = Callable[[], None]
"""A draw, which raises nothing."""


class DrawThreads:
    """The threads of a process for draws."""

    def __init__(self) -> None:
        self._idle: list[SimpleQueue[Draw]] = []
        self._guard = Lock()

    def run(self, draw: Draw) -> None:
        """Begin a draw in a thread that is idle, else in a new one."""
        with self._guard:
            queue = self._idle.pop() if self._idle else None
        if queue is None:
            queue = SimpleQueue()
            supervised("sampler", partial(self._serve, queue), on_failure=lambda _error: False)
        queue.put(draw)

    def _serve(self, queue: SimpleQueue[Draw]) -> None:
        while (draw := self._next(queue)) is not None:
            draw()
            del draw  # and with it what the sampler saw
            with self._guard:
                self._idle.append(queue)

    def _next(self, queue: SimpleQueue[Draw]) -> Draw | None:
        try:
            return queue.get(timeout=IDLE_S)
        except Empty:
            with self._guard:
                if queue in self._idle:
                    self._idle.remove(queue)
                    return None
            return queue.get()  # somebody has just chosen this thread
