"""Search a Keras model of handwritten digits; PyTorch, JAX and TensorFlow are all fine as its backend.

python examples/keras_digits.py
"""

import os
import sys

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
from sklearn.datasets import load_digits

import sturgeon
from sturgeon.integrations.keras import SturgeonCallback

TRIALS = int(sys.argv[1]) if len(sys.argv) > 1 else 30
EPOCHS = int(sys.argv[2]) if len(sys.argv) > 2 else 20

X, y = load_digits(return_X_y=True)
train, dev = slice(0, 1200), slice(1200, None)

space = {"lr": sturgeon.log(1e-4, 1e-1), "units": sturgeon.choice(16, 32, 64, 128)}
study = sturgeon.study("keras-digits", space, minimize="val_loss", trials=TRIALS)
for trial in study:
    keras.utils.set_random_seed(trial.seed % 2**32)
    model = keras.Sequential([keras.layers.Dense(trial.params.units, "relu"), keras.layers.Dense(10, "softmax")])
    model.compile(keras.optimizers.Adam(trial.params.lr), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        X[train] / 16,
        y[train],
        epochs=EPOCHS,
        batch_size=64,
        validation_data=(X[dev] / 16, y[dev]),
        callbacks=[SturgeonCallback(trial, live={"learning_rate": "lr"})],
        verbose=0,
    )
print(study.recommended)
