"""What a run remembers of its stream, and how little space that takes in a checkpoint."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer.checkpoint import Checkpoint, CheckpointError
from trainer.config import TrainConfig
from trainer.following import begin_stream, follow
from trainer.streams.records import PortionRecord, short_digest, short_refusal
from trainer.streams.stream import END, Stream

CONFIG = TrainConfig("stream:s", epochs=100, hidden_units=4, batch_size=16)


def sha256(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four portions, one torn file, and the end."""
    for number in range(4):
        rng = np.random.default_rng(number)
        y = rng.permutation(np.arange(40) % 2)
        np.savez(tmp_path / f"p{number}.npz", X=rng.standard_normal((40, 3)) + y[:, None], y=y)
    (tmp_path / "p1x.npz").write_bytes(b"torn")
    (tmp_path / END).touch()
    return tmp_path


def started(folder: Path) -> tuple[Checkpoint, Stream]:
    stream = Stream(folder)
    first, _ = begin_stream(CONFIG, stream, 0)
    assert first is not None
    return first, stream


@pytest.fixture
def started_run(folder: Path) -> Checkpoint:
    return started(folder)[0]


def after(start: Checkpoint, portions: int, refusals: int) -> Checkpoint:
    """A checkpoint of a run that has seen so many portions and refused so many files."""
    assert start.stream is not None
    records = tuple(PortionRecord(f"day-{n:06}.npz", short_digest(sha256(n)), 500) for n in range(portions))
    refused = tuple(short_refusal(f"bad-{n:06}.npz", sha256(n)) for n in range(refusals))
    return replace(start, stream=replace(start.stream, portions=records, refused=refused))


@pytest.mark.parametrize("count", [100, 10_000])
def test_a_portion_takes_20_bytes_of_a_checkpoint_and_a_refusal_8(started_run: Checkpoint, count: int) -> None:
    empty, long = after(started_run, 0, 0), after(started_run, count, count)
    content = long.to_bytes()
    assert len(content) - len(empty.to_bytes()) < (20 + 8) * count + 200
    again = Checkpoint.from_bytes(content).stream
    assert again is not None
    assert long.stream is not None
    assert (again.portions, again.refused) == (long.stream.portions, long.stream.refused)


def test_names_of_any_characters_are_remembered(started_run: Checkpoint) -> None:
    assert started_run.stream is not None
    names = ["a\nb.npz", "\udcff.npz", "ü, 2.npz"]
    records = tuple(PortionRecord(name, short_digest(sha256(0)), 1) for name in names)
    long = replace(started_run, stream=replace(started_run.stream, portions=records))
    again = Checkpoint.from_bytes(long.to_bytes()).stream
    assert again is not None
    assert again.portions == records


def test_a_checkpoint_whose_lists_do_not_fit_together_is_refused(started_run: Checkpoint) -> None:
    content = rewritten(after(started_run, 3, 0).to_bytes(), lambda arrays: arrays | {"stream_digests": np.arange(16)})
    with pytest.raises(CheckpointError):
        Checkpoint.from_bytes(content)


def rewritten(content: bytes, change: Any) -> bytes:
    with np.load(io.BytesIO(content)) as file:
        arrays = change({name: file[name] for name in file.files})
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def in_the_older_form(content: bytes, folder: Path) -> bytes:
    """As it was written when both lists were JSON: (name, SHA-256, examples) and (name, key)."""
    stream = Stream(folder)
    state = Checkpoint.from_bytes(content).stream
    assert state is not None
    portions = zip(state.portions, stream.portions(state.portions), strict=True)

    def change(arrays: dict[str, Any]) -> dict[str, Any]:
        about = json.loads(arrays["about"].tobytes())
        about["stream"]["taken"] = [(record.name, p.sha256, record.examples) for record, p in portions]
        about["stream"]["refused"] = [("p1x.npz", "torn")]
        left = {name: array for name, array in arrays.items() if not name.startswith("stream_")}
        return left | {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}

    return rewritten(content, change)


def test_a_run_goes_on_from_a_checkpoint_of_the_older_form_bit_for_bit(folder: Path) -> None:
    seen = list(follow(*started(folder)))
    second = next(p for p in seen if p.metrics.get("portion") == 2)
    older = Checkpoint.from_bytes(in_the_older_form(second.checkpoint().to_bytes(), folder))
    resumed = list(follow(older, Stream(folder)))
    assert [notice for p in resumed for notice in p.notices] == [], "the torn file was reported before"
    end, expected = resumed[-1].checkpoint(), seen[-1].checkpoint()
    assert end.theta.tobytes() == expected.theta.tobytes()
    assert end.stream is not None
    assert expected.stream is not None
    assert (end.stream.portions, end.stream.refused) == (expected.stream.portions, expected.stream.refused)
