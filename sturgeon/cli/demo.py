"""`sturgeon demo`: a complete search on one machine, up to the best model."""

from __future__ import annotations

import contextlib
import itertools
import shlex
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sturgeon.cli.following import Follower, Snapshot
from sturgeon.cli.inputs import WrongInput, any_path
from sturgeon.cli.output import print_json, say, say_prose
from sturgeon.cli.processes import Processes, ended_by_sigterm
from sturgeon.cli.session import Session, formatted
from sturgeon.extras import require

if TYPE_CHECKING:
    from sturgeon.client import Client
    from sturgeon.values import Json

commands = typer.Typer()

STUDY: Final[Json] = {
    "name": "digits",
    "title": "Handwritten digits, 30 samples from coarse to fine",
    "metric": "dev_error",
    "direction": "minimize",
    "space": {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "scale": "log"},
        "beta1": {"type": "float", "low": 0.9, "high": 0.999, "scale": "one_minus_log"},
        "hidden_units": {"type": "int", "low": 32, "high": 128, "step": 16},
        "hidden_layers": {"type": "int", "low": 1, "high": 3},
        "batch_size": {"type": "choice", "values": [32, 64, 128, 256], "ordered": True},
        "keep_prob": {"type": "float", "low": 0.6, "high": 1.0},
    },
    "search": {"sampler": "coarse_to_fine", "seed": 1},
    "budget": {"max_trials": 30},
    "task": {"kind": "train", "dataset": "digits", "epochs": 20},
}
WORKERS: Final = 2
BEST: Final = 5


@commands.command()
@formatted
def demo(
    session: Session,
    keep: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            parser=any_path,
            help="The new folder for the results (default: sturgeon-demo, or the next free number after it).",
        ),
    ] = None,
) -> None:
    """Search 30 networks on handwritten digits, with a server and two workers on this machine."""
    require("trainer", "`sturgeon demo`")
    started = time.monotonic()
    with ended_by_sigterm(), _folder(keep) as folder, Processes(folder) as processes:
        address = processes.start_server()
        from sturgeon.client import Client

        with Client(address) as client:
            _search(session, client, address, processes)
            _print_result(session, client, folder, time.monotonic() - started)
        if not session.json:
            say(_how_to_go_on(folder))


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """The folder for the results: the one that was named, or the first free one here, which an end too soon removes."""
    if keep is None:
        folder = _first_free(Path("sturgeon-demo"))
        try:
            yield folder
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return
    if keep.exists() and not keep.is_dir():
        raise WrongInput(f"{keep} is a file: --keep needs a new folder.")
    if keep.exists() and any(keep.iterdir()):
        raise WrongInput(f"{keep} is not empty: --keep needs a new folder.")
    keep.mkdir(parents=True, exist_ok=True)
    yield keep


def _first_free(wanted: Path) -> Path:
    """Create `wanted`, or the first of `wanted-2`, `wanted-3`, .. that is not there."""
    folder = wanted
    for number in itertools.count(2):
        try:
            folder.mkdir()
            break
        except FileExistsError:
            folder = wanted.with_name(f"{wanted.name}-{number}")
    return folder


def _search(session: Session, client: Client, address: str, processes: Processes) -> None:
    client.create_study(STUDY)
    if not session.json:
        say(f"A server at {address} and {WORKERS} workers search 30 networks on digits.")
    names = [f"demo-{number}" for number in range(1, WORKERS + 1)]
    for name in names:
        processes.start(name, "worker", "--server", address, "--name", name, "--drain-s", "1")

    def checked_sleep(seconds: float) -> None:
        processes.check()
        time.sleep(seconds)

    follower = Follower(client, "digits", every_s=0.5, best=BEST, detailed=WORKERS, sleep=checked_sleep, starting=names)
    _show(session, follower)


def _show(session: Session, snapshots: Iterable[Snapshot]) -> None:
    from sturgeon.cli.watch import show_progress

    if session.json:
        for _ in snapshots:
            pass
    else:
        show_progress(snapshots)


def _examples() -> dict[str, int]:
    """How many examples the dev and test parts have. The split is the same in every trial of the study."""
    from trainer.config import config_from
    from trainer.data.preparation import prepare

    data = prepare(config_from({"dataset": "digits"}))
    return {"dev": len(data.dev), "test": len(data.test)}


def _print_result(session: Session, client: Client, folder: Path, seconds: float) -> None:
    from sturgeon.cli.trials import print_best, stopped_early

    study, best, sizes = client.study("digits"), client.best("digits", BEST), _examples()
    if session.json:
        answer = best.model_dump(mode="json")
        facts = {"best": answer["items"], "recommended": answer["recommended"], "examples": sizes}
        return print_json({**facts, "seconds": round(seconds, 1), "folder": str(folder)})
    say("")
    say_prose(
        f"The best {BEST} of {sum(study.counts.values())} networks after {seconds:.0f} s, by their error on "
        f"{sizes['dev']} dev examples. The search never saw the {sizes['test']} test examples."
    )
    say("")
    return print_best(study, best, BEST, stopped_early(client, study, BEST), also=("test_error",))


def _how_to_go_on(folder: Path) -> str:
    # After `make demo` the command is not on the PATH, and the printed commands must work as they are copied.
    here = Path(sys.argv[0])
    sturgeon = "sturgeon" if shutil.which("sturgeon") or here.name != "sturgeon" else shlex.quote(str(here.absolute()))
    commands = [
        (
            f"cd {shlex.quote(str(folder))} && {sturgeon} serve",
            "the server again, with all results, and its page at http://127.0.0.1:8000",
        ),
        (f"{sturgeon} study best digits -k 5", "in another terminal: the best again"),
        (f"{sturgeon} study rounds digits", "where it searched, and why"),
        (f"{sturgeon} study importance digits", "which parameters matter"),
        (f"{sturgeon} study export digits -O trials.csv", "all trials"),
        (f"{sturgeon} study export digits --model best.npz", "the recommended network, for sturgeon predict"),
    ]
    lines = [f"  # {why}\n  {command}" for command, why in commands]
    return "\n".join([f"\nThe results are in {folder}. Next steps:", *lines])
