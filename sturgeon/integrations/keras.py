"""A callback for Keras 3, whatever its backend is.

for trial in study:
    model = build(trial.params)
    model.fit(x, y, epochs=20, validation_data=dev, callbacks=[SturgeonCallback(trial)])
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from sturgeon.integrations.trials import RunningTrial, numbers_in


class SturgeonCallback(keras.callbacks.Callback):  # type: ignore[misc,unused-ignore]  # Keras has no types
    """Reports the logs of each epoch (`loss`, `val_loss`, ..), and ends `fit` when the trial should stop.

    live: attributes of the optimizer that follow a live parameter of the trial, as {"learning_rate": "lr"}: they are
    set at the beginning of each epoch, so that a person or a policy steers the model while it trains.
    """

    def __init__(self, trial: RunningTrial, *, live: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._trial = trial
        self._live = dict(live or {})
        self._in_force: dict[str, Any] = {}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - the shape of Keras
        params = self._trial.params if self._live else {}
        for attribute, name in self._live.items():
            if name in params and params[name] != self._in_force.get(name):
                setattr(self.model.optimizer, attribute, params[name])
                self._in_force[name] = params[name]

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._trial.report(epoch + 1, epoch=epoch + 1, **numbers_in(logs or {}))
        if self._trial.should_stop or self._trial.should_pause:
            self.model.stop_training = True
