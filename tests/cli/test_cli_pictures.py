"""`sturgeon study plot | report`: pictures as files, and a study for a colleague."""

from __future__ import annotations

import base64
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import pytest

from sturgeon.cli import report_markdown
from sturgeon.cli.report_content import Code, Picture, Prose, Rows
from sturgeon.cli.report_markdown import as_markdown
from sturgeon.plots import drawing
from sturgeon.plots.kinds import KINDS, STUDY_KINDS
from tests.cli.command import BOWL, Command

if TYPE_CHECKING:
    from tests.running import RunningServer

GUIDE: Final = (Path(__file__).parents[2] / "docs" / "pictures.md").read_text(encoding="utf-8")
HOSTILE: Final = "</title><script>alert(1)</script> & \"'"


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which pictures are written."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hostile_study(searched: RunningServer) -> RunningServer:
    """`bowl` with two results, whose title and notes would be a program somewhere."""
    searched.client.patch_study(
        "bowl", {"title": HOSTILE, "notes": f"{HOSTILE}\n[x](javascript:alert(1)) `a` www.x.example"}
    )
    return searched


@pytest.mark.usefixtures("searched")
def test_a_picture_is_written_in_the_format_of_its_name(sturgeon: Command, in_folder: Path) -> None:
    ran = sturgeon("study", "plot", "bowl", "history", "-o", "h.png")

    assert (ran.code, ran.out) == (0, "h.png: the score of each trial, and the best so far.\n")
    assert (in_folder / "h.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert sturgeon("study", "plot", "bowl", "slice", "-p", "x", "-o", "s.svg", "--theme", "dark").code == 0
    assert (in_folder / "s.svg").read_text(encoding="utf-8").startswith("<svg")
    told = sturgeon("-o", "json", "study", "plot", "bowl", "map", "-p", "y", "-p", "x", "--out", "m.json").json
    assert told == {"file": "m.json", "study": "bowl", "kind": "map", "trial": None}
    spec = json.loads((in_folder / "m.json").read_text(encoding="utf-8"))
    assert spec["title"]["text"] == "loss by y and x"
    assert [row["number"] for row in spec["datasets"]["rows"]] == [0, 1, 2, 3]


@pytest.mark.usefixtures("searched")
def test_o_json_after_a_command_that_writes_a_file_says_what_was_written(sturgeon: Command, in_folder: Path) -> None:
    told = sturgeon("study", "plot", "bowl", "history", "-o", "json", "-O", "h.json").json
    assert told == {"file": "h.json", "study": "bowl", "kind": "history", "trial": None}
    assert sturgeon("study", "plot", "bowl", "map", "-p", "y", "-p", "x", "-o", "json").json["file"] == "bowl-map.png"
    assert sturgeon("study", "report", "bowl", "-o", "json").json["files"] == ["bowl-report.html"]
    assert {path.name for path in in_folder.iterdir()} >= {"h.json", "bowl-map.png", "bowl-report.html"}


@pytest.mark.usefixtures("searched")
def test_every_picture_of_a_study_can_be_drawn_from_a_server(sturgeon: Command) -> None:
    for kind in STUDY_KINDS:
        assert sturgeon("study", "plot", "bowl", kind, "-o", f"{kind}.json").code == 0, kind
    assert sturgeon("study", "plot", "bowl", "trial_curves", "--trial", "1", "-o", "t.json").code == 0


REFUSED: Final = {
    "pie": (1, "There is no picture pie: write one of history, "),
    "history -o h.gif": (2, "h.gif: write a name that ends in .png, .svg, .html, .json."),
    "knobs": (2, "knobs is a picture of one trial: say which."),
    "history --trial 1": (2, "history is a picture of a whole study: leave the trial out."),
    "history -p x": (2, "history takes no 1 parameters: slice and knobs take one, "),
    "slice -p z": (1, "bowl has no parameter z; it has x, y."),
    "history --log": (2, "history takes no scale."),
    "diagnosis --trial 1": (1, "Trial 1 has no diagnosis; "),
}


@pytest.mark.usefixtures("searched")
def test_a_picture_that_cannot_be_drawn_says_why(sturgeon: Command, in_folder: Path) -> None:
    for arguments, (code, sentence) in REFUSED.items():
        ran = sturgeon("study", "plot", "bowl", *arguments.split())

        assert ran.code == code, arguments
        assert ran.err.startswith(f"sturgeon: {sentence}"), arguments
    assert list(in_folder.glob("*.*g")) == []


@pytest.mark.usefixtures("searched")
def test_a_picture_without_its_extra_names_it(sturgeon: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)

    ran = sturgeon("study", "plot", "bowl", "history", "-o", "h.svg")

    assert ran.code == 1
    assert ran.err.endswith('This brings it: pip install "sturgeon[plots]"\n')
    assert sturgeon("study", "plot", "bowl", "history", "-o", "h.json").code == 0  # a specification needs none


def test_the_commands_of_the_guide_draw_what_they_say(
    sturgeon: Command, server: RunningServer, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "_bundle", str)  # Vega's script takes seconds; another test has it
    space = {name: {"type": "float", "low": 0.1, "high": 0.9} for name in ("learning_rate", "beta1")}
    server.client.create_study(BOWL | {"name": "digits", "space": space, "budget": {"max_trials": 8}})
    for lease in server.client.ask("digits", 8).leases:
        reports = [{"step": step, "metrics": {"loss": 1 / step, "train_error": 1 / step}} for step in (1, 2)]
        server.client.report("digits", lease.number, lease.fence, reports)
        server.client.tell("digits", lease.number, lease.fence, {"loss": float(lease.number)})

    lines = re.findall(r"^sturgeon study plot (.*?) *(?:#.*)?$", GUIDE, re.MULTILINE)

    for line in lines:
        assert sturgeon("study", "plot", *line.split()).code == 0, line
    assert len(lines) == 7
    assert len(list(in_folder.iterdir())) == 7
    assert (in_folder / "parallel.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_guide_and_the_help_name_every_kind(sturgeon: Command) -> None:
    told = sturgeon("study", "plot", "-h").out
    rows = [line for line in GUIDE.splitlines() if line.startswith("| `")]

    assert [kind for kind in KINDS if kind not in told] == []
    assert tuple(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in rows))) == KINDS


@pytest.mark.usefixtures("hostile_study")
def test_a_report_is_one_page_without_scripts_that_says_all(sturgeon: Command, in_folder: Path) -> None:
    ran = sturgeon("study", "report", "bowl", "-o", "r.html")

    assert (ran.code, ran.out) == (0, "r.html: the report.\n")
    page = (in_folder / "r.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;&#x27;" in page
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "Take trial 1: loss 0.25." in page
    assert "how far chance moves a score was not measured" in page
    assert "Which values of x, y give the least loss?" in page
    for heading in ("The question", "The result", "Pictures", "The space", "How trials ended", "How to do it again"):
        assert f"<h2>{heading}</h2>" in page
    assert "ValueError: no disk" in page
    assert "&quot;seed&quot;: " in page
    images = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert len(images) >= 3
    assert all(base64.b64decode(image).startswith(b"<svg") for image in images)


@pytest.mark.usefixtures("hostile_study")
def test_a_report_in_markdown_has_its_pictures_beside_it(sturgeon: Command, in_folder: Path) -> None:
    told = sturgeon("-o", "json", "study", "report", "bowl", "-o", "r.md").json

    text = (in_folder / "r.md").read_text(encoding="utf-8")
    assert told["files"][0] == "r.md"
    assert (
        {path.name for path in in_folder.glob("r-*.png")} == set(told["files"][1:]) >= {"r-history.png", "r-slice.png"}
    )
    assert all(f"(<{name}>)" in text for name in told["files"][1:])
    assert r"\</title\>\<script\>alert(1)\</script\> \& " in text
    assert r"\[x\](javascript:alert(1)) \`a\` www\.x.example" in text
    assert sturgeon("study", "report", "bowl", "-o", "r.pdf").code == 2


def test_texts_stay_what_they_are_in_markdown() -> None:
    rows = Rows([("a|b", "1. x"), ("# y", "http://x.example")], ("*n*", "v"))

    text, pictures = as_markdown("- a", "now", [Prose("# no\n\n2) no"), rows, Code("```\nrm")], "r")

    assert pictures == {}
    assert text.splitlines()[0] == r"# \- a"
    assert "\\# no  \n2\\) no" in text
    assert r"| a\|b | 1\. x |" in text
    assert r"| \# y | http\://x.example |" in text
    assert "````\n```\nrm\n````" in text


def test_a_number_a_trailing_sign_and_a_name_in_capitals_stay_text_in_markdown() -> None:
    text, _ = as_markdown(
        "Learning C #", "1999. is a year", [Prose("123456789) a\n7.\n1.5 b"), Prose("WWW.x.example")], "r"
    )

    assert text.splitlines()[0] == r"# Learning C \#"
    assert r"1999\. is a year" in text
    assert "123456789\\) a  \n7\\.  \n1.5 b" in text
    assert r"WWW\.x.example" in text


@pytest.mark.parametrize("stem", ["50%25 off", "a>b(<", "a\\b", "new\nline", "ä b"])
def test_a_picture_beside_a_report_is_found_whatever_its_name_is(stem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_markdown, "drawn", lambda _spec, _form: b"png")

    text, pictures = as_markdown("t", "now", [Picture("history", {}, "seen")], stem)

    [name] = re.findall(r"^!\[seen\]\(<([^<>\\\s]*)>\)$", text, re.MULTILINE)
    assert pictures == {unquote(name): b"png"}


def test_a_report_of_a_study_without_results_says_so(sturgeon: Command, server: RunningServer, in_folder: Path) -> None:
    server.client.create_study(BOWL | {"name": "new"})

    assert sturgeon("study", "report", "new").code == 0

    assert "No trial has a result yet." in (in_folder / "new-report.html").read_text(encoding="utf-8")
