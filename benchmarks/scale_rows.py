"""Very many trials and studies, written into a database by its own statements: through the service it would take hours.

A trial's parameters are those that its point stands for, so that a server can go on with what is written here.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from server.store.engine import Database, Transaction
from server.store.studies import StudyRow, find
from server.store.tables import studies

NAMES: Final = "abcde"
SPACE: Final[dict[str, Any]] = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in NAMES}

_MODULUS: Final = 1_000_003
_FACTORS: Final = (269_807, 526_573, 611_953, 746_773, 905_081)
_SERIES: Final = {
    "sqlite": "WITH RECURSIVE series(n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM series WHERE n + 1 < :count) ",
    "postgresql": "WITH series(n) AS (SELECT generate_series(0, CAST(:count AS integer) - 1)) ",
}
_US: Final = ", ".join(
    f"((n + 1) * CAST({factor} AS bigint) % {_MODULUS}) / {_MODULUS}.0 AS {name}"
    for name, factor in zip(NAMES, _FACTORS, strict=True)
)
_TEXTS: Final = {name: f"CAST(CAST({name} AS {{real}}) AS text)" for name in NAMES}
_LOSS: Final = " + ".join(f"({name} - 0.3) * ({name} - 0.3)" for name in NAMES)

# One trial of ten is stopped early, one of fifty fails, the others are complete.
_TRIALS: Final = """
INSERT INTO trials (study_id, number, state, mode, params, point, seed, attempt, fence, reported, unstackable, value,
  metrics, sampler, basis_seq, revision, drawn, left_seq, predicted_value, best_score, spent_epochs, spent_us,
  created_at, started_at, finished_at, changed)
{series}, drawn AS (SELECT n, {us} FROM series), scored AS (SELECT *, {loss} AS loss FROM drawn)
SELECT :study, n,
  CASE WHEN n % 50 = 7 THEN 'failed' WHEN n % 10 = 3 THEN 'pruned' ELSE 'complete' END,
  'caviar', {params}, {point}, n, 1, n + 1, {true}, {false},
  CASE WHEN n % 50 <> 7 THEN loss END, {metrics}, NULL, n, 0, {drawn}, n + 1,
  CASE WHEN n % 10 = 3 THEN loss END, loss, 20, 1000000, :at + n, :at + n, :at + n, 0
FROM scored
"""


def fill(database: Database, name: str, count: int) -> None:
    """Give an empty study of SPACE so many trials that have ended."""
    with database.writing() as tx:
        study = find(tx, name)
        assert study is not None
        _insert(tx, study, count)
        progress = {"count": count, "study": study.id}
        tx.execute(sa.text("UPDATE studies SET seq = :count, next_number = :count WHERE id = :study"), progress)
    if database.engine.dialect.name == "postgresql":  # which it would do by itself, some time later
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE trials"))


def _insert(tx: Transaction, study: StudyRow, count: int) -> None:
    kind = "sqlite" if tx.is_sqlite else "postgresql"
    real = "real" if tx.is_sqlite else "double precision"
    texts = {name: text.format(real=real) for name, text in _TEXTS.items()}
    point = "'[' || " + " || ', ' || ".join(texts.values()) + " || ']'"
    params = "'{' || " + " || ', ' || ".join(f"'\"{name}\": ' || {text}" for name, text in texts.items()) + " || '}'"
    metrics = f"'{{\"loss\": ' || CAST(CAST(loss AS {real}) AS text) || ', \"seconds\": 1.0}}'"
    columns = {"params": params, "point": point, "metrics": metrics, "drawn": "'{}'"}
    if not tx.is_sqlite:
        columns = {column: f"CAST({text} AS json)" for column, text in columns.items()}
    sql = _TRIALS.format(
        series=_SERIES[kind],
        us=_US,
        loss=_LOSS,
        true="1" if tx.is_sqlite else "true",
        false="0" if tx.is_sqlite else "false",
        **columns,
    )
    tx.execute(sa.text(sql.replace("::", "")), {"count": count, "study": study.id, "at": study.created_at})


def copies(database: Database, name: str, count: int) -> None:
    """So many more studies like this one, without trials."""
    with database.writing() as tx:
        columns = [column.name for column in studies.c]
        others = [column for column in columns if column not in ("id", "name")]
        listed = ", ".join(f'"{column}"' for column in others)
        series = _SERIES["sqlite" if tx.is_sqlite else "postgresql"]
        made = f"INSERT INTO studies (name, {listed}) {series} SELECT :name || '-' || n, {listed} FROM studies, series"
        tx.execute(sa.text(f"{made} WHERE studies.name = :name"), {"count": count, "name": name})
        revisions = (
            "INSERT INTO space_revisions (study_id, revision, space, constraints, added, seq, created_at) "
            "SELECT id, 0, space, constraints, CAST('{}' AS json), 0, created_at FROM studies WHERE name LIKE :like"
        )
        tx.execute(sa.text(revisions.replace("CAST('{}' AS json)", "'{}'")), {"like": f"{name}-%"})
