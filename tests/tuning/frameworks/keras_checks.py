"""Runs the example, and then what it does not show, in one process: importing a framework takes seconds."""

import runpy
import sys

sys.argv = ["keras_digits.py", "2", "3"]
runpy.run_path("examples/keras_digits.py", run_name="__main__")

import keras
import numpy as np

from sturgeon.integrations.keras import SturgeonCallback
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


class Steered(Trial):
    """A trial whose rate a person changes after its second report."""

    def report(self, *arguments, **metrics):
        super().report(*arguments, **metrics)
        if len(self.reports) == 2:
            self.params["rate"] = 0.5


class Noting(keras.callbacks.Callback):
    """Puts into the logs what is no metric."""

    def on_epoch_end(self, epoch, logs=None):
        logs |= {"note": "3.5", "by_class": np.zeros(2)}


class Halving(keras.callbacks.Callback):
    """A schedule that the user has beside ours."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) / 2


def fitted(trial, epochs, live=None, before=(), after=()):
    """The learning rates of the epochs that were trained."""
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.25), "mse")
    rates = []
    seen = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: rates.append(float(model.optimizer.learning_rate)))
    callbacks = [*before, SturgeonCallback(trial, live=live), seen, *after]
    model.fit(np.ones((8, 2)), np.ones(8), epochs=epochs, callbacks=callbacks, verbose=0)
    return rates


RATE = {"learning_rate": "rate"}

stopped = Remembering({"x": 1}, stop_after=2)
assert fitted(stopped, 10, before=[Noting()]) == [0.25, 0.25]
assert stopped.epochs == [1, 2]
assert [report.step for report in stopped.reports] == [1, 2]
assert set(stopped.reports[0].metrics) == {"loss"}
assert fitted(Remembering({}, pause_after=3), 10) == [0.25] * 3
assert fitted(Steered({"rate": 0.125}), 4, RATE) == [0.125, 0.125, 0.5, 0.5]
assert fitted(Trial({"rate": 0.5}), 3, RATE, after=[Halving()]) == [0.5, 0.25, 0.125]  # it sets what has changed
assert fitted(Trial({"x": 1}), 1, RATE) == [0.25]  # a parameter that is not active in this trial
print("checked")
