"""Runs the example, and then what it does not show, in one process: importing a framework takes seconds."""

import runpy
import sys

sys.argv = ["keras_digits.py", "2", "3"]
runpy.run_path("examples/keras_digits.py", run_name="__main__")

import keras
import numpy as np

from sturgeon.integrations.keras import SturgeonCallback
from sturgeon.testing import Trial


class Steered(Trial):
    """A trial whose rate a person changes after its second report."""

    def report(self, *arguments, **metrics):
        super().report(*arguments, **metrics)
        if len(self.reports) == 2:
            self.params["rate"] = 0.5


def fitted(trial, epochs):
    """The learning rates of the epochs that were trained."""
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.25), "mse")
    rates = []
    seen = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: rates.append(float(model.optimizer.learning_rate)))
    callback = SturgeonCallback(trial, live={"learning_rate": "rate"} if "rate" in trial.params else None)
    model.fit(np.ones((8, 2)), np.ones(8), epochs=epochs, callbacks=[callback, seen], verbose=0)
    return rates


stopped = Trial({"x": 1}, stop_after=2)
assert fitted(stopped, 10) == [0.25, 0.25]
assert [report.step for report in stopped.reports] == [1, 2]
assert set(stopped.reports[0].metrics) == {"loss"}
assert fitted(Steered({"rate": 0.125}), 4) == [0.125, 0.125, 0.5, 0.5]
print("checked")
