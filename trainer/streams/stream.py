"""A stream: a folder to which npz portions are added while a run follows it.

Portions come in the order of their names; a late one comes as soon as its file is there. A run remembers the portions
that it has seen by their content, so that nothing is trained on twice, and the refusals that it has reported.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from trainer.data.errors import DataError
from trainer.data.places import find_below
from trainer.streams.files import UnreadableFile
from trainer.streams.portions import Form, Portion, read_portion
from trainer.streams.records import PortionRecord, short_digest, short_refusal
from trainer.streams.state import StreamState

PREFIX = "stream:"
END = "END"
"""A file of this name says that no more portions come."""

CHECKED_AGAIN: Final = 250
"""Whenever there is no new portion, so many files of portions that were seen are checked for changes."""

MOST_REPORTED: Final = 20
"""So many refused files are reported at a time; a folder full of them must not hold up the portions among them."""

MOST_CACHED_BYTES: Final = 1 << 29
"""Bytes of portions in memory; older portions are read again when they are replayed."""


class RefusedFile(NamedTuple):
    """A file that this run cannot train on, and a sentence that says why; `key` as in `UnreadableFile`, or the SHA-256
    of the portion."""

    name: str
    key: str
    why: str

    @property
    def short(self) -> str:
        """What a `StreamState` remembers of the refusal."""
        return short_refusal(self.name, self.key)


class FileStatus(NamedTuple):
    """A file as it was last read. stamp: changes with the file; empty if it could not be read. key: the SHA-256 of its
    portion, or the key of its refusal; why: the sentence of the refusal."""

    stamp: tuple[int, ...]
    key: str
    why: str | None


class Stream:
    """The portions of a folder. Reads each file once, and again when it has changed.

    root: links in the folder may lead anywhere below it.
    """

    def __init__(self, folder: Path, loss: str = "auto", root: Path | None = None) -> None:
        self.folder, self.loss, self.root = folder, loss, (root or folder).resolve()
        self.form: Form | None = None
        self._replayed: tuple[PortionRecord, ...] = ()
        self._status: dict[str, FileStatus] = {}
        self._cache: OrderedDict[str, Portion] = OrderedDict()
        self._cached_bytes, self._next_check = 0, 0

    def replay(self, state: StreamState) -> None:
        """From now on gives the portions that the run of this state has seen, in its order, and no others."""
        self.form, self._replayed = state.form, state.portions

    def ended(self) -> bool:
        """Whether no more portions come; to be asked before `next_portion`."""
        return bool(self._replayed) or os.path.exists(self.folder / END)  # noqa: PTH110  Path's raises without access

    def next_portion(
        self, seen: Sequence[PortionRecord], reported: Collection[str]
    ) -> tuple[Portion | None, list[RefusedFile]]:
        """The next portion that is not among `seen`, if one is there, and some of the files before it that are refused
        and whose refusals (`RefusedFile.short`) are not among `reported`."""
        if self._replayed:
            return next(iter(self.portions(self._replayed[len(seen) : len(seen) + 1])), None), []
        known, refused = set(reported), []
        try:
            names = self._names()
        except OSError as error:
            sentence = f"The folder {self.folder.name} cannot be read: {error.strerror}. The run waits for it."
            unreadable = RefusedFile(self.folder.name, f"errno {error.errno}", sentence)
            return None, [] if unreadable.short in known else [unreadable]
        digest_of = {record.name: record.digest for record in seen}
        name_of = {record.digest: record.name for record in seen}
        for name in names:
            status = None if name in digest_of else self._read(name)
            if status is None or short_refusal(name, _not_finite_key(status.key)) in known:
                continue
            why, first = status.why, name_of.get(short_digest(status.key))
            if first is not None:
                why = f"{name} holds the same examples as {first}, which came before: nothing is trained on twice."
            if why is not None:
                refused.append(RefusedFile(name, status.key, why))
            elif (portion := self._cached(name, short_digest(status.key))) is not None:
                return portion, _unreported(refused, known)
        refused += self._changed(names, digest_of)
        return None, _unreported(refused, known)

    def _changed(self, names: Sequence[str], digest_of: Mapping[str, str]) -> list[RefusedFile]:
        """Files of seen portions that hold others now; checks CHECKED_AGAIN of them at each call, in turn."""
        seen = [name for name in names if name in digest_of]
        start = self._next_check if self._next_check < len(seen) else 0
        self._next_check = start + CHECKED_AGAIN
        return [
            RefusedFile(name, status.key, f"{name} has changed since it was trained on; give new examples a new name.")
            for name in seen[start : self._next_check]
            if (status := self._read(name)) is not None and status.stamp and short_digest(status.key) != digest_of[name]
        ]

    def _names(self) -> list[str]:
        """Without hidden files: programs that copy or unpack write to them first."""
        with os.scandir(self.folder) as entries:
            return sorted(
                entry.name for entry in entries if entry.name.endswith(".npz") and not entry.name.startswith(".")
            )

    def _read(self, name: str, *, again: bool = False) -> FileStatus | None:
        """None for a file that is gone; again: reads it even if it has not changed."""
        path = self.folder / name
        try:
            result = path.stat()
            stamp = result.st_ino, result.st_size, result.st_mtime_ns, result.st_ctime_ns
            status = self._status.get(name)
            if status is not None and status.stamp == stamp and not again:
                return status
            portion, self.form = read_portion(path, result, self.form, self.loss, self.root)
            self._add_to_cache(portion)
            status = FileStatus(stamp, portion.sha256, None)
        except UnreadableFile as error:
            status = FileStatus(stamp, error.key, str(error))
        except OSError as error:  # it may pass: such a file is read again each time
            if isinstance(error, FileNotFoundError) and not path.is_symlink():
                return None
            return FileStatus((), f"errno {error.errno}", f"{name} cannot be read: {error.strerror}.")
        self._status[name] = status
        return status

    def _add_to_cache(self, portion: Portion) -> None:
        digest = short_digest(portion.sha256)
        if digest not in self._cache:
            self._cached_bytes += portion.size
        self._cache[digest] = portion
        while len(self._cache) > 1 and self._cached_bytes > MOST_CACHED_BYTES:
            self._cached_bytes -= self._cache.popitem(last=False)[1].size

    def portions(self, records: Sequence[PortionRecord]) -> list[Portion]:
        """Portions that the run has seen, found by content, whatever their files are called now.

        Raises: DataError (one is gone or has changed).
        """
        return [self._portion_of(record) for record in records]

    def _portion_of(self, record: PortionRecord) -> Portion:
        try:
            if record.digest not in self._cache and self._cached(record.name, record.digest) is None:
                next(name for name in self._names() if self._cached(name, record.digest) is not None)
        except (StopIteration, OSError):
            raise DataError(
                f"{record.name}, which this run has seen already, is gone from {self.folder.name} or has changed; "
                "put it back, and give new examples new names."
            ) from None
        self._cache.move_to_end(record.digest)
        return self._cache[record.digest]

    def _cached(self, name: str, digest: str) -> Portion | None:
        """The portion with this digest, read from the file of this name unless it is in memory; None if the file does
        not hold it."""
        status = self._read(name)
        if status is not None and short_digest(status.key) == digest and digest not in self._cache:
            self._read(name, again=True)
        return self._cache.get(digest)


def _unreported(refused: Sequence[RefusedFile], reported: Collection[str]) -> list[RefusedFile]:
    return [file for file in refused if file.short not in reported][:MOST_REPORTED]


def _not_finite_key(sha256: str) -> str:
    return f"beyond {sha256}"


def refused_as_not_finite(portion: Portion, where: str) -> RefusedFile:
    """The refusal of a portion on which a model, which is otherwise sound, gives no finite outputs.

    Its key is not the portion's SHA-256: by this key the stream does not give the portion again.
    """
    why = (
        f"{portion.name} has values so far from those before that the model's outputs on it are not finite ({where}); "
        "correct them, and write NaN where a value is missing."
    )
    return RefusedFile(portion.name, _not_finite_key(portion.sha256), why)


def find_stream(name: str, data_dirs: Sequence[Path], loss: str = "auto") -> Stream:
    """The stream `stream:NAME`, a folder below one of data_dirs.

    Raises: DataMissing (the folder is below none of them, or may not be read), DataError (the path leads out of them).
    """
    path = find_below(name.removeprefix(PREFIX), data_dirs, name, "folder")
    root = next(root for root in (Path(each).resolve() for each in data_dirs) if path.is_relative_to(root))
    return Stream(path, loss, root)
