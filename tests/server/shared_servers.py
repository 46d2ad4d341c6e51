"""Servers that outlast a test: to start and stop one takes longer than most of the tests that use it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from server.settings import Settings
from server.store.tables import metadata
from sturgeon.search.registry import SAMPLERS
from tests.running import NOON, RunningServer


class SharedServers:
    """One server on each kind of database, started when it is first needed."""

    def __init__(self, folder: Path, make_database: Mapping[str, Callable[[], str]], **options: Any) -> None:
        self._folder = folder
        self._make_database = make_database
        self._options = {"reap_every_s": 600} | options
        self._running: dict[str, RunningServer] = {}

    def on(self, kind: str) -> RunningServer:
        if kind not in self._running:
            url = self._make_database[kind]()
            self._running[kind] = RunningServer(
                Settings(database_url=url, checkpoints=self._folder / kind, **self._options)
            )
            self._running[kind].start()
        return self._running[kind]

    def stop(self) -> None:
        for server in self._running.values():
            server.stop()


def forget_all(server: RunningServer) -> None:
    """Bring the server back to where it has no studies, its own samplers and its clock at noon.

    What it counted for /metrics stays.
    """
    with server.app.state.database.writing() as tx:
        tables = [table.name for table in reversed(metadata.sorted_tables)]
        if not tx.is_sqlite:  # one round trip, and not one for each
            tables = ["; DELETE FROM ".join(tables)]
        for names in tables:
            tx.connection.exec_driver_sql(f"DELETE FROM {names}", execution_options={"no_parameters": True})
    server.app.state.database.stored_numerics.clear()
    server.app.state.database.kept_amounts.clear()
    overviews = server.app.state.overviews
    with overviews._guard:  # else this test's streams are told that the studies of earlier ones are gone
        overviews._sketches.clear()
        overviews._gone.clear()
        overviews._moment = None
    sampler_pool = server.app.state.asks.sampler_pool
    sampler_pool.samplers = dict(SAMPLERS)
    for study_id in list(
        sampler_pool._caches
    ):  # the next test's study has the number, the seed and the noon of this one's
        sampler_pool.forget(study_id)
    shutil.rmtree(server.settings.checkpoints, ignore_errors=True)
    server.clock.microseconds = NOON
