"""What a worker has, who holds what of it, and which studies it leaves out for now."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from sturgeon import messages as m
from worker.resources import Resources, chosen_gpus, gpus_here, memory_gb_here
from worker.setbacks import Setbacks


def lease(number: int = 0, fence: int = 1, **needs: Any) -> m.Lease:
    return m.Lease(
        study="own",
        number=number,
        fence=fence,
        attempt=0,
        seed=0,
        params={},
        task={},
        needs=m.Needs(**needs),
        lease_s=30,
        desired=m.Desired(),
        mode="caviar",
    )


def test_each_trial_has_gpus_of_its_own_until_it_ends() -> None:
    resources = Resources(["train"], ("0", "1", "GPU-8f"), 64, ["a100"])
    one, two = lease(0, gpus=1), lease(1, gpus=2)

    assert [resources.take(one), resources.take(two)] == [("0",), ("1", "GPU-8f")]
    assert resources.offer()["gpus"] == 0
    resources.give_back(one)
    assert resources.take(lease(2, gpus=1)) == ("0",)
    assert (resources.offer()["gpus"], resources.offer()["total_gpus"]) == (0, 3)


def test_memory_that_trials_hold_is_not_offered() -> None:
    resources = Resources(["train"], (), 64, [])

    assert resources.take(lease(0, memory_gb=48)) is None
    assert resources.offer() == {
        "kinds": ["train"],
        "gpus": 0,
        "total_gpus": 0,
        "memory_gb": 16,
        "total_memory_gb": 64,
        "labels": [],
        "skip": [],
    }
    assert resources.any_held
    resources.give_back(lease(0))
    assert resources.offer()["memory_gb"] == 64
    assert not resources.any_held


def test_a_trial_without_needs_holds_nothing_and_leaves_the_devices_alone() -> None:
    resources = Resources(["train"], ("0",), 64, [])

    assert resources.take(lease()) is None
    assert not resources.any_held


@pytest.mark.parametrize(
    ("visible", "gpus"),
    [("0,2", ("0", "2")), ("", ()), ("-1", ()), ("NoDevFiles", ()), ("GPU-1a, 3", ("GPU-1a", "3")), ("1,-1,2", ("1",))],
)
def test_the_gpus_are_those_that_cuda_sees(visible: str, gpus: tuple[str, ...]) -> None:
    assert gpus_here({"CUDA_VISIBLE_DEVICES": visible}) == gpus


def test_without_the_variable_the_devices_are_counted(tmp_path: Path) -> None:
    for name in ("nvidia10", "nvidia2", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()

    assert gpus_here({}, tmp_path) == ("2", "10")


@pytest.mark.parametrize(
    ("count", "gpus"), [(None, ("2", "5")), (0, ()), (1, ("2",)), (2, ("2", "5")), (4, ("2", "5", "0", "1"))]
)
def test_an_owner_may_offer_fewer_gpus_or_name_more(count: int | None, gpus: tuple[str, ...]) -> None:
    assert chosen_gpus(count, ("2", "5")) == gpus


def test_the_memory_is_that_of_this_machine() -> None:
    assert 0.1 < memory_gb_here() < 100_000


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_study_is_left_out_for_longer_and_longer() -> None:
    clock = Clock()
    setbacks, delays = Setbacks(clock), []
    for _ in range(9):
        delays.append(setbacks.note("own"))
        assert setbacks.skipped() == ["own"]
        assert setbacks.seconds_left() == delays[-1]
        clock.now += delays[-1]
        assert setbacks.skipped() == []

    assert delays == [5, 15, 60, 120, 240, 480, 600, 600, 600]
    assert setbacks.seconds_left() == math.inf


def test_trials_that_were_under_way_count_once() -> None:
    clock = Clock()
    setbacks = Setbacks(clock)
    for _ in range(8):
        setbacks.note("own")
    clock.now += 5

    assert setbacks.note("own") == 15


def test_failures_that_lie_apart_are_first_ones_again() -> None:
    clock = Clock()
    setbacks = Setbacks(clock)
    setbacks.note("own")
    clock.now += 61

    assert setbacks.note("own") == 5


def test_after_a_trial_that_ran_the_count_begins_again() -> None:
    clock = Clock()
    setbacks = Setbacks(clock)
    for _ in range(4):
        clock.now += setbacks.note("own")
    setbacks.clear("own")

    assert setbacks.note("own") == 5
