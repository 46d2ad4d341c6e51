"""A study as Python sees it: its trials are asked for, run here, and told."""

from __future__ import annotations

import os
import pkgutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from sturgeon import messages as m
from sturgeon.checkout import code_version
from sturgeon.client import Client
from sturgeon.errors import BudgetSpent, SturgeonError
from sturgeon.tuning import fleet, left_loops, opening, processes, tables
from sturgeon.tuning.connection import Connection
from sturgeon.tuning.fleet import FIRST_WAIT_S, LONGEST_WAIT_S
from sturgeon.tuning.heartbeat import LEASE_S, log
from sturgeon.tuning.processes import StartMethod
from sturgeon.tuning.running import run_trial
from sturgeon.tuning.trial import StudyTrial

if TYPE_CHECKING:
    import pandas

    from sturgeon.tuning.pictures import Pictures


@cache
def own_code_version() -> dict[str, Any] | None:
    """The commit of the code around this process's folder when it was first asked for: what is imported by then is what
    runs."""
    return code_version()


def study(
    name: str,
    space: Mapping[str, Any] | None = None,
    *,
    minimize: str | None = None,
    maximize: str | None = None,
    trials: int | None = None,
    reduce: m.Reduce | None = None,
    search: Mapping[str, Any] | None = None,
    pruning: Mapping[str, Any] | None = None,
    task: str | Mapping[str, Any] | None = None,
    server: str | None = None,
    token: str | None = None,
    folder: str | os.PathLike[str] = ".sturgeon",
    **more: Any,
) -> Study:
    """Make the study of this name, or load it if it exists.

        study = sturgeon.study("mnist", {"lr": sturgeon.log(1e-5, 1e-1)}, minimize="dev_loss", trials=100)

    Without a server (`server`, or STURGEON_SERVER) an embedded one is started on `folder`; processes that name the
    same folder share it.

    Args:
        space: parameters by name, made by `sturgeon.log`, `linear`, `integer`, `choice` and the others.
        minimize, maximize: the metric by which trials are compared; one of the two.
        trials: how many in all. A study that has fewer gets more; one that has more is another study.
        reduce: "last" (the last value that a trial reports is its score) or "best".
        task: what workers run, if they do: "module:function", or a task as the server takes it.
        search, pruning, more: further fields of the study as the server takes them (docs/python.md).

    Raises: Conflict (a study of this name exists, and differs: each difference is named), NotFound (there is none,
    and no space is given), Invalid (it cannot be made), SturgeonError (no server can be reached or started).
    """
    if minimize is not None and maximize is not None:
        raise SturgeonError("Give minimize or maximize, not both: a study has one metric.")
    metric = minimize or maximize
    if isinstance(task, str):
        task = {"kind": "python", "call": task}
    fields = {"space": space, "metric": metric, "reduce": reduce, "search": search, "pruning": pruning, "task": task}
    wanted: dict[str, Any] = {field: value for field, value in fields.items() if value is not None}
    if metric is not None:
        wanted["direction"] = "minimize" if minimize else "maximize"
    if trials is not None:
        more["budget"] = {**more.get("budget", {}), "max_trials": trials}
    connection = Connection(server, token, folder)
    try:
        version = own_code_version()
        own = {} if version is None else {"code_version": version}
        return Study(connection, opening.open_study(connection.client, name, own | wanted | more))
    except BaseException:
        connection.close()
        raise


class Study:
    """A study and this process's connection to its server. `sturgeon.study` makes one.

    Iterate over it to run its trials here: each is asked for, held by a heartbeat, and told when the loop's body ends.
    An exception is told as failed, and goes on; `break` and Ctrl-C give the trial back. Several processes may iterate
    over the same study. The loop ends when the study has no more trials; while others run the last ones it waits.
    """

    def __init__(self, connection: Connection, info: m.Study) -> None:
        self.name, self.metric, self.direction = info.name, info.metric, info.direction
        self._connection = connection

    @property
    def client(self) -> Client:
        """The client of the server, for all that this class does not have."""
        return self._connection.client

    @property
    def info(self) -> m.Study:
        """The study as the server has it now: its state, counts, budget and space."""
        return self.client.study(self.name)

    # --- running trials here

    def __iter__(self) -> Iterator[StudyTrial]:
        while (trial := self.ask()) is not None:
            try:
                yield trial
            except GeneratorExit:
                left_loops.end(trial, sys._getframe().f_back)
                raise
            trial.leave(None)

    def ask(self) -> StudyTrial | None:
        """The next trial to run here, or None when the study has no more; waits while others run the last ones.

        The trial is held until it is ended: use it as a context, or call its `finish`, `fail` or `release`.
        """
        heartbeat, wait = self._connection.heartbeat, FIRST_WAIT_S
        while not heartbeat.drained:
            answer = self.client.ask(self.name, 1, heartbeat.worker, LEASE_S, own_code_version())
            if answer.leases:
                trial = StudyTrial(self.client, answer.leases[0], self.metric, self.direction, heartbeat)
                if trial.begin():
                    return trial
                continue
            if answer.reason not in ("waiting", "paused"):
                return None
            if wait == FIRST_WAIT_S:
                log.info("The study %s is %s; this process waits for more of its trials.", self.name, answer.reason)
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_S)
        return None

    def release_all(self) -> None:
        """Give back the trials that this process has asked for and not ended."""
        self._connection.heartbeat.release_all()

    def trial(self) -> StudyTrial:
        """One trial to run here, as `with study.trial() as trial:`. Without a `with`, end it by `trial.finish`.

        Raises: BudgetSpent (the study has no more trials).
        """
        if (trial := self.ask()) is None:
            raise BudgetSpent(
                f"The study {self.name} has no more trials; study(.., trials=N) with a larger N adds some."
            )
        return trial

    def optimize(
        self,
        objective: Callable[..., object] | str,
        *,
        workers: int | Literal["fleet"] = 1,
        trials: int | None = None,
        catch: type[Exception] | tuple[type[Exception], ...] = (),
        start_method: StartMethod | None = None,
    ) -> Study:
        """Run the study's trials with a function, and return the study.

        The function takes the trial (`def objective(trial)`) or the parameters (`def objective(lr, units)`). It returns
        the metric or a mapping of metrics, or yields reports and is ended early when the trial should stop.

        Args:
            objective: the function, or its name as "module:function".
            workers: processes on this machine; 1 runs in this one. A function of a module is started afresh in each;
                one of the script itself, a lambda or a closure is forked (Linux). Ctrl-C ends all of them.
                "fleet": workers run it (`sturgeon worker --allow-python MODULE`, on any machines), each in its own
                folder. The study gets a task by it; this call waits, and logs how far it is. Ctrl-C ends the wait.
            trials: how many to run in this call at most; by default until the study has no more.
            catch: exceptions that end their trial alone. Any other ends the whole call, and is raised.
            start_method: "fork" or "spawn", if the choice above does not suit.

        Raises: SturgeonError (the function cannot be given to other processes), ValueError, TypeError (before anything
            runs), and what the function raises. With "fleet" failures end their trial alone; ObjectiveFailed if all do.
        """
        if workers == "fleet":
            if trials is not None or catch or start_method is not None:
                raise ValueError('trials, catch and start_method are for processes of this machine, not for "fleet"')
            fleet.optimize(self, fleet.call_of(objective))
            return self
        if workers < 1:
            raise ValueError(f"workers is at least 1, not {workers}")
        if isinstance(objective, str):
            objective = pkgutil.resolve_name(objective)
        if not callable(objective):
            raise TypeError(f"The objective must be a function; it is {type(objective).__name__}.")
        if workers > 1:
            processes.optimize(self, objective, workers, trials, catch, start_method)
            return self
        done = 0
        while (trials is None or done < trials) and (trial := self.ask()) is not None:
            run_trial(objective, trial, self.metric, catch)
            done += 1
        return self

    def wait(self) -> m.Study:
        """Wait until the study has ended, for one whose trials workers run; the study as it is then. The log of
        `sturgeon` tells how far it is."""
        return fleet.wait(self)

    def enqueue(self, **params: object) -> int:
        """Have these parameters tried next; the number of their trial."""
        return int(self.client.enqueue(self.name, params).number)

    # --- results

    @property
    def best(self) -> m.BestTrial | None:
        """The trial with the best score: number, value, params, metrics. None before any result."""
        return next(iter(self.client.best(self.name).items), None)

    @property
    def recommended(self) -> m.Recommended | None:
        """The trial to take: the best by what all results together predict; `why` says so in a sentence."""
        return self.client.best(self.name).recommended

    @property
    def trials(self) -> list[m.Trial]:
        """All trials, in the order of their numbers."""
        return list(self.client.all_trials(self.name, sort="number"))

    def dataframe(self) -> pandas.DataFrame:
        """A row for each trial: number, state, value, dates, `params.NAME` and `metrics.NAME`.

        Raises: MissingExtra (pandas is not installed).
        """
        return tables.trials_frame(self.trials)

    def curves(self) -> pandas.DataFrame:
        """A row for each report: trial, step, epoch, at, and a column for each metric.

        Raises: MissingExtra (pandas is not installed).
        """
        return tables.curves_frame(self.client, self.name)

    @property
    def plot(self) -> Pictures:
        """Its pictures as charts of Altair, for a notebook: `study.plot.history()`.

        Raises: MissingExtra (altair is not installed), when one is drawn.
        """
        from sturgeon.tuning.pictures import Pictures

        return Pictures(lambda: self.client, self.name)

    # --- the connection

    def close(self) -> None:
        """Close the connection; without it, that happens when the process ends."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Study({self.name!r}, {self.direction}={self.metric!r})"
