"""A callback for Lightning.

for trial in study:
    trainer = Trainer(max_epochs=20, callbacks=[SturgeonCallback(trial)])
    trainer.fit(Model(**trial.params), train_loader, dev_loader)
"""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from sturgeon.integrations.trials import RunningTrial, numbers_in


class SturgeonCallback(Callback):  # type: ignore[misc,unused-ignore]
    """Reports what the model has logged, after each validation (of a model without one, after each epoch), and ends
    `fit` when the trial should stop. Where several processes train, the first one reports, and all of them stop."""

    def __init__(self, trial: RunningTrial) -> None:
        self._trial = trial
        self._reported = -1

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if not trainer.sanity_checking:
            self._report(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if self._reported < trainer.global_step:  # the last validation was before this epoch, or there is none
            self._report(trainer)

    def _report(self, trainer: Trainer) -> None:
        stop: Any = False
        self._reported = trainer.global_step
        metrics = numbers_in(trainer.callback_metrics)
        if trainer.is_global_zero and metrics:
            epoch = trainer.current_epoch + 1
            self._trial.report(trainer.global_step, epoch=epoch, **metrics)
            stop = self._trial.should_stop or self._trial.should_pause
        trainer.should_stop = trainer.should_stop or trainer.strategy.reduce_boolean_decision(stop, all=False)
