"""Checkpoints: everything that a step changes, in one npz file. A run resumes from it, and a model predicts from it."""

from __future__ import annotations

import dataclasses
import glob
import io
import json
import os
import tempfile
import time
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trainer.config import TrainConfig, config_from
from trainer.data.arrays import unpacked_size
from trainer.data.encoding import Encoding
from trainer.data.normalization import Normalization
from trainer.layers.losses import LOSS_OF
from trainer.layers.network import Architecture
from trainer.layers.parameters import Array, Parameters
from trainer.memory import memory_problem
from trainer.numerics import numerics
from trainer.optim.averages import Average
from trainer.refusal import Refusal
from trainer.streams.state import StreamState

FORMAT = 1
TORN_AFTER_S = 3600.0


class CheckpointError(Refusal):
    """These bytes are not a checkpoint that this trainer can read."""


@dataclass(frozen=True)
class Checkpoint:
    """One model between two steps.

    config: the hyperparameters in force. seed: decides the order of examples in every epoch.
    theta: `[P]`, in the layout of `architecture()`.
    mask_state: state of the bit generator of the dropout masks, `[4]` uint64.
    normalization: of X; target_normalization: of Y, if the targets are values. kind: see `datasets.Dataset`.
    sums, betas, products: of all averages by name (the optimiser's moments, averaged weights, batch norm's statistics,
        the smoothed loss), see `averages.Average`.
    step: optimiser steps done; epoch: epochs finished; position: batches done since then.
    stream: the position in a stream of portions, for a model that follows one.
    encoding: how columns of a csv file become the inputs, for a model that learnt from one.
    """

    config: TrainConfig
    seed: int
    theta: Array
    mask_state: Array
    normalization: Normalization
    target_normalization: Normalization
    class_names: tuple[str, ...]
    kind: str
    sums: dict[str, Array] = field(default_factory=dict)
    betas: dict[str, float] = field(default_factory=dict)
    products: dict[str, float] = field(default_factory=dict)
    step: int = 0
    epoch: int = 0
    position: int = 0
    seconds: float = 0.0
    plateau_best: float = float("inf")
    plateau_epochs: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    numerics: dict[str, str] = field(default_factory=numerics)
    stream: StreamState | None = None
    encoding: Encoding | None = None

    @property
    def inputs(self) -> int:
        """n[0], the number of features."""
        return len(self.normalization.mean)

    @property
    def outputs(self) -> int:
        """n[L], the number of units of the last layer."""
        return len(self.class_names)

    def architecture(self) -> Architecture:
        """The architecture that theta belongs to."""
        return self.config.architecture(self.inputs, self.outputs, LOSS_OF[self.kind])

    def parameters(self) -> Parameters:
        """The parameters that predict: the averaged weights if the config asks for them, and test-time statistics."""
        made = self.architecture().parameters((1,), self.theta.dtype)
        made.theta[0] = self.theta
        for name, start in (("weights", made.theta), ("statistics", made.running_statistics)):
            if name in self.sums:
                average = Average(np.zeros_like(start))
                average.restore(0, self.sums[name], self.betas[name], self.products[name])
                start[...] = average.value(start)
        return made

    def to_bytes(self) -> bytes:
        """The npz file, without pickled objects."""
        about = {name: getattr(self, name) for name in PLAIN_FIELDS}
        about |= {"format": FORMAT, "config": dataclasses.asdict(self.config)}
        about |= {} if self.stream is None else {"stream": self.stream.as_json()}
        about |= {} if self.encoding is None else {"encoding": self.encoding.as_json()}
        arrays: dict[str, Any] = {
            "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
            "theta": self.theta,
            "mask_state": self.mask_state,
            "mean": self.normalization.mean,
            "deviation": self.normalization.deviation,
            "limit": np.float64(self.normalization.limit),
            "target_mean": self.target_normalization.mean,
            "target_deviation": self.target_normalization.deviation,
        }
        arrays |= {f"sum_{name}": total for name, total in self.sums.items()}
        arrays |= {} if self.stream is None else self.stream.arrays()
        file = io.BytesIO()
        np.savez(file, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Checkpoint:
        """The checkpoint in bytes that `to_bytes` gave.

        Raises: CheckpointError.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                size = unpacked_size(archive, "a checkpoint")
            if problem := memory_problem("A checkpoint, unpacked,", size):
                raise CheckpointError(problem, here_only=True)
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return cls._from_arrays({name: arrays[name] for name in arrays.files})
        except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
            here_only = isinstance(error, CheckpointError) and error.here_only
            why = f"This is no checkpoint that this trainer can read: {error}"
            raise CheckpointError(why, here_only=here_only) from error

    @classmethod
    def _from_arrays(cls, arrays: dict[str, Array]) -> Checkpoint:
        about = json.loads(arrays["about"].tobytes())
        if about.pop("format") != FORMAT:
            raise CheckpointError("it was written by another version of the trainer")
        about["class_names"] = tuple(about["class_names"])
        about["config"] = config_from(about["config"])
        if "encoding" in about:
            about["encoding"] = Encoding.from_json(about["encoding"])
        if "stream" in about:
            about["stream"] = StreamState.from_json(about["stream"], arrays)
        made = cls(
            theta=arrays["theta"],
            mask_state=arrays["mask_state"],
            normalization=Normalization(arrays["mean"], arrays["deviation"], float(arrays.get("limit", np.inf))),
            target_normalization=Normalization(arrays["target_mean"], arrays["target_deviation"]),
            sums={name.removeprefix("sum_"): a for name, a in arrays.items() if name.startswith("sum_")},
            **about,
        )
        if made.theta.shape != (made.architecture().layout().size,):
            raise CheckpointError("its parameters are laid out as by another version of the trainer")
        return made

    def save(self, path: Path) -> None:
        """Writes the whole file or none: to a temporary file beside it, which then takes its name. One that nobody has
        written to for an hour is of a process that was killed; it is deleted."""
        beside = path.parent
        for torn in beside.glob(f".{glob.escape(path.name)}.????????.torn"):
            with suppress(OSError):
                if torn.lstat().st_mtime < time.time() - TORN_AFTER_S:
                    torn.unlink()
        with tempfile.NamedTemporaryFile(dir=beside, prefix=f".{path.name}.", suffix=".torn", delete=False) as file:
            try:
                file.write(self.to_bytes())
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise


PLAIN_FIELDS = (
    "seed",
    "class_names",
    "kind",
    "betas",
    "products",
    "step",
    "epoch",
    "position",
    "seconds",
    "plateau_best",
    "plateau_epochs",
    "metrics",
    "numerics",
)


def load_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a file.

    Raises: OSError (the file cannot be read), CheckpointError.
    """
    return Checkpoint.from_bytes(path.read_bytes())
