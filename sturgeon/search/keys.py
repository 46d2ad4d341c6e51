"""Keys of points, 64 bits each, and sets of them that grow without being copied."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sturgeon.search.cube import Array, Mask

Keys = NDArray[np.uint64]

MOST_RECENT: Final = 4096
_WORD: Final = (1 << 64) - 1
_STEP: Final = np.uint64(0x9E3779B97F4A7C15)


def mixed(words: Keys) -> Keys:
    """A key for each word, as if by chance: SplitMix64 (Steele et al., OOPSLA 2014)."""
    key = words + _STEP  # sums and products of words wrap around
    key = (key ^ key >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ key >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return np.asarray(key ^ key >> np.uint64(31))


def _mixed(word: int) -> int:
    """As `mixed`, of one word: a call of NumPy takes as long as all of it."""
    key = word + 0x9E3779B97F4A7C15 & _WORD
    key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    key = (key ^ key >> 27) * 0x94D049BB133111EB & _WORD
    return key ^ key >> 31


def keys_of(points: Array) -> Keys:
    """The key of each row of `points` [n, d]. Other bits give another key, but for one pair in 2^64."""
    words = np.ascontiguousarray(points).view(np.uint64)
    if len(points) == 1:
        key = 0
        for word in words[0].tolist():
            key = _mixed(key ^ word)
        return np.array([key], dtype=np.uint64)
    keys = np.zeros(len(points), dtype=np.uint64)
    for j in range(points.shape[1]):
        keys = mixed(keys ^ words[:, j])
    return keys


def _none() -> Keys:
    return np.empty(0, dtype=np.uint64)


@dataclass(frozen=True, eq=False)
class KeySet:
    """A set of keys: two sorted arrays with nothing in common. Only the smaller one is copied when keys are added."""

    large: Keys = field(default_factory=_none)
    recent: Keys = field(default_factory=_none)

    def with_keys(self, keys: Keys) -> KeySet:
        """With these as well."""
        new = keys[~_holds(self.large, keys)] if len(self.large) else keys
        if not len(new):
            return self
        recent = _union(self.recent, new)
        if len(recent) <= MOST_RECENT:
            return KeySet(self.large, recent)
        return KeySet(np.union1d(self.large, recent))

    def holds(self, keys: Keys) -> Mask:
        """Which of the keys [m] are in the set."""
        recent = _holds(self.recent, keys)
        return recent | _holds(self.large, keys) if len(self.large) else recent

    @property
    def keys(self) -> Keys:
        """All of them."""
        return np.concatenate([self.large, self.recent])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeySet) and np.array_equal(np.sort(self.keys), np.sort(other.keys))

    def __hash__(self) -> int:
        return hash(np.sort(self.keys).tobytes())

    def __len__(self) -> int:
        return len(self.large) + len(self.recent)


def _union(ordered: Keys, keys: Keys) -> Keys:
    """As `np.union1d`, without sorting anew what is in order."""
    new = keys[~_holds(ordered, keys)]
    if len(new) == 1:
        place = int(ordered.searchsorted(new[0]))
        return np.concatenate([ordered[:place], new, ordered[place:]])
    new = np.unique(new)
    return np.insert(ordered, np.searchsorted(ordered, new), new)


def _holds(ordered: Keys, keys: Keys) -> Mask:
    if not len(ordered):
        return np.zeros(len(keys), dtype=bool)
    place = np.minimum(ordered.searchsorted(keys), len(ordered) - 1)
    return np.asarray(ordered[place] == keys)
