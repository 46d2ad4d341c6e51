"""kill -9 of a server: nothing that it acknowledged is lost, and who asked again had one effect."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from sturgeon.client import Client
from tests.processes import DEADLINE_S, ServerProcess, wait_until
from tests.server.studies import BOWL, FROM_NO_PAGE

ROOT = Path(__file__).parents[2]
BUDGET = 120
STUDY = {
    "name": "bowl",
    "metric": "loss",
    "space": {"x": {"type": "float", "low": 0, "high": 1}},
    "budget": {"max_trials": BUDGET},
}


def test_a_server_that_is_killed_at_work_has_lost_nothing_that_it_acknowledged(
    migrated_url: str, server_process: Callable[..., ServerProcess]
) -> None:
    process = server_process(STURGEON_DATABASE_URL=migrated_url)
    acknowledged: dict[int, float] = {}

    def work() -> None:
        """Ask, report and tell, again and again, through all kills: the client tries each call until it is answered."""
        with Client(process.url, patience_s=DEADLINE_S) as client:
            while leases := client.ask("bowl").leases:
                for lease in leases:
                    loss = lease.params["x"]
                    client.report("bowl", lease.number, lease.fence, [{"step": 1, "metrics": {"loss": loss}}])
                    assert client.tell("bowl", lease.number, lease.fence, {"loss": loss}).state == "complete"
                    acknowledged[lease.number] = loss

    with Client(process.url, patience_s=DEADLINE_S) as client, ThreadPoolExecutor() as threads:
        client.create_study(STUDY)
        workers = [threads.submit(work) for _ in range(3)]
        for share in (0.3, 0.6):
            wait_until(lambda least=share * BUDGET: len(acknowledged) >= least, "enough were told")  # type: ignore[misc]
            before = dict(acknowledged)
            process.restart()
            kept = {trial.number: trial.value for trial in client.all_trials("bowl", state="complete")}
            assert before.items() <= kept.items()
        for worker in workers:
            worker.result(timeout=DEADLINE_S)

        assert sorted(acknowledged) == list(range(BUDGET))
        assert {trial.number: trial.value for trial in client.all_trials("bowl", state="complete")} == acknowledged
        assert {trial.attempt for trial in client.all_trials("bowl")} == {0}
        assert [report.step for report in client.trial_metrics("bowl", 0).items] == [1]


REPORT = {"reports": [{"step": 1, "epoch": 1, "metrics": {"loss": 0.5}}]}
TELL = {"state": "complete", "metrics": {"loss": 0.25}}
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/studies", BOWL),
    ("/v1/studies/bowl/trials:ask", {"worker": "ada", "lease_s": 600}),
    ("/v1/studies/bowl/trials/0:report", REPORT),
    ("/v1/studies/bowl/trials/0:tell", TELL),
]


def changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What is other than it was, by where it was read."""
    return {part: (before[part], after[part]) for part in before if before[part] != after[part]}


@pytest.mark.parametrize("point", ["before commit", "after commit"])
def test_a_request_whose_server_dies_at_its_commit_has_one_effect_and_one_answer(
    migrated_url: str, server_process: Callable[..., ServerProcess], tmp_path: Path, point: str
) -> None:
    """Without its answer nobody knows which of the two it was, so it is sent again, and then once more."""
    failpoint = tmp_path / "failpoint"
    process = server_process(
        program=(sys.executable, "-m", "tests.faults.failpoints"),
        PYTHONPATH=str(ROOT),
        FAILPOINT=str(failpoint),
        STURGEON_DATABASE_URL=migrated_url,
        STURGEON_REAP_EVERY_S="600",
    )
    fresh = httpx.Limits(max_keepalive_connections=0)  # a server drops an idle connection, and that is no kill
    with httpx.Client(
        base_url=process.url, trust_env=False, headers=FROM_NO_PAGE, timeout=DEADLINE_S, limits=fresh
    ) as http:

        def effect() -> dict[str, Any]:
            """All that the database knows of the study, but for the time that its trials have run."""
            parts = ("", "/trials", "/events", "/trials/0/metrics", "/late-results")
            known = {part: http.get(f"/v1/studies/bowl{part}").json() for part in parts}
            known[""].pop("spent", None)
            return known

        fence: dict[str, int] = {}
        for place, (path, request) in enumerate(REQUESTS):
            before, key, body = effect(), {"Idempotency-Key": f"key-{place}"}, request | fence
            failpoint.write_text(point)
            with pytest.raises(httpx.TransportError):
                http.post(path, json=body, headers=key)
            assert process.wait() == -signal.SIGKILL
            process.start()
            left = effect()
            assert (left == before) == (point == "before commit"), path

            again = http.post(path, json=body, headers=key)
            settled = effect()
            once_more = http.post(path, json=body, headers=key)

            assert again.is_success, again.text
            assert (once_more.status_code, once_more.json()) == (again.status_code, again.json())
            assert changed(settled, effect()) == {}, path
            if path.endswith(":ask"):
                fence = {"fence": again.json()["leases"][0]["fence"]}
            if point == "after commit":
                assert changed(left, settled) == {}, "the first had its whole effect, and the second none"

        [trial] = http.get("/v1/studies/bowl/trials").json()["items"]
        assert (trial["state"], trial["value"], trial["attempt"]) == ("complete", 0.25, 0)
        assert [one["step"] for one in http.get("/v1/studies/bowl/trials/0/metrics").json()["items"]] == [1]
