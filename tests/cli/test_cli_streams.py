"""Standard streams that are not UTF-8, or closed: a command never ends in a traceback for them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest

from sturgeon.cli.app import run
from tests.cli.command import BOWL
from tests.processes import DEADLINE_S
from tests.running import RunningServer

pytestmark = pytest.mark.fault("N")

TITLE = "Schüssel, 碗, 🥣"
ENCODINGS = ["latin-1", "ascii", "cp1252", "utf-8"]
Printed = Callable[..., list[str]]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Printed:
    """Run `sturgeon ARGUMENTS` with standard output in each of the encodings, and decode what it wrote."""

    def command(*arguments: str) -> list[str]:
        return [in_encoding(encoding, arguments) for encoding in ENCODINGS]

    def in_encoding(encoding: str, arguments: Sequence[str]) -> str:
        written = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
        assert run(arguments) == 0
        return written.getvalue().decode(encoding)

    return command


@pytest.fixture
def international(half_searched: RunningServer) -> RunningServer:
    """A study whose title and parameters need more than latin-1, and one with replicates."""
    client = half_searched.client
    space = {"glaze": {"type": "choice", "values": ["weiß", "青"]}, "size": {"type": "float", "low": 0, "high": 1}}
    client.create_study({**BOWL, "name": "intl", "title": TITLE, "space": space, "budget": {"max_trials": 20}})
    for lease in client.ask("intl", 20).leases:
        client.tell("intl", lease.number, lease.fence, {"loss": lease.params["size"]})
    client.create_study({**BOWL, "name": "twice", "search": {"replicates": 2, "seed": 1}})
    for lease in client.ask("twice", 4).leases:
        client.tell("twice", lease.number, lease.fence, {"loss": float(lease.number)})
    return half_searched


@pytest.mark.usefixtures("international")
def test_tables_help_and_csv_are_printed_in_any_encoding(printed: Printed) -> None:
    assert all("Sch" in page and "ssel" in page for page in printed("study", "show", "intl"))
    assert all("size" in page for page in printed("study", "trials", "intl"))
    assert [("+/-" in page, "±" in page) for page in printed("study", "best", "twice")] == [
        (False, True),
        (True, False),
        (False, True),
        (False, True),
    ]
    assert all("Usage: sturgeon study" in page for page in printed("study", "--help"))
    assert all(page.startswith("number,") for page in printed("study", "export", "intl"))


@pytest.mark.usefixtures("international")
def test_bars_are_drawn_with_what_the_encoding_has(printed: Printed) -> None:
    pages = printed("study", "importance", "intl")
    assert ["#" if "##" in page else "█" if "██" in page else "" for page in pages] == ["#", "#", "#", "█"]
    assert not any("\\u" in page for page in pages)


@pytest.mark.usefixtures("international")
def test_json_means_the_same_in_any_encoding(printed: Printed) -> None:
    assert [json.loads(page)["title"] for page in printed("study", "show", "intl", "-o", "json")] == [TITLE] * 4
    for page in printed("study", "list", "-o", "json"):
        assert TITLE in [study["title"] for study in json.loads(page)]
    pages = zip(
        printed("study", "export", "intl", "-f", "ndjson"),
        printed("study", "export", "intl", "-f", "json"),
        strict=True,
    )
    for lines, array in pages:
        trials = [json.loads(line) for line in lines.splitlines()]
        assert trials == json.loads(array)
        assert {trial["params"]["glaze"] for trial in trials} == {"weiß", "青"}


def test_an_error_about_any_text_is_one_sentence_in_any_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding in ENCODINGS:
        written = io.BytesIO()
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written, encoding=encoding))
        assert run(["study", "create", "碗.yaml"]) == 2
        assert written.getvalue().decode(encoding).startswith("sturgeon: There is no file ")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_standard_input_is_utf8_whatever_the_locale_says(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    content = io.BytesIO(json.dumps({**BOWL, "title": TITLE}, ensure_ascii=False).encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content, encoding=encoding))
    assert run(["study", "create", "-"]) == 0
    assert server.client.study("bowl").title == TITLE


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr"])
def test_a_closed_stream_is_as_good_as_the_null_device(monkeypatch: pytest.MonkeyPatch, closed: str) -> None:
    commands = {"study list": 0, "study list -o json": 0, "study show nobody": 1, "--help": 0}
    if closed == "stdin":
        commands["study create -"] = 2
    for command, code in commands.items():
        monkeypatch.setattr(sys, closed, None)
        assert run(command.split()) == code
        getattr(sys, closed).close()


INTERRUPTED_IMPORT = """
import builtins, os, signal, sys
before, sent = builtins.__import__, []

def interrupt_at(name, *arguments, **named):
    if name == {module!r} and not sent:
        sent.append(os.kill(os.getpid(), signal.SIGINT))
    return before(name, *arguments, **named)

signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may run in a shell that ignores it
builtins.__import__ = interrupt_at
sys.argv = ["sturgeon", "study", "list", "--server", "http://127.0.0.1:1"]
from sturgeon.cli.__main__ import main
main()
"""


@pytest.mark.parametrize(
    "module", ["typer", "sturgeon.cli.lazily", "sturgeon.cli.paging", "pydantic", "httpx", "sturgeon.client.wire"]
)
def test_ctrl_c_while_the_command_line_is_being_imported_shows_no_traceback(module: str) -> None:
    script = INTERRUPTED_IMPORT.format(module=module)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=DEADLINE_S)
    assert (ran.returncode, ran.stdout, ran.stderr.strip()) == (130, "", "")
