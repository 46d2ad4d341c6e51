"""What the database and the folder of checkpoints hold afterwards, as plain rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from server.store import tables
from server.store.blobs import TORN

Row = Mapping[str, Any]
TABLES: Final = (
    "studies",
    "trials",
    "requeue_gaps",
    "reports",
    "space_revisions",
    "timeline",
    "checkpoints",
    "events",
    "workers",
)


@dataclass(frozen=True)
class Record:
    """Rows by their table's name, without their order.

    blobs: for each file in the folder, by its name, the SHA-256 of what is in it. integrity: what SQLite says of
    itself; "ok" where nothing is wrong, and for PostgreSQL.
    """

    studies: list[Row] = field(default_factory=list)
    trials: list[Row] = field(default_factory=list)
    requeue_gaps: list[Row] = field(default_factory=list)
    reports: list[Row] = field(default_factory=list)
    space_revisions: list[Row] = field(default_factory=list)
    timeline: list[Row] = field(default_factory=list)
    checkpoints: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    workers: list[Row] = field(default_factory=list)
    blobs: Mapping[str, str] = field(default_factory=dict)
    integrity: str = "ok"


def read_record(database_url: str, checkpoints: Path) -> Record:
    """Read all of a database that nobody writes to any more, and the hash of each file of the folder."""
    with connected(database_url) as connection:
        return record_within(connection, checkpoints)


@contextmanager
def connected(database_url: str) -> Iterator[sa.Connection]:
    """A connection that nothing of the server's is between."""
    address = sa.make_url(database_url)
    if address.get_backend_name() == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    engine = sa.create_engine(address, poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def record_within(connection: sa.Connection, checkpoints: Path) -> Record:
    """As a transaction sees it."""
    rows = {
        name: [dict(row) for row in connection.execute(sa.select(tables.metadata.tables[name])).mappings()]
        for name in TABLES
    }
    integrity = "ok"
    if connection.dialect.name == "sqlite":
        integrity = str(connection.exec_driver_sql("PRAGMA integrity_check").scalar_one())
    return Record(**rows, blobs=_blobs(checkpoints), integrity=integrity)


def _blobs(folder: Path) -> dict[str, str]:
    found = {}
    for file in folder.rglob("*"):
        if file.is_file() and not file.name.startswith(TORN):
            with file.open("rb") as content:
                found[file.name] = hashlib.file_digest(content, "sha256").hexdigest()
    return found
