import os

from ray import tune
from ray.tune.schedulers import ASHAScheduler

EPOCHS = 10
MAX_LR = 1e-1


def train_cifar(config):
    tune.report({"loss": config["lr"]})


def main(num_samples=10):
    config = {
        "l1": tune.choice([2**i for i in range(9)]),
        "l2": tune.choice([4, 8, 16]),
        "lr": tune.loguniform(1e-4, MAX_LR),
        "wd": tune.quniform(0.0, 0.1, 0.02),
        "noise": tune.randn(0, 0.5),
        "epochs": EPOCHS,
        "data": os.path.abspath("data"),
    }
    scheduler = ASHAScheduler(max_t=EPOCHS, grace_period=2, reduction_factor=4)
    tuner = tune.Tuner(
        train_cifar,
        tune_config=tune.TuneConfig(metric="loss", mode="min", scheduler=scheduler, num_samples=30),
        param_space=config,
    )
    tuner.fit()
