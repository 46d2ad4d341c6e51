"""Rows are made of what a statement returns by its place, which takes a fraction of the time that names take."""

from __future__ import annotations

import json
import math
from dataclasses import fields

import pytest
import sqlalchemy as sa

from server.store import audit, checkpoints, events, idempotency, reports, studies, tables, tokens, trials, workers
from server.store.json_columns import json_value


@pytest.mark.parametrize(
    ("row", "table"),
    [
        (trials.TrialRow, tables.trials),
        (studies.StudyRow, tables.studies),
        (reports.ReportRow, tables.reports),
        (events.EventRow, tables.events),
        (idempotency.KeyRow, tables.idempotency_keys),
        (workers.WorkerRow, tables.workers),
        (checkpoints.CheckpointRow, tables.checkpoints),
        (tokens.TokenRow, tables.tokens),
        (audit.AuditRow, tables.audit),
    ],
)
def test_the_fields_of_a_row_are_the_columns_in_their_order(row: type, table: sa.Table) -> None:
    assert [field.name for field in fields(row)] == [column.name for column in table.c]


def test_a_json_column_gives_whatever_json_can_say() -> None:
    values = [{"loss": 1e-310, "step": 10**30, "tags": ["é", "\ud800"]}, None, [[0.1, -0.0]], "", True]
    deep = "[" * 500 + "]" * 500

    assert [json_value(json.dumps(value)) for value in values] == values
    assert json_value(deep) == json.loads(deep)
    assert math.isnan(json_value("NaN"))
