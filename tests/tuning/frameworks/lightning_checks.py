"""Runs the example, and then what it does not show, in one process: importing a framework takes seconds."""

import runpy
import sys

sys.argv = ["lightning_digits.py", "2", "3"]
runpy.run_path("examples/lightning_digits.py", run_name="__main__")

import torch
from lightning.pytorch import LightningModule, Trainer

from sturgeon.integrations.lightning import SturgeonCallback
from sturgeon.testing import Trial


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


def epochs_of(model, trial):
    batches = torch.utils.data.DataLoader(torch.ones(8, 1), 4)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = Trainer(max_epochs=5, callbacks=[SturgeonCallback(trial)], enable_model_summary=False, **quiet)
    trainer.fit(model, batches, batches if isinstance(model, Validated) else None)
    return [(report.step, sorted(report.metrics)) for report in trial.reports]


assert epochs_of(Line(), Trial({}, stop_after=3)) == [(2, ["loss"]), (4, ["loss"]), (6, ["loss"])]
assert epochs_of(Validated(), Trial({}, stop_after=2)) == [(2, ["dev_loss", "loss"]), (4, ["dev_loss", "loss"])]
assert len(epochs_of(Line(), Trial({}))) == 5
print("checked")
