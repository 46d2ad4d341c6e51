"""Runs the example, and then what it does not show, in one process: importing a framework takes seconds."""

import runpy
import sys

sys.argv = ["lightning_digits.py", "2", "3"]
runpy.run_path("examples/lightning_digits.py", run_name="__main__")

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import SingleDeviceStrategy

from sturgeon.integrations.lightning import SturgeonCallback
from sturgeon.testing import Trial


class Remembering(Trial):
    """A trial that keeps the epochs of its reports, and pauses after `pause_after` of them."""

    def __init__(self, params, pause_after=None, **about):
        super().__init__(params, **about)
        self.epochs, self.pause_after = [], pause_after

    def report(self, *arguments, epoch=None, **metrics):
        super().report(*arguments, epoch=epoch, **metrics)
        self.epochs.append(epoch)

    @property
    def should_pause(self):
        return len(self.epochs) == self.pause_after


class Line(LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch):
        loss = self.layer(batch).square().mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)


class Validated(Line):
    def validation_step(self, batch):
        self.log("dev_loss", self.layer(batch).square().mean())


class Silent(Line):
    def log(self, *arguments, **options):
        pass


class Ending(Callback):
    """Something else that ends the training, as early stopping does."""

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.should_stop = True


class SecondProcess(SingleDeviceStrategy):
    """As in the second of several processes; the first one stops after its second report."""

    is_global_zero, asked = False, 0

    def reduce_boolean_decision(self, decision, all=True):
        self.asked += 1
        return not all and self.asked == 2


def epochs_of(model, trial, *before, strategy="auto"):
    batches = torch.utils.data.DataLoader(torch.ones(8, 1), 4)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    callbacks = [*before, SturgeonCallback(trial)]
    trainer = Trainer(max_epochs=5, callbacks=callbacks, enable_model_summary=False, strategy=strategy, **quiet)
    trainer.fit(model, batches, batches if isinstance(model, Validated) else None)
    trial.steps = trainer.global_step
    return [(report.step, sorted(report.metrics)) for report in trial.reports]


assert epochs_of(Line(), Trial({}, stop_after=3)) == [(2, ["loss"]), (4, ["loss"]), (6, ["loss"])]
assert epochs_of(Validated(), Trial({}, stop_after=2)) == [(2, ["dev_loss", "loss"]), (4, ["dev_loss", "loss"])]
assert len(epochs_of(Line(), kept := Remembering({}))) == 5
assert kept.epochs == [1, 2, 3, 4, 5]
assert len(epochs_of(Line(), Remembering({}, pause_after=2))) == 2
assert len(epochs_of(Line(), Trial({}), Ending())) == 1
assert epochs_of(Silent(), silent := Remembering({})) == []
assert silent.steps == 10
assert epochs_of(Line(), second := Remembering({}), strategy=SecondProcess("cpu")) == []
assert second.steps == 4
print("checked")
