"""`sturgeon workers | drain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sturgeon.cli.inputs import not_empty
from sturgeon.cli.output import ago, cell, print_json, print_table, say
from sturgeon.cli.paging import every_item
from sturgeon.cli.session import Session, connected

if TYPE_CHECKING:
    from sturgeon.messages import Unable, Worker

commands = typer.Typer()

NUMBERS = ("running", "slots", "gpus", "memory")


@commands.command()
@connected
def workers(
    session: Session,
    every: Annotated[bool, typer.Option("--all", help="Also those that have not called for a minute.")] = False,
) -> None:
    """List the workers of this server."""
    with session.client() as client:
        known = list(every_item(client.workers))
    listed = known if every else [worker for worker in known if not worker.gone]
    if session.json:
        return print_json(listed)
    columns, numbers = ("worker", "running", "slots", "seen", "gpus", "memory", "labels", "runs", ""), NUMBERS
    print_table(columns, map(_row, listed), right=numbers, keep=("",), last=("runs", "memory", "gpus", "labels"))
    for unable in (one for worker in listed for one in worker.unable):
        say(why_unable(unable))
    if hidden := len(known) - len(listed):
        say(f"\nNot shown: {hidden} that have not called for a minute (--all shows them).")
    return None


@commands.command()
@connected
def drain(
    session: Session,
    worker: Annotated[str, typer.Argument(metavar="WORKER", parser=not_empty, help="Its name, as `workers` has it.")],
) -> None:
    """Let a worker finish what it runs, take nothing new, and end."""
    with session.client() as client:
        answer = client.drain_worker(worker)
    if session.json:
        return print_json(answer)
    say(f"{answer.name} ends when it has finished what it runs ({answer.running} trials).")
    return None


def _row(worker: Worker) -> tuple[object, ...]:
    memory = None if worker.memory_gb is None else f"{worker.memory_gb:.3g} GB"
    has = (str(worker.gpus) if worker.gpus else None, memory, worker.labels or None, worker.kinds)
    seen = ago(worker.last_seen_at)
    return (worker.name, str(worker.running), str(worker.slots), seen, *has, _state(worker))


def why_unable(unable: Unable) -> str:
    """A sentence on a worker that cannot run a study."""
    return cell(f"{unable.worker} cannot run {unable.study}: {unable.reason}")


def _state(worker: Worker) -> str:
    return "gone" if worker.gone else "draining" if worker.drain else ""
