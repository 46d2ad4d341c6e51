"""A growing data source: a folder to which npz portions are added, and where a run stands in it.

Portions are taken in the order of their names, those that come late as soon as they are there. A run remembers what
it took by content, so nothing is trained on twice, and what it refused, so it is told once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trainer.datasets import DataError
from trainer.normalization import Normalization
from trainer.parameters import Array
from trainer.portions import Form, Portion, Unreadable, read
from trainer.preparation import Data, Part
from trainer.stream_state import Mix, StreamState, Taken

PREFIX = "stream:"
END = "END"
"""A file of this name says that no more portions come."""


class Refused(NamedTuple):
    """A file that is no portion for this run, and the sentence that says why."""

    name: str
    sha256: str
    why: str


class Looked(NamedTuple):
    """What a file was when it was last read; why: the sentence that refuses it, None for a portion."""

    stamp: tuple[int, int]
    sha256: str
    why: str | None


class Stream:
    """The portions of a folder that are there now; reads each file once, and again when it has changed."""

    def __init__(self, folder: Path, loss: str = "auto") -> None:
        self.folder, self.loss = folder, loss
        self.form: Form | None = None
        self._plan: tuple[Taken, ...] = ()
        self._looked: dict[str, Looked] = {}
        self._kept: dict[str, Portion] = {}

    def retrace(self, state: StreamState) -> None:
        """From now on the portions come as they came to that run, and end with its last."""
        self.form, self._plan = state.form, state.taken

    def ended(self) -> bool:
        """Whether no more portions come; to be asked before `look`."""
        return bool(self._plan) or (self.folder / END).exists()

    def look(
        self, taken: Sequence[Taken], refused: Collection[tuple[str, str]]
    ) -> tuple[Portion | None, list[Refused]]:
        """The next portion that was not taken, if one is there, and the files before it that were refused anew."""
        if self._plan:
            return next(iter(self.portions(self._plan[len(taken) : len(taken) + 1])), None), []
        hash_of, name_of = dict(taken), {one.sha256: one.name for one in taken}
        found: list[Refused] = []
        for path in self._files():
            looked = self._look_at(path)
            if looked is None or hash_of.get(path.name) == looked.sha256:
                continue
            why = looked.why
            if looked.sha256 in name_of:
                first = name_of[looked.sha256]
                why = f"{path.name} holds the same examples as {first}, which came before: nothing is trained on twice."
            elif path.name in hash_of:
                why = f"{path.name} has changed since it was trained on; give new examples a new name."
            if why is None:
                return self._kept[looked.sha256], found
            if (path.name, looked.sha256) not in refused:
                found.append(Refused(path.name, looked.sha256, why))
        return None, found

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.npz"), key=lambda path: path.name)

    def _look_at(self, path: Path) -> Looked | None:
        """None for a file that is gone, or that may not be read."""
        try:
            stat = path.stat()
            stamp = stat.st_mtime_ns, stat.st_size
            looked = self._looked.get(path.name)
            if looked is not None and looked.stamp == stamp:
                return looked
            portion, self.form = read(path, self.form, self.loss)
            self._kept[portion.sha256] = portion
            looked = Looked(stamp, portion.sha256, None)
        except FileNotFoundError:
            return None
        except OSError as error:
            looked = Looked(stamp, f"errno {error.errno}", f"{path.name} cannot be read: {error.strerror}.")
        except Unreadable as error:
            looked = Looked(stamp, error.sha256, str(error))
        self._looked[path.name] = looked
        return looked

    def portions(self, taken: Sequence[Taken]) -> list[Portion]:
        """Portions that the run took before, by content, whatever their files are called now.

        Raises:
            DataError: one is gone or has changed.
        """
        if any(one.sha256 not in self._kept for one in taken):
            self._looked.clear()
            for path in self._files():
                self._look_at(path)
        for one in taken:
            if one.sha256 not in self._kept:
                raise DataError(
                    f"{one.name}, which this run has taken already, is gone from {self.folder.name} or has changed; "
                    "put it back, and give new examples new names."
                )
        return [self._kept[one.sha256] for one in taken]

    def forget(self, taken: Sequence[Taken]) -> None:
        """Portions that are needed no more need no memory."""
        for one in taken:
            self._kept.pop(one.sha256, None)


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
            return Stream(path, loss)
    raise DataError(f"{name!r} is no folder below the --data folders of this worker.")


def of_arrays(state: StreamState, X: Array, Y: Array, inputs: Normalization, passes: int = 1) -> Data:
    """X `[m, n]` (a missing value becomes the mean, 0) and Y `[m, C]` as data."""
    whole = Part(np.nan_to_num(inputs.apply(X)), state.targets.apply(Y), np.arange(len(X)))
    nothing = whole.only(np.arange(0))
    parts = {"train": whole} | dict.fromkeys(("dev", "test", "train_dev", "synthetic"), nothing)
    return Data(state.form.kind, parts, inputs, state.targets, state.form.names, passes=passes)


def mixed(stream: Stream, state: StreamState, mix: Mix, inputs: Normalization, seed: int) -> Data:
    """What the last portion is trained with: the window that ends with it, and a share of replayed older examples.

    Replayed are random examples of the portions from `forget_before` on that are older than the window, drawn anew for
    each portion from (seed, its number): replay_share of all examples, or as many as there are.
    """
    k = len(state.taken)
    oldest = min(mix.forget_before, k - 1)
    start = oldest if mix.window == 0 else max(oldest, k - mix.window)
    window, older = stream.portions(state.taken[start:]), state.taken[oldest:start]
    X, Y = np.concatenate([p.X for p in window]), np.concatenate([p.Y for p in window])
    if mix.replay_share and older:
        old = stream.portions(older)
        X_old, Y_old = np.concatenate([p.X for p in old]), np.concatenate([p.Y for p in old])
        wanted = round(mix.replay_share / (1 - mix.replay_share) * len(X))
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(4, k))))
        rows = np.sort(rng.permutation(len(X_old))[:wanted])
        X, Y = np.concatenate([X, X_old[rows]]), np.concatenate([Y, Y_old[rows]])
    return of_arrays(state, X, Y, inputs, mix.portion_epochs)
