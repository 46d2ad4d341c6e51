"""What the process that forks the children has ready, so that a trial begins within milliseconds.

Modules are read, and the trainer's compiled loops are there: made at a machine's first start, read from disk later.
Without the extra `trainer` there are none, and a worker takes people's own code only.
"""

from __future__ import annotations

import importlib

from worker.child import main


def train_once() -> None:
    """One step of each optimiser."""
    import numpy as np

    from trainer.config import TrainConfig
    from trainer.data.datasets import checked
    from trainer.data.preparation import split_up
    from trainer.optim.optimizers import OPTIMIZERS
    from trainer.training import train

    dataset = checked("made", np.eye(4, dtype=np.float32), np.arange(4) % 2)
    for optimizer in OPTIMIZERS:
        config = TrainConfig("made", optimizer=optimizer, l2=0.1, epochs=1, dev_share=0, test_share=0)
        for _ in train(config, split_up(dataset, config), 0):
            pass


for kind in main.kinds_here():
    importlib.import_module(main.TASKS[kind])
if "train" in main.kinds_here():
    train_once()
