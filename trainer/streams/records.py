"""What a run remembers of each portion that it has seen and of each file that it has refused, in little space.

A checkpoint cannot forget either. Replayed examples are drawn from all portions of the run, in the order of their
training; a file that was trained on must be known by its name and by its content, so that nothing is trained on twice;
and a refusal is reported once. So both lists grow with the stream, but by about 20 bytes for a portion and 8 bytes for
a refused file.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from trainer.layers.parameters import Array

DIGEST: Final = 16
"""Bytes of a portion's SHA-256 that are remembered: no two portions share them by chance."""

REFUSAL: Final = 8
"""Bytes that are remembered of a refusal: among 10,000 refusals two share them in one of 10^11 streams."""


class PortionRecord(NamedTuple):
    """A portion that the run has seen: its file's name, the first 32 hex digits of its SHA-256, and its examples."""

    name: str
    digest: str
    examples: int


def short_digest(sha256: str) -> str:
    """The part of a portion's SHA-256 (in hex) that a `PortionRecord` has."""
    return sha256[: 2 * DIGEST]


def refusal_hash(name: str, key: str) -> str:
    """A hash (in hex) of the refusal of a file of this name; key: why, see `files.UnreadableFile`."""
    return hashlib.sha256(f"{key}\0{name}".encode(errors="surrogatepass")).hexdigest()


def short_refusal(name: str, key: str) -> str:
    """The part of `refusal_hash` that a `StreamState` has."""
    return refusal_hash(name, key)[: 2 * REFUSAL]


def pack_records(records: Sequence[PortionRecord], refusals: Sequence[str]) -> dict[str, Array]:
    """Both lists as arrays of bytes by name, for an npz file."""
    names = "\0".join(record.name for record in records).encode(errors="surrogatepass")
    examples = np.array([record.examples for record in records], "<i8")
    return {
        "stream_names": _bytes(zlib.compress(names)),
        "stream_examples": _bytes(zlib.compress(examples.tobytes())),
        "stream_digests": _bytes(bytes.fromhex("".join(record.digest for record in records))),
        "stream_refusals": _bytes(bytes.fromhex("".join(refusals))),
    }


def unpack_records(arrays: Mapping[str, Array]) -> tuple[tuple[PortionRecord, ...], tuple[str, ...]]:
    """The two lists that `pack_records` packed.

    Raises: ValueError (the lists do not fit together), KeyError (an array is missing), zlib.error.
    """
    examples = np.frombuffer(zlib.decompress(arrays["stream_examples"].tobytes()), "<i8").tolist()
    names = zlib.decompress(arrays["stream_names"].tobytes()).decode(errors="surrogatepass").split("\0")
    digests = _hex_of(arrays["stream_digests"], DIGEST)
    columns = zip(names if examples else (), digests, examples, strict=True)
    return tuple(PortionRecord(*column) for column in columns), tuple(_hex_of(arrays["stream_refusals"], REFUSAL))


def _bytes(content: bytes) -> Array:
    return np.frombuffer(content, np.uint8)


def _hex_of(packed: Array, size: int) -> Iterable[str]:
    return [row.tobytes().hex() for row in packed.reshape(-1, size)]
