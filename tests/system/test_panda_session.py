"""The session of docs/panda.md, as it is written there, with a real server and a real worker."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from sturgeon.client import Client
from tests.processes import ServerProcess, WorkerProcess
from tests.system.readme import ROOT, blocks, run

SESSION = (ROOT / "docs" / "panda.md").read_text(encoding="utf-8").partition("## A session with curl")[2]


def test_the_session_with_curl_works_as_written_and_its_replay_is_exact(
    tmp_path: Path,
    server_process: Callable[..., ServerProcess],
    worker_process: Callable[..., WorkerProcess],
) -> None:
    server = server_process()
    worker_process(server.url, "--slots", "2")
    script = "\n".join(blocks(SESSION)).replace("http://127.0.0.1:8000", server.url)
    printed = run(script, tmp_path, STURGEON_SERVER=server.url)

    assert re.search(r"exact: the weights at steps [0-9, ]+ are the same, bit for bit\.$", printed.strip())
    with Client(server.url) as client:
        told = client.timeline("digits", 6).items
        assert [(one.verb, one.state, one.actor) for one in told] == [
            ("params", "applied", "policy:plateau, accepted by local"),
            ("params", "reverted", "local"),
            ("rollback", "applied", "guard"),
            ("pause", "applied", "local"),
        ]
        assert told[2].restore == told[1].checkpoint == told[1].from_step
        best = client.timeline("digits", 12)
        assert [one.number for one in best.lineage][1:2] == [6]
        assert len(best.schedule) == 4, "promoted, at the plateau, as a branch, and promoted again"
        assert client.trial("digits", 6).state == "paused"
