"""Search the parameters of a scikit-learn pipeline by cross validation, as with GridSearchCV; no server is needed.

python examples/sklearn_search.py
"""

import sys

from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

import sturgeon
from sturgeon.integrations.sklearn import SturgeonSearchCV

TRIALS = int(sys.argv[1]) if len(sys.argv) > 1 else 20

X, y = load_digits(return_X_y=True)
space = {"svc__C": sturgeon.log(1e-2, 1e3), "svc__gamma": sturgeon.log(1e-4, 1e1)}
search = SturgeonSearchCV(make_pipeline(MinMaxScaler(), SVC()), space, n_trials=TRIALS, cv=3, random_state=0)
search.fit(X[:1200], y[:1200])
print(search.best_params_)
print(f"error on new digits: {1 - search.score(X[1200:], y[1200:]):.3f}")
