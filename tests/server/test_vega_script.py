"""The script of others that pages load is made from what is installed, once, and kept by version."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from server.dashboard import assets
from server.dashboard.rendering import FOLDER
from server.settings import Settings
from sturgeon.plots.theme import PALETTE, config

if TYPE_CHECKING:
    from tests.running import RunningServer


@pytest.fixture
def api(migrated_sqlite_url: str, tmp_path: Path, serve: Callable[[Settings], RunningServer]) -> RunningServer:
    """A server; nothing here depends on the kind of database."""
    return serve(Settings(database_url=migrated_sqlite_url, checkpoints=tmp_path / "checkpoints"))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The processes that make the script; each writes a short one at once."""
    made: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        made.append(command)
        return subprocess.CompletedProcess(command, 0, b"window.vega = {};", b"")

    monkeypatch.setattr(subprocess, "run", run)
    return made


def test_threads_that_ask_at_once_make_it_once(counted: list[list[str]], tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(lambda _: assets.vega_script([tmp_path / "made"]), range(4)))

    assert set(files) == {tmp_path / "made" / assets.NAME}
    assert files[0].read_bytes() == b"window.vega = {};"
    assert len(counted) == 1


@pytest.mark.usefixtures("counted")
def test_a_folder_that_cannot_be_written_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    file = assets.vega_script([tmp_path / "file" / "made", tmp_path / "cache"])

    assert file.parent == tmp_path / "cache"
    with pytest.raises(OSError, match="file"):
        assets.vega_script([tmp_path / "file" / "made"])


@pytest.mark.usefixtures("counted")
def test_an_older_version_is_removed_when_a_new_one_is_made(tmp_path: Path) -> None:
    (tmp_path / "vega-0.1.js").write_text("old")

    assets.vega_script([tmp_path])

    assert [file.name for file in tmp_path.iterdir()] == [assets.NAME]


def test_a_script_that_cannot_be_made_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(assets, "MAKE", "raise SystemExit('no space')")

    with pytest.raises(RuntimeError, match="could not be made: no space"):
        assets.vega_script([tmp_path])


def test_pages_name_the_script_and_browsers_keep_it(api: RunningServer) -> None:
    page = httpx.get(api.url).text
    answer = httpx.get(api.url + assets.VEGA_URL)

    assert f'data-vega="{assets.VEGA_URL}"' in page
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"].endswith("immutable")
    assert "vegaEmbed" in answer.text
    assert httpx.get(f"{api.url}/static/vega-0.1.js").status_code == 404


def test_pictures_have_the_colours_of_the_style_sheet(api: RunningServer) -> None:
    css = (FOLDER / "static" / "css" / "sturgeon.css").read_text(encoding="utf-8")
    blocks = {"light": r":root \{(.*?)\n\}", "dark": r':root\[data-theme="dark"\] \{(.*?)\n\}'}
    for theme, block in blocks.items():
        found = re.search(block, css, re.DOTALL)
        assert found is not None
        properties = dict(re.findall(r"--([\w-]+): (#\w+);", found[1]))
        both = PALETTE[theme].keys() & properties.keys()  # type: ignore[index]
        assert {f"state-{state}" for state in ("running", "complete", "pruned", "failed")} | {"text", "line"} <= both
        assert {name: properties[name] for name in both} == {name: PALETTE[theme][name] for name in both}  # type: ignore[index]
    answer = httpx.get(f"{api.url}/static/vega-themes.json").json()
    assert answer == {theme: json.loads(json.dumps(config(theme))) for theme in PALETTE}
