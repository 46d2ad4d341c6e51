"""What servers and workers write to standard error."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from sturgeon import log_lines
from sturgeon.threads import supervised

NASTY = [
    "line\nfeed",
    "back\r",
    "\x1b[31mred\x1b[2J",
    "a\x85b\u2028c\u2029",
    "\u202eright to left",
    "tab\tbell\x07nul\x00",
    "\ud800",
    'quo"ted',
    "",
    "x" * 200,
]


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_a_thread_that_fails_is_one_line_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise LookupError("no such thing")

    log = log_lines.configure().bind(worker="wilma")
    supervised("reader", work, lambda _: None, log).join(timeout=60)

    [line] = map(json.loads, lines(capsys))
    assert (line["event"], line["level"], line["worker"]) == ("thread failed", "error", "wilma")
    assert line["reason"] == "LookupError: no such thing"
    assert line["exception"].startswith("Traceback")
    assert 'raise LookupError("no such thing")' in line["exception"]


@pytest.mark.parametrize("text", NASTY)
def test_no_text_ends_a_line_of_json_or_moves_the_cursor(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    log_lines.configure().info(text, study=text)

    [line] = lines(capsys)
    assert line.isprintable()
    assert (json.loads(line)["event"], json.loads(line)["study"]) == (text, text)


@pytest.mark.parametrize("text", NASTY)
def test_no_text_ends_a_line_for_people_or_moves_the_cursor(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    log_lines.configure("info", "console").info(text, study=text, trial=3)

    [line] = lines(capsys)
    assert line.isprintable()
    assert line.endswith(" trial=3")


def test_a_value_for_people_is_quoted_where_it_looks_like_several(capsys: pytest.CaptureFixture[str]) -> None:
    log_lines.configure("info", "console").info("lease ran out", study="bowl", worker="a=9", place="a b", share=0.5)

    [line] = lines(capsys)
    assert line[8:] == ' info    lease ran out  study=bowl worker="a=9" place="a b" share=0.5'


def test_a_traceback_for_people_is_indented_and_cannot_look_like_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    log = log_lines.configure("info", "console")
    try:
        raise ValueError("bad\n00:00:00 info    all is well\x1b[2J")
    except ValueError:
        log.exception("request failed")

    first, *below = lines(capsys)
    assert first.endswith("error   request failed")
    assert any("all is well" in line for line in below)
    assert all(line.startswith("    ") and line.isprintable() for line in below)


def test_libraries_write_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    log_lines.configure("info", "json", lambda _logger, _method, event: event | {"request_id": "5"})
    logging.getLogger("uvicorn.error").info("Started.")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request: %s", "\n{}")

    [line] = map(json.loads, lines(capsys))
    assert line.pop("timestamp").startswith("20")
    assert line == {
        "event": "Invalid HTTP request: \n{}",
        "level": "warning",
        "logger": "uvicorn.error",
        "request_id": "5",
    }


def test_no_level_makes_libraries_tell_what_is_stored_or_where_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    log_lines.configure("debug").debug("heard")
    for name in ("sqlalchemy.engine.Engine", "httpx", "any.other"):
        logging.getLogger(name).info("INSERT INTO tokens")

    assert [json.loads(line).get("logger") for line in lines(capsys)] == [None, "any.other"]


@pytest.mark.parametrize(("level", "heard"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_only_what_is_of_the_level_or_above_is_written(
    level: log_lines.LogLevel, heard: int, capsys: pytest.CaptureFixture[str]
) -> None:
    log = log_lines.configure(level)
    for say in (log.debug, log.info, log.warning, log.error):
        say("said")

    assert len(lines(capsys)) == heard


def test_a_password_with_the_mark_that_ends_it_is_not_told_in_part(capsys: pytest.CaptureFixture[str]) -> None:
    log_lines.configure("info", "json").warning("asked", url="http://u:a@hidden@h:1/x@y")

    assert json.loads(lines(capsys)[0])["url"] == "http://u:***@h:1/x@y"


def test_numbers_that_are_none_leave_a_line_json(capsys: pytest.CaptureFixture[str]) -> None:
    log_lines.configure().info("scored", loss=float("nan"), best=float("-inf"), step=3)

    [line] = lines(capsys)
    told = json.loads(line, parse_constant=pytest.fail)
    assert (told["loss"], told["best"], told["step"]) == ("nan", "-inf", 3)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_people_at_a_terminal_get_lines_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    log_lines.configure().warning("draining", running=2)
    log_lines.configure("info", "json").warning("draining", running=2)

    for_people, as_json = terminal.getvalue().splitlines()
    assert for_people[8:] == " \x1b[33mwarning\x1b[0m draining  running=2"
    assert json.loads(as_json)["running"] == 2


class FullDisk(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_line_that_the_disk_does_not_take_fails_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", FullDisk())

    log_lines.configure().error("the disk is full")
