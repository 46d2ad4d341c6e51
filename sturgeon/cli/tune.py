"""`sturgeon tune`: from a script to its best parameters in one command."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sturgeon.cli.following import Follower, Snapshot
from sturgeon.cli.help_pages import Command
from sturgeon.cli.inputs import WrongInput, not_empty
from sturgeon.cli.output import say
from sturgeon.cli.processes import Processes, ended_by_sigterm
from sturgeon.cli.session import Session, connected
from sturgeon.cli.tune_plans import (
    Options,
    Plan,
    check_program,
    plan_of_file,
    plan_of_options,
    without_placeholder,
)
from sturgeon.cli.tune_results import best_command, print_result
from sturgeon.cli.tune_servers import Host, default_workers, host_of, remove_old_logs, worker_name
from sturgeon.errors import SturgeonError

if TYPE_CHECKING:
    from sturgeon.client import Client
    from sturgeon.messages import Study
    from sturgeon.states import TrialState

commands = typer.Typer()

FAILURES: Final = 3
"""After so many failed attempts without one that succeeded, the program itself is taken to be wrong."""
PATIENCE_S: Final = 120.0
BEHIND: Final = "Write the command behind --, like: -- python train.py --lr {lr}"


class _BehindDashes(Command):
    """Refuses a command that does not stand behind --: its options would be taken for those of `sturgeon tune`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        behind, with_space = "--" in args, any(word.startswith("--space") for word in args)
        try:
            rest = super().parse_args(ctx, args)
        except typer.TyperException as error:
            if behind or not with_space:
                raise
            what = error.format_message().partition(" (Possible options")[0]
            raise WrongInput(f"{what.rstrip('.')}. {BEHIND}") from None
        if not behind and not ctx.resilient_parsing and len(ctx.params.get("what") or ()) > 1:
            raise WrongInput(BEHIND)
        return rest


@commands.command(cls=_BehindDashes)
@connected
def tune(
    session: Session,
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE | -- COMMAND..", help="A YAML or JSON file; or -- and the command to run."),
    ] = None,
    space: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=RANGE", parser=not_empty, help='As "lr=log:1e-5..1e-1", "units=64|128", "n=1..4".'),
    ] = None,
    minimize: Annotated[
        str | None, typer.Option(metavar="METRIC", parser=not_empty, help="The metric; lower is better.")
    ] = None,
    maximize: Annotated[
        str | None, typer.Option(metavar="METRIC", parser=not_empty, help="The metric; higher is better.")
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all (default: 50).")] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, max=1000, help="How many run at a time here (default: 1; 0 if a server is named)."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="STUDY", parser=not_empty, help="The study (default: by the command and its space)."),
    ] = None,
    read: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=PATTERN", help="A regular expression whose one group is the metric in a line."),
    ] = None,
    metrics_file: Annotated[
        str | None, typer.Option(metavar="FILE", parser=not_empty, help="A file of JSON lines that the command writes.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of a whole trial; with it, bad trials end early.")
    ] = None,
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", min=1, help="A trial's longest time.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The seed of the search.")] = None,
) -> None:
    """Search for the best parameters of a command, on a server and workers that are started here.

    Run the same command again to go on where it ended.

    sturgeon tune --space "lr=log:1e-5..1e-1" --minimize dev_loss -- python train.py --lr {lr}
    """
    options = Options(minimize, maximize, trials, workers, name, seed, epochs, timeout, tuple(read or ()), metrics_file)
    plan = _plan(what or [], space or [], options)
    here = plan.workers if plan.workers is not None else default_workers(session)
    if here and plan.argv:
        check_program(plan.argv, plan.folder)
    with ended_by_sigterm(), host_of(session) as host:
        _tune(session, plan, host, here)


def _plan(what: list[str], space: list[str], options: Options) -> Plan:
    from sturgeon.cli.files import read_mapping
    from sturgeon.cli.inputs import file_or_dash

    if not space and len(what) == 1:
        file = file_or_dash(what[0])
        return plan_of_file(read_mapping(file), file.stem, options)
    return plan_of_options(space, what, options)


def _tune(session: Session, plan: Plan, host: Host, workers: int) -> None:
    forgotten = without_placeholder(plan.argv, plan.study["space"])
    if forgotten and not session.json:
        names = ", ".join(f"{{{name}}}" for name in forgotten)
        say(f"Note: no argument of the command has {names}; the program finds it in its environment.")
    with host.client(PATIENCE_S) as client:
        study = _opened(client, plan)
        if study.state != "completed":
            _run(session, client, plan, host, workers)
        print_result(session, client, plan)


def _opened(client: Client, plan: Plan) -> Study:
    """The study, made or found. Raises: Conflict (another study has its name), WrongInput (it does not run)."""
    from sturgeon.tuning.opening import open_study

    wanted = {field: value for field, value in plan.study.items() if field != "name"}
    study = open_study(client, plan.name, wanted)
    if study.state not in ("active", "completed"):
        raise WrongInput(f"The study {plan.name} is {study.state}: `sturgeon study resume {plan.name}` lets it go on.")
    return study


def _run(session: Session, client: Client, plan: Plan, host: Host, workers: int) -> None:
    with Processes(host.folder, cwd=Path.cwd(), env=host.environment) as processes:
        worker = worker_name() if workers else None
        if worker:
            remove_old_logs(host.folder)
            processes.start(worker, *host.worker_arguments(plan, worker, workers))
        watched = _Watched(client, plan, processes, [worker] if worker else [])
        try:
            _show(session, watched)
        except KeyboardInterrupt:
            if not session.json:
                done = sum(watched.counts.get(state, 0) for state in ("complete", "pruned", "diverged"))
                say(f"\nInterrupted after {done} trials of {plan.name}. The same command goes on from there.")
            raise


def _show(session: Session, snapshots: Iterator[Snapshot] | _Watched) -> None:
    from sturgeon.cli.watch import show_progress

    if session.json:
        for _ in snapshots:
            pass
    else:
        show_progress(snapshots)


class _Watched:
    """The snapshots of a study while it runs here; ends early where nothing can come of it.

    Raises: SturgeonError (a process has ended, the program fails each time, or no worker can run it).
    """

    def __init__(self, client: Client, plan: Plan, processes: Processes, workers: list[str]) -> None:
        self._client, self._plan, self._processes = client, plan, processes
        self._failed_before = self._failures()
        self._follower = Follower(client, plan.name, every_s=0.5, detailed=12, sleep=self._sleep, starting=workers)
        self.counts: dict[TrialState, int] = {}
        """How many trials there are of each state, as far as is known."""

    def __iter__(self) -> Iterator[Snapshot]:
        for snapshot in self._follower:
            self.counts = snapshot.study.counts
            self._look(snapshot.study)
            yield snapshot

    def _sleep(self, seconds: float) -> None:
        self._processes.check()
        time.sleep(seconds)

    def _failures(self) -> int:
        """Attempts that failed, of the first trials."""
        return sum(trial.attempt for trial in self._client.trials(self._plan.name, page_size=20).items)

    def _look(self, study: Study) -> None:
        if any(study.counts.get(state, 0) for state in ("complete", "pruned", "diverged")):
            return
        if study.unable and not study.counts.get("running", 0) and self._processes.running:
            raise SturgeonError(f"The worker cannot run the command: {study.unable[-1].reason}")
        if self._failures() - self._failed_before >= FAILURES:
            raise SturgeonError(self._why_all_fail())

    def _why_all_fail(self) -> str:
        trials = self._client.trials(self._plan.name, page_size=20).items
        trial = next(trial for trial in reversed(trials) if trial.error)
        example = shlex.join(best_command(self._plan.argv, trial.params)) if self._plan.argv else str(trial.params)
        return (
            f"Each of the first {FAILURES} attempts has failed, so the search ends here. The last one was\n"
            f"  {example}\nand said: {trial.error}"
        )
