"""A training loop in PyTorch that can be steered, paused, and taken up again on another machine.

trial = sturgeon.trial()
loop = Loop(trial, epochs=20, model=model, optimizer=optimizer, live={"lr": "learning_rate"})
for epoch in loop:
    train_an_epoch(model, optimizer)
    loop.report(dev_loss=measure(model))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import torch

from sturgeon.integrations.trials import RunningTrial

FILE: Final = "loop.pt"
"""The file in the trial's checkpoint folder."""


class Stateful(Protocol):
    """A model, an optimizer, a scheduler, a sampler: what has a state."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any], /) -> object: ...


class Loop:
    """The epochs of a trial, from 0, or from where its checkpoint folder says.

    It ends early when the trial should stop or pause. After each report it saves the states, if the trial has a
    checkpoint folder: a run that is paused, or whose machine has died, goes on from there, and a rollback or a fork
    begins there.

    states: what an epoch changes, by name; the random states of PyTorch are kept, too. live: for an entry of the
    optimizer's parameter groups the parameter of the trial that it follows; it is set before each epoch.
    """

    def __init__(
        self, trial: RunningTrial, epochs: int, *, live: Mapping[str, str] | None = None, **states: Stateful
    ) -> None:
        self.trial, self.epochs, self.states = trial, epochs, states
        self._live = dict(live or {})
        if self._live and not hasattr(states.get("optimizer"), "param_groups"):
            raise TypeError("live parameters need the optimizer: Loop(trial, epochs, optimizer=optimizer, live=..)")
        self.folder: Path | None = getattr(trial, "checkpoint", None)
        self.epoch = self._restored()

    def __iter__(self) -> Iterator[int]:
        while self.epoch < self.epochs and not self._shall_end():
            self._follow()
            before = self.epoch
            yield self.epoch
            if self.epoch == before:
                raise RuntimeError("Report each epoch by loop.report(dev_loss=..): nothing was reported of this one.")

    def report(self, **metrics: float) -> None:
        """Report the metrics of this epoch, and save the states."""
        self.epoch += 1
        self.trial.report(self.epoch, epoch=self.epoch, **metrics)
        if self.folder is not None:
            self._save(self.folder)

    def _shall_end(self) -> bool:
        return self.trial.should_stop or self.trial.should_pause

    def _follow(self) -> None:
        """Set what follows a live parameter."""
        params = self.trial.params if self._live else {}
        for entry, name in self._live.items():
            for group in getattr(self.states["optimizer"], "param_groups", ()):
                group[entry] = params[name]

    def _save(self, folder: Path) -> None:
        random = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}
        states = {name: one.state_dict() for name, one in self.states.items()}
        part = folder / f".{FILE}"
        torch.save({"epoch": self.epoch, "states": states, "random": random}, part)
        part.replace(folder / FILE)
        saved = getattr(self.trial, "saved", None)
        if saved is not None:
            saved(self.epoch)

    def _restored(self) -> int:
        """How many epochs are done, after the states of the checkpoint folder are loaded."""
        file = None if self.folder is None else self.folder / FILE
        if file is None or not file.exists():
            return 0
        stored = torch.load(file, weights_only=True, map_location="cpu")
        for name, one in self.states.items():
            one.load_state_dict(stored["states"][name])
        torch.set_rng_state(stored["random"]["cpu"])
        if torch.cuda.is_available():
            torch.cuda.set_rng_state_all(stored["random"]["cuda"])
        return int(stored["epoch"])
