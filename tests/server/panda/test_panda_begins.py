"""How a panda begins. At the server's door; the test itself is the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sturgeon import errors
from tests.server.panda.manual_worker import PANDA, ManualWorker

if TYPE_CHECKING:
    from tests.running import RunningServer


def test_a_panda_begins_with_its_given_parameters_as_the_one_trial_of_its_study(worker: ManualWorker) -> None:
    assert (worker.lease.number, worker.lease.params, worker.lease.resume) == (0, PANDA["params"], None)
    assert worker.client.lease("bob", 10, 0).leases == []
    trial = worker.client.trial("bear", 0)
    assert (trial.mode, trial.drawn.sampler) == ("panda", None)
    assert worker.client.study("bear").mode == "panda"


def test_a_panda_without_parameters_begins_with_a_sample(server: RunningServer) -> None:
    space = {"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1, "scale": "log"}}
    study = {name: value for name, value in PANDA.items() if name != "params"} | {"space": space}
    server.client.create_study(study)

    [trial] = server.client.trials("bear").items
    assert 1e-3 <= trial.params["learning_rate"] <= 1e-1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mode": "caviar", "space": {"l2": {"type": "float", "low": 0, "high": 1}}}, 'only a study of mode "panda"'),
        ({"params": {"learning_rate": -1.0}}, "learning_rate must be a number greater than 0"),
        ({"params": {"colour": "red"}}, "colour"),
        ({"policies": [{"policy": "schedule", "at": [{"epoch": 3, "params": {"hidden_units": 9}}]}]}, "cannot change"),
        ({"policies": [{"policy": "plateau", "metric": "charm"}]}, "write one of dev_error"),
        ({"policies": [{"policy": "prayer"}]}, "prayer|policies"),
    ],
)
def test_what_no_panda_can_begin_with_is_refused_with_the_reason(
    server: RunningServer, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(errors.Invalid, match=sentence):
        server.client.create_study(PANDA | changes)


@pytest.mark.parametrize("what", ["rounds", "importance", "replay", "best", "revisions", "events"])
def test_what_is_asked_of_a_search_is_answered_for_a_panda_that_searches_nothing(
    worker: ManualWorker, http: httpx.Client, what: str
) -> None:
    worker.client.tell("bear", 0, 1, {"dev_error": 0.5})

    assert http.get(f"/v1/studies/bear/{what}").status_code == 200
