"""A person's change on its way to a run that trains: through the server, in the answer to a report, into the child."""

from __future__ import annotations

from collections.abc import Callable

from tests.processes import WorkerProcess
from tests.running import RunningServer
from tests.worker.paced import paced

STEP_S = 0.1
"""A report an epoch of 23 steps, more than two seconds apart: so that intervals are told apart from the time that a
message takes."""


def test_a_change_is_in_force_within_one_report_interval(
    server: RunningServer, worker_process: Callable[..., WorkerProcess]
) -> None:
    task = {"kind": "train", "dataset": "digits", "epochs": 1000, "checkpoints": None}
    study = {"name": "one", "mode": "panda", "metric": "dev_error", "budget": {"max_trials": 1}, "task": task}
    server.client.create_study(study | {"params": {"learning_rate": 0.0001}})
    worker = worker_process(server.url, "--slots", "1", **paced(STEP_S))

    def steps() -> list[int]:
        return [point.step for point in server.client.trial_metrics("one", 0, page_size=1000).items]

    worker.wait_until(lambda: bool(steps()), "a first report")
    before = steps()
    steered = server.client.set_params("one", 0, {"learning_rate": 0.00005}, "to see when it counts")
    worker.wait_until(lambda: server.client.timeline("one", 0).items[0].state == "applied", "it was applied")

    [entry] = server.client.timeline("one", 0).items
    interval = before[0]
    assert (entry.version, entry.params) == (steered.desired.version, {"learning_rate": 0.00005})
    assert entry.from_step is not None
    # The next report hears of it; it counts from the step after the one at which the answer came.
    assert before[-1] <= entry.from_step <= before[-1] + 2 * interval
    worker.wait_until(lambda: steps()[-1] > entry.from_step, "a report under the change")
    server.client.cancel("one", 0)
