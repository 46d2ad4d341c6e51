"""Sturgeon, a self-hosted hyperparameter search service: what users import.

    import sturgeon

    study = sturgeon.study("mnist", {"lr": sturgeon.log(1e-5, 1e-1)}, minimize="dev_loss", trials=100)
    for trial in study:
        for epoch in range(20):
            trial.report(epoch, dev_loss=train(trial.params.lr))
            if trial.should_stop:
                break
    print(study.recommended)

`study` makes or loads a study; its parameters are made by `linear`, `log`, `one_minus_log`, `logit`, `integer`,
`normal`, `lognormal`, `choice` and `fixed`. `study.optimize` runs a function; `trial` is for a program that a worker
runs. `testing` checks it beforehand. In a program that a worker runs,
`trial` gives its trial. `Client` has every route of the server, and `errors` all that is raised.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from sturgeon import errors

if TYPE_CHECKING:
    from sturgeon.builders import choice, fixed, integer, linear, log, logit, lognormal, normal, one_minus_log
    from sturgeon.client import Client
    from sturgeon.trial_process import trial
    from sturgeon.tuning.study import Study, study
    from sturgeon.tuning.trial import StudyTrial

__all__ = [
    "Client",
    "Study",
    "StudyTrial",
    "__version__",
    "choice",
    "errors",
    "fixed",
    "integer",
    "linear",
    "log",
    "logit",
    "lognormal",
    "normal",
    "one_minus_log",
    "study",
    "trial",
]

__version__ = "0.1.0"

_WHERE: Final = {
    "Client": "sturgeon.client",
    "Study": "sturgeon.tuning.study",
    "StudyTrial": "sturgeon.tuning.trial",
    "study": "sturgeon.tuning.study",
    "trial": "sturgeon.trial_process",
    **dict.fromkeys(
        ("choice", "fixed", "integer", "linear", "log", "logit", "lognormal", "normal", "one_minus_log"),
        "sturgeon.builders",
    ),
}
"""Each name is imported when it is first used: `sturgeon --help` does not wait for HTTP and pydantic."""


def __getattr__(name: str) -> object:
    if name == "testing":  # a module, which an import of it would find, too
        return import_module("sturgeon.testing")
    if name not in _WHERE:
        raise AttributeError(f"module 'sturgeon' has no attribute {name!r}")
    value: object = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
