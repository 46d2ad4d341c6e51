"""A growing data source: a folder to which npz portions are added, and where a run stands in it.

Portions are taken in the order of their names, those that come late as soon as they are there. A run remembers what
it took by content, so nothing is trained on twice, and what it refused, so it is told once.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from trainer.data.datasets import DataError
from trainer.streams.files import Unreadable
from trainer.streams.portions import Form, Portion, read
from trainer.streams.state import StreamState, Taken

PREFIX = "stream:"
END = "END"
"""A file of this name says that no more portions come."""

LOOKED_AT_AGAIN: Final = 250
"""So many of the portions that were taken are looked at again, whether they have changed, while none is new."""

MOST_TOLD: Final = 20
"""So many refused files are told at each look; a folder full of others must not hold up the portions among them."""

MOST_KEPT: Final = 1 << 29
"""Bytes of portions in memory; older ones are read again when they are replayed."""


class Refused(NamedTuple):
    """A file that is no portion for this run, and the sentence that says why; `key` as in `Unreadable`, or the
    content's SHA-256."""

    name: str
    key: str
    why: str


class Looked(NamedTuple):
    """What a file was when it was last read: a portion's SHA-256, or the key and the sentence that refuse it. No stamp:
    it could not be read."""

    stamp: tuple[int, ...]
    key: str
    why: str | None


class Stream:
    """The portions of a folder that are there now; reads each file once, and again when it has changed.

    root: links in the folder may lead anywhere below it.
    """

    def __init__(self, folder: Path, loss: str = "auto", root: Path | None = None) -> None:
        self.folder, self.loss, self.root = folder, loss, (root or folder).resolve()
        self.form: Form | None = None
        self._plan: tuple[Taken, ...] = ()
        self._looked: dict[str, Looked] = {}
        self._kept: OrderedDict[str, Portion] = OrderedDict()
        self._size, self._turn = 0, 0

    def retrace(self, state: StreamState) -> None:
        """From now on the portions come as they came to that run, and end with its last."""
        self.form, self._plan = state.form, state.taken

    def ended(self) -> bool:
        """Whether no more portions come; to be asked before `look`."""
        return bool(self._plan) or os.path.exists(self.folder / END)  # noqa: PTH110  Path's raises where it may not look

    def look(
        self, taken: Sequence[Taken], refused: Collection[tuple[str, str]]
    ) -> tuple[Portion | None, list[Refused]]:
        """The next portion that was not taken, if one is there; of the files before it some that are refused anew."""
        if self._plan:
            return next(iter(self.portions(self._plan[len(taken) : len(taken) + 1])), None), []
        told, found = set(refused), []
        try:
            names = self._names()
        except OSError as error:
            sentence = f"The folder {self.folder.name} cannot be read: {error.strerror}. The run waits for it."
            away = Refused(self.folder.name, f"errno {error.errno}", sentence)
            return None, [] if away[:2] in told else [away]
        key_of, name_of = {one.name: one.sha256 for one in taken}, {one.sha256: one.name for one in taken}
        for name in names:
            looked = None if name in key_of else self._look_at(name)
            if looked is None or (name, _beyond(looked.key)) in told:
                continue
            why, first = looked.why, name_of.get(looked.key)
            if first is not None:
                why = f"{name} holds the same examples as {first}, which came before: nothing is trained on twice."
            if why is not None and (name, looked.key) not in told:
                found.append(Refused(name, looked.key, why))
            if why is None and self._is_in(name, looked.key):
                return self._kept[looked.key], found[:MOST_TOLD]
        found += [one for one in self._changed(names, key_of) if one[:2] not in told]
        return None, found[:MOST_TOLD]

    def _changed(self, names: Sequence[str], key_of: Mapping[str, str]) -> list[Refused]:
        """Portions that were taken and are others now; of many some at each look, in turn."""
        taken = [name for name in names if name in key_of]
        start = self._turn if self._turn < len(taken) else 0
        self._turn = start + LOOKED_AT_AGAIN
        return [
            Refused(name, looked.key, f"{name} has changed since it was trained on; give new examples a new name.")
            for name in taken[start : self._turn]
            if (looked := self._look_at(name)) is not None and looked.stamp and looked.key != key_of[name]
        ]

    def _names(self) -> list[str]:
        """Hidden files are those of programs that copy and unpack, on their way."""
        with os.scandir(self.folder) as entries:
            return sorted(one.name for one in entries if one.name.endswith(".npz") and not one.name.startswith("."))

    def _look_at(self, name: str, *, again: bool = False) -> Looked | None:
        """None for a file that is gone; again: read it even if it has not changed."""
        path = self.folder / name
        try:
            status = path.stat()
            stamp = status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
            looked = self._looked.get(name)
            if looked is not None and looked.stamp == stamp and not again:
                return looked
            portion, self.form = read(path, status, self.form, self.loss, self.root)
            self._keep(portion)
            looked = Looked(stamp, portion.sha256, None)
        except Unreadable as error:
            looked = Looked(stamp, error.key, str(error))
        except OSError as error:  # it may pass: such a file is read again at every look
            if isinstance(error, FileNotFoundError) and not path.is_symlink():
                return None
            return Looked((), f"errno {error.errno}", f"{name} cannot be read: {error.strerror}.")
        self._looked[name] = looked
        return looked

    def _keep(self, portion: Portion) -> None:
        if portion.sha256 not in self._kept:
            self._size += portion.size
        self._kept[portion.sha256] = portion
        while len(self._kept) > 1 and self._size > MOST_KEPT:
            self._size -= self._kept.popitem(last=False)[1].size

    def portions(self, taken: Sequence[Taken]) -> list[Portion]:
        """Portions that the run took before, by content, whatever their files are called now.

        Raises:
            DataError: one is gone or has changed.
        """
        return [self._again(one) for one in taken]

    def _again(self, one: Taken) -> Portion:
        try:
            if one.sha256 not in self._kept and not self._is_in(one.name, one.sha256):
                next(name for name in self._names() if self._is_in(name, one.sha256))
        except (StopIteration, OSError):
            raise DataError(
                f"{one.name}, which this run has taken already, is gone from {self.folder.name} or has changed; "
                "put it back, and give new examples new names."
            ) from None
        self._kept.move_to_end(one.sha256)
        return self._kept[one.sha256]

    def _is_in(self, name: str, sha256: str) -> bool:
        """Whether the file holds this portion, which then is in memory."""
        looked = self._look_at(name)
        if looked is not None and looked.key == sha256 and sha256 not in self._kept:
            self._look_at(name, again=True)
        return sha256 in self._kept


def _beyond(sha256: str) -> str:
    return f"beyond {sha256}"


def beyond(portion: Portion, where: str) -> Refused:
    """A portion on which a model that is sound gives no finite outputs; told under a key of its own, by which it is not
    taken again."""
    why = (
        f"{portion.name} has values so far from those before that the model's outputs on it are not finite ({where}); "
        "correct them, and write NaN where a value is missing."
    )
    return Refused(portion.name, _beyond(portion.sha256), why)


def find_stream(name: str, data_dirs: Sequence[Path], loss: str = "auto") -> Stream:
    """The stream `stream:NAME`, a folder below one of data_dirs.

    Raises:
        DataError: it is in none of them, or the path leads out of them.
    """
    folder = name.removeprefix(PREFIX)
    if not data_dirs:
        raise DataError(f"{name!r} cannot be read: this worker was given no --data folder.")
    for root in (Path(each).resolve() for each in data_dirs):
        path = (root / folder).resolve()
        if path.is_relative_to(root) and path.is_dir():
            return Stream(path, loss, root)
    raise DataError(f"{name!r} is no folder below the --data folders of this worker.")
