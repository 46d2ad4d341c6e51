"""A script that knows nothing of Sturgeon: it fits a linear model of scikit-learn, and prints how good it is."""

import argparse

from sklearn.datasets import load_diabetes
from sklearn.linear_model import Lasso, Ridge
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, default=1.0)
parser.add_argument("--model", default="lasso")
given = parser.parse_args()
x, y = load_diabetes(return_X_y=True)
train_x, dev_x, train_y, dev_y = train_test_split(x, y, random_state=1)
model = {"lasso": Lasso, "ridge": Ridge}[given.model](alpha=given.alpha)
model.fit(train_x, train_y)
print(f"r2={model.score(dev_x, dev_y):.4f}")
