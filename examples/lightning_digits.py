"""Search a Lightning module that classifies handwritten digits.

python examples/lightning_digits.py
"""

import sys

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

import sturgeon
from sturgeon.integrations.lightning import SturgeonCallback

TRIALS = int(sys.argv[1]) if len(sys.argv) > 1 else 30
EPOCHS = int(sys.argv[2]) if len(sys.argv) > 2 else 20

X, y = load_digits(return_X_y=True)
digits = TensorDataset(torch.tensor(X / 16, dtype=torch.float32), torch.tensor(y))
train, dev = torch.utils.data.random_split(digits, [1200, 597], torch.Generator().manual_seed(0))


class Classifier(LightningModule):
    def __init__(self, lr: float, units: int) -> None:
        super().__init__()
        self.lr = lr
        self.layers = torch.nn.Sequential(torch.nn.Linear(64, units), torch.nn.ReLU(), torch.nn.Linear(units, 10))

    def training_step(self, batch):
        return torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1])

    def validation_step(self, batch):
        outputs = self.layers(batch[0])
        self.log("dev_loss", torch.nn.functional.cross_entropy(outputs, batch[1]))
        self.log("dev_error", (outputs.argmax(1) != batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.lr)


space = {"lr": sturgeon.log(1e-4, 1e-1), "units": sturgeon.choice(16, 32, 64, 128)}
study = sturgeon.study("lightning-digits", space, minimize="dev_loss", trials=TRIALS)
for trial in study:
    seed_everything(trial.seed % 2**32, verbose=False)
    trainer = Trainer(
        max_epochs=EPOCHS,
        callbacks=[SturgeonCallback(trial)],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Classifier(**trial.params), DataLoader(train, 64, shuffle=True), DataLoader(dev, 597))
print(study.recommended)
