"""What needs more memory than there is: it is refused with its size, before anything is unpacked or made."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from trainer import memory
from trainer.checkpoint import Checkpoint, CheckpointError
from trainer.config import ConfigError, TrainConfig
from trainer.data.datasets import checked
from trainer.data.errors import DataError
from trainer.data.loading import load
from trainer.data.preparation import prepare, split_up
from trainer.following import begin_stream
from trainer.streams.stream import Stream
from trainer.training import begin

pytestmark = pytest.mark.fault("L10")


def bomb(shape: tuple[int, ...]) -> bytes:
    """An archive of a few hundred bytes whose arrays X, y and theta have this shape, by their headers."""
    header = str({"descr": "<f8", "fortran_order": False, "shape": shape}).ljust(118).encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("X", "y"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00\x76\x00" + header)
    return file.getvalue()


@pytest.fixture
def one_gigabyte(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 1 GB of memory."""
    monkeypatch.setattr(memory, "memory_bytes", lambda: 10**9)


def test_a_data_set_that_unpacks_to_more_than_there_is_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "t.npz").write_bytes(bomb((10**9, 10**4)))
    with pytest.raises(DataError, match=r"t\.npz, unpacked, needs 480,000\.0 GB of memory; this machine has "):
        load("npz:t.npz", [tmp_path])


def test_a_checkpoint_that_unpacks_to_more_than_there_is_is_refused_unread() -> None:
    with pytest.raises(CheckpointError, match=r"unpacked, needs 160,000\.0 GB of memory"):
        Checkpoint.from_bytes(bomb((10**9, 10**4)))


@pytest.mark.usefixtures("one_gigabyte")
def test_a_table_of_more_cells_than_there_is_memory_for_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "t.csv").open("wb") as file:
        file.truncate(10**8)
    monkeypatch.setattr(Path, "read_bytes", lambda _path: pytest.fail("it was read"))
    with pytest.raises(DataError, match=r"t\.csv, read as cells, needs 1\.5 GB of memory; this machine has 1\.0 GB"):
        load("csv:t.csv", [tmp_path])


@pytest.mark.parametrize("units", [65_536, [65_536] * 100, [1, 65_536, 65_536]])
def test_a_network_that_does_not_fit_is_refused_before_it_is_made(units: int | list[int]) -> None:
    layers = {"hidden_layers": 100} if isinstance(units, int) else {}
    config = TrainConfig("iris", hidden_units=tuple(units) if isinstance(units, list) else units, **layers)
    with pytest.raises(ConfigError, match=r"Training this network of [0-9,]+ parameters needs [0-9,.]+ GB of memory"):
        begin(config, prepare(config), 0)


def test_a_stream_begins_no_network_that_does_not_fit(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", X=np.eye(4), y=np.arange(4) % 2)
    config = TrainConfig("stream:s", hidden_units=65_536, hidden_layers=3)
    with pytest.raises(ConfigError, match="Write fewer hidden_units, or a smaller batch_size"):
        begin_stream(config, Stream(tmp_path), 0)


@pytest.mark.usefixtures("one_gigabyte")
def test_more_examples_of_more_classes_than_fit_are_refused() -> None:
    y = np.repeat(np.arange(10_000), 2)
    data = checked("many", np.arange(20_000.0)[:, None], y)
    with pytest.raises(DataError, match=r"many: 20000 examples of 10000 classes needs 2\.4 GB of memory"):
        split_up(data, TrainConfig("many"))
