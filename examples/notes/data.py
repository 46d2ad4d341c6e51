"""Rows 25 and 28: data files for a worker's --data folder, made of scikit-learn's digits. Names the folder to fill."""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

folder = Path(sys.argv[1])
X, y = load_digits(return_X_y=True)

# Dev and test are photographed in the dark: another distribution than train.
np.savez(
    folder / "shifted.npz",
    X=X[:1000], y=y[:1000], X_dev=X[1000:1400] * 0.5, y_dev=y[1000:1400], X_test=X[1400:] * 0.5, y_test=y[1400:],
)  # fmt: skip

# Three questions about each digit; a third of the answers is missing (NaN).
labels = np.stack([y % 2 == 0, y > 4, np.isin(y, [0, 6, 8, 9])], axis=1).astype(float)
labels[np.random.default_rng(0).random(labels.shape) < 1 / 3] = np.nan
np.savez(folder / "multi_task.npz", X=X, y=labels)
