"""kill -9 of a server: nothing that it acknowledged is lost, and who asked again had one effect."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sturgeon.client import Client
from tests.processes import DEADLINE_S, ServerProcess, wait_until

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
