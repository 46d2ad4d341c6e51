"""The routes of what a run leaves: checkpoints and its log."""

from __future__ import annotations

import hashlib
import io
import math
from typing import BinaryIO, Literal

from sturgeon import messages as m
from sturgeon.client.connected import Connected
from sturgeon.client.requests import (
    given,
    shortened,
    trial_path,
)


class FileRoutes(Connected):
    """Store and read checkpoints and logs."""

    def put_checkpoint(
        self,
        study: str,
        number: int,
        step: int,
        data: bytes,
        fence: int,
        epoch: float | None = None,
        value: float | None = None,
        version: int = 0,
        wanted: int = 0,
    ) -> m.Checkpoint:
        """Store a checkpoint; `value`, the study's metric at that step, says which is the best. `version` was in force
        when it was taken; `wanted` is the version that asked for it, if one did."""
        digest = hashlib.sha256(data).hexdigest()
        query = given(fence=fence, sha256=digest, epoch=epoch, value=value, version=version or None)
        query |= given(wanted=wanted or None)
        path = f"{trial_path(study, number)}/checkpoints/{step}"
        return self._wire.ask(m.Checkpoint, "PUT", path, data, query=query)

    def checkpoints(self, study: str, number: int) -> m.Page[m.Checkpoint]:
        return self._wire.ask(m.Page[m.Checkpoint], "GET", f"{trial_path(study, number)}/checkpoints")

    def checkpoint(
        self,
        study: str,
        number: int,
        step: int | Literal["best"],
        study_id: int | None = None,
        most_bytes: float = 4e9,
    ) -> bytes:
        """The bytes of a checkpoint; one with more than `most_bytes` is not read (TooLarge). `study_id`: the
        `start_from_study` of a lease's task, with "best" only."""
        content = io.BytesIO()
        query = given(study_id=study_id)
        self._wire.download(f"{trial_path(study, number)}/checkpoints/{step}", query, content, most_bytes)
        return content.getvalue()

    def download_checkpoint(self, study: str, number: int, step: int | Literal["best"], file: BinaryIO) -> None:
        """Write a checkpoint into an empty file that was opened for bytes; it may be larger than the memory."""
        self._wire.download(f"{trial_path(study, number)}/checkpoints/{step}", {}, file, math.inf)

    def put_trial_log(self, study: str, number: int, fence: int, text: str) -> None:
        """All that the present run has printed so far; it replaces what was sent before, and renews the lease. Of more
        than a server takes, the beginning and the end."""
        content = shortened(text.encode("utf-8", "replace"), m.LARGEST_LOG)
        query, kind = {"fence": fence}, {"Content-Type": "text/plain; charset=utf-8"}
        self._wire.send("PUT", f"{trial_path(study, number)}/log", content, query=query, headers=kind)

    def trial_log(self, study: str, number: int, run: Literal["last", "before"] = "last") -> str:
        """What the last run of the trial, or the one before it, has printed."""
        query = {} if run == "last" else {"run": run}
        return self._wire.send("GET", f"{trial_path(study, number)}/log", query=query).content.decode()
