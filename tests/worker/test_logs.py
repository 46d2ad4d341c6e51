"""What a worker writes to standard error."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

from sturgeon.threads import supervised
from worker import logs


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_a_thread_that_fails_is_one_line_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise LookupError("no such thing")

    log = logs.configure().bind(worker="wilma")
    supervised("reader", work, lambda _: None, log).join(timeout=60)

    [line] = map(json.loads, capsys.readouterr().err.splitlines())
    assert (line["event"], line["level"], line["worker"]) == ("thread failed", "error", "wilma")
    assert line["reason"] == "LookupError: no such thing"
    assert line["exception"].startswith("Traceback")
    assert 'raise LookupError("no such thing")' in line["exception"]
