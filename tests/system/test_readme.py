"""A newcomer copies the README's commands, and all of them work."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from sklearn.datasets import load_digits

from sturgeon.client import Client
from tests.processes import STURGEON, ServerProcess, WorkerProcess
from tests.running import RunningServer
from tests.system.readme import README, ROOT, block_with, curl_walk, run

ADDRESS = "http://127.0.0.1:8000"


def test_the_curl_walk_works_as_written_with_two_minutes_between_ask_and_tell(
    server: RunningServer, tmp_path: Path
) -> None:
    before, after = curl_walk()
    assert "# two minutes later" in after
    before = before.replace(ADDRESS, server.url)
    [address] = re.findall(r"^S=\S+$", before, flags=re.MULTILINE)

    asked = run(before, tmp_path)
    server.advance(seconds=120)
    told = run(f"{address}\n{after}", tmp_path)

    assert '"0.5":0.99' in asked
    assert '"counts":{"complete":1}' in told
    assert server.client.trial("walk", 0).value == 0.27
    [line] = (tmp_path / "walk.ndjson").read_text().splitlines()
    assert json.loads(line)["metrics"] == {"loss": 0.27}
    assert told.splitlines()[-1].startswith("0,complete,0.27,")

    edited = run(f"{address}\n{block_with('-X PATCH')}", tmp_path)
    assert '"added":{"keep_prob":1}' in edited
    assert list(server.client.study("walk").space) == ["learning_rate", "beta1", "keep_prob"]


def test_a_study_of_digits_is_created_watched_and_its_best_model_predicts(
    tmp_path: Path,
    server_process: Callable[..., ServerProcess],
    worker_process: Callable[..., WorkerProcess],
) -> None:
    images = load_digits()
    run(block_with("> images.csv").replace(".venv/bin/python", sys.executable), tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    server = server_process()
    worker_process(server.url, "--slots", "2")

    script = block_with("study create examples/digits.yaml").replace(".venv/bin/sturgeon", str(STURGEON))
    printed = run(f"export STURGEON_SERVER={server.url}\n{script}", tmp_path)

    with Client(server.url) as client:
        study = client.study("digits")
    assert study.state == "completed"
    assert study.counts["complete"] + study.counts.get("pruned", 0) == 30
    assert study.best is not None
    assert study.best.value <= 0.04
    assert (tmp_path / "best.npz").exists()
    labels = re.findall(r"\b\d\b", printed)
    agree = sum(label == str(truth) for label, truth in zip(labels[-10:], images.target[:10], strict=True))
    assert agree >= 8


def test_every_setting_of_the_server_is_named_in_the_readme() -> None:
    from server.settings import Settings

    missing = [name for name in Settings.model_fields if f"STURGEON_{name.upper()}" not in README]
    assert missing == []


def test_every_make_target_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z/-]+)(?: [a-z/-]+)*:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    used = set(re.findall(r"make ([a-z/-]+)", README))
    assert {"test", "demo"} <= used <= targets
