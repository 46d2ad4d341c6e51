"""docs/operations.md and deploy/systemd: what they tell to do works, as far as that can be seen without systemd."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from server.settings import Settings
from sturgeon.client import Client
from sturgeon.errors import LeaseLost, NotFound, Unauthorized
from tests.postgres import Postgres
from tests.processes import STURGEON, ServerProcess, WorkerProcess, wait_until
from tests.running import RunningServer
from tests.server.studies import BOWL
from tests.system.compose import compose_file
from tests.system.readme import ROOT, blocks, run

DOCUMENT = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
UNITS = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "deploy/systemd").iterdir()}
SERVER, WORKER = "sturgeon-server.service", "sturgeon-worker@.service"
ON_A_MACHINE = r"^(systemctl|useradd|python3 -m venv|ln|install|cp|chmod|make secrets|docker compose|/opt/|\(umask)"
OF_A_SERVICE = ["create workers-1", "/readyz", "create workers-2", "revoke workers-1"]
OF_BOTH = ["checkpoints/. /var"]
OF_SQLITE = ["sturgeon backup $B", "restore --replace", "tried.db"]
OF_POSTGRESQL = ["pg_dump", "pg_restore"]


def block_with(words: str) -> str:
    [found] = [block for block in blocks(DOCUMENT) if words in block]
    return found


def settings_of(unit: str, name: str) -> list[str]:
    """What a unit's lines `name=...` say."""
    return re.findall(rf"^{name}=(.*)$", UNITS[unit], re.MULTILINE)


class Machine:
    """Folders of a machine, as the document and the units call them, below one of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for place in ("etc/sturgeon", "var/lib/sturgeon", "var/lib/sturgeon-worker/1", "run/sturgeon-worker/1"):
            (folder / place).mkdir(parents=True)

    def script(self, *words: str, **other: str) -> str:
        """The blocks with these words, for this machine."""
        text = "\n".join(block_with(word) for word in words)
        text = re.sub(r"(?<![\w.])/(?=(?:etc|var|tmp)/)", f"{self.folder}/", text)
        for name, here in other.items():
            text = text.replace(name, here)
        return text

    def environment(self, unit: str, credential: str) -> dict[str, str]:
        """That of the unit's program."""
        places = {"%S": "var/lib", "%t": "run"}
        pairs = dict(line.split("=", 1) for line in settings_of(unit, "Environment"))
        for name, text in pairs.items():
            for specifier, place in places.items():
                text = text.replace(specifier, str(self.folder / place))
            pairs[name] = text.replace("%i", "1").replace("%d/token", str(self.folder / "etc/sturgeon" / credential))
        return pairs


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "tmp").mkdir()
    return Machine(tmp_path)


def test_every_block_is_run_or_needs_a_machine() -> None:
    known = [*OF_A_SERVICE, *OF_BOTH, *OF_SQLITE, *OF_POSTGRESQL]
    assert [block for block in blocks(DOCUMENT) if sum(words in block for words in known) != 1] == []
    assert set(re.findall(r"^```(\w+)$", DOCUMENT, re.MULTILINE)) == {"sh", "console", "ini"}
    for block in re.findall(r"^```console\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE):
        assert [line for line in block.splitlines() if not re.match(ON_A_MACHINE, line)] == []


def test_the_units_service_runs_and_its_tokens_change_without_a_pause(
    machine: Machine,
    server_process: Callable[..., ServerProcess],
    worker_process: Callable[..., WorkerProcess],
    forked_commands: str,
) -> None:
    (machine.folder / "etc/sturgeon/token").write_text("sesame")
    program, _, *options = shlex.split(settings_of(SERVER, "ExecStart")[0])
    server = server_process(*options, **machine.environment(SERVER, "token"))
    assert program == "/opt/sturgeon/bin/sturgeon"

    known: list[str] = []  # what the reader's shell knows

    def do(words: str) -> str:
        script = machine.script(words, **{"http://127.0.0.1:8000": server.url})
        printed = run("\n".join([*known, script]), machine.folder, PATH=forked_commands)
        known.extend(line for line in script.splitlines() if line.startswith("export"))
        return printed

    do("create workers-1")
    program, _, *options = shlex.split(settings_of(WORKER, "ExecStart")[0])
    name = options.pop(options.index("--name") + 1).replace("%H", socket.gethostname()).replace("%i", "1")
    options.remove("--name")
    environment = machine.environment(WORKER, "worker-token") | {"STURGEON_SERVER": server.url}
    worker = worker_process(server.url, *options, name=name, **environment)
    wait_until(Path(environment["STURGEON_ALIVE_FILE"]).exists, "the worker's heart beat")
    assert name in do("/readyz")
    assert Path(environment["STURGEON_SPOOL"]).is_dir()
    old = Path(environment["STURGEON_TOKEN_FILE"]).read_text().strip()

    do("create workers-2")
    with Client(server.url, token=old) as client:
        assert client.lease(worker="other", wait=0).leases == []  # both let in
    assert worker.stop() == 0
    assert "workers-2" in do("revoke workers-1")

    with Client(server.url, token=old) as client, pytest.raises(Unauthorized):
        client.lease(worker="other", wait=0)
    new = Path(environment["STURGEON_TOKEN_FILE"]).read_text().strip()
    with Client(server.url, token=new) as client:
        assert client.lease(worker="other", wait=0).leases == []


def test_a_backup_is_restored_and_what_came_after_it_is_told_so(
    machine: Machine,
    database_kind: str,
    migrated_url: str,
    serve: Callable[[Settings], RunningServer],
    postgres: Postgres,
    forked_commands: str,
    at_end: ExitStack,
) -> None:
    file, checkpoints = machine.folder / "var/lib/sturgeon/sturgeon.db", machine.folder / "var/lib/sturgeon/checkpoints"
    settings = Settings(database_url=migrated_url, checkpoints=checkpoints, reap_every_s=600)
    restored, variables = settings, {"PATH": forked_commands}
    backup, restore, names = *OF_SQLITE[:2], {}
    if database_kind == "sqlite":
        shutil.move(migrated_url.removeprefix("sqlite:///"), file)
        settings = restored = settings.model_copy(update={"database_url": f"sqlite:///{file}"})
    else:
        url, name = migrated_url.rpartition("/")[0], migrated_url.rpartition("/")[2]
        backup, restore = OF_POSTGRESQL
        names = {"dump sturgeon": f"dump {name}", "sturgeon_restored": f"{name}_restored"}
        names |= {"postgresql://sturgeon@db.example": url, "db.example": "127.0.0.1", "=sturgeon\n": "=postgres\n"}
        variables |= {"PGPORT": str(postgres.port), "PATH": f"{postgres.binaries}:{forked_commands}"}
        restored = settings.model_copy(update={"database_url": f"{url}/{name}_restored"})
        at_end.callback(postgres.drop_database, f"{name}_restored")

    server = serve(settings)
    server.client.create_study(BOWL | {"budget": {"max_trials": 9}})
    [before] = server.client.ask("bowl", worker="ada").leases
    server.client.put_checkpoint("bowl", 0, 1, b"what was learnt", before.fence)
    run(machine.script(backup, **names), machine.folder, **variables)
    [unknown] = server.client.ask("bowl", worker="ada").leases
    server.client.create_study(BOWL | {"name": "later"})
    server.stop()
    shutil.rmtree(checkpoints)

    words = [restore, *OF_BOTH, *(OF_SQLITE[2:] if database_kind == "sqlite" else [])]
    run(machine.script(*words, **names), machine.folder, **variables)

    server = serve(restored)
    assert [study.name for study in server.client.studies().items] == ["bowl"]
    assert server.client.checkpoint("bowl", 0, 1) == b"what was learnt"
    with pytest.raises(NotFound):
        server.client.tell("bowl", unknown.number, unknown.fence, {"loss": 1.0})
    server.advance(seconds=7200)
    server.expire_leases()
    [again] = server.client.ask("bowl", worker="bob").leases
    assert (again.number, again.fence > unknown.fence) == (before.number, True)
    with pytest.raises(LeaseLost):
        server.client.tell("bowl", before.number, before.fence, {"loss": 1.0})


def test_the_units_are_what_systemd_understands(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not on this machine")
    for name, text in UNITS.items():
        unit = tmp_path / name.replace("@", "@1")
        unit.write_text(text.replace("/opt/sturgeon/bin/sturgeon", str(STURGEON)))
        done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
        assert (done.returncode, [line for line in done.stderr.splitlines() if name[:13] in line]) == (0, [])


@pytest.mark.parametrize("unit", UNITS)
def test_each_unit_is_closed_and_lets_its_program_end(unit: str) -> None:
    text = UNITS[unit]
    for needed in ("User=sturgeon", "NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=\n"):
        assert needed in text
    assert settings_of(unit, "LoadCredential")[0].startswith("token:/etc/sturgeon/")
    assert "TOKEN=" not in text.replace("STURGEON_TOKEN_FILE=", "")
    known = {f"STURGEON_{name.upper()}" for name in Settings.model_fields} | {"STURGEON_SERVER", "STURGEON_SPOOL"}
    named = {line.partition("=")[0] for line in settings_of(unit, "Environment")}
    assert named <= known | {"STURGEON_ALIVE_FILE"}


def test_who_stops_a_worker_waits_longer_than_it_lets_its_trials_run() -> None:
    from worker.options import WorkerOptions

    longest = WorkerOptions("http://there").drain_s + 20
    assert int(settings_of(WORKER, "TimeoutStopSec")[0]) >= longest
    assert int(compose_file()["services"]["worker"]["stop_grace_period"].removesuffix("s")) >= longest
    assert settings_of(WORKER, "KillMode") == ["mixed"], "its programs are not to be stopped beside it"
    from server.serving import GRACE_S

    assert int(settings_of(SERVER, "TimeoutStopSec")[0]) > 2 * GRACE_S


def test_the_limits_of_the_document_are_those_of_the_server() -> None:
    [table] = re.findall(r"^\| what \| limit for a study .*?\n\n", DOCUMENT, re.DOTALL | re.MULTILINE)
    told = re.sub(r"[,\s]", "", table)
    defaults = Settings()
    megabytes = {"100GB": defaults.max_study_mb, "512MBeach": defaults.max_checkpoint_mb, "1GB": defaults.max_logs_mb}
    assert [megabytes[text] for text in megabytes if text in told] == [100_000, 512, 1000]
    assert f"|{defaults.max_events}(`STURGEON_MAX_EVENTS`)" in told
    assert f"|{defaults.max_late_results}ofatmost{defaults.max_late_results_mb:.0f}MB" in told
