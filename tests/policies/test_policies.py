"""The pure rules of pandas: guards, policies, and what a timeline comes to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.policies import divergence, plateau, schedule, timelines
from server.policies.guard import Point, judge
from server.policies.proposal import Panda


def curve(*values: float | None, start: int = 1) -> list[Point]:
    """A report an epoch of 10 steps."""
    return [Point(10 * epoch, float(epoch), {"loss": value}) for epoch, value in enumerate(values, start)]


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.5, 0.4), "watching"),
        ((0.5, 0.4, 0.45, 0.49), "watching"),
        ((0.5, 0.4, 0.45, 0.49, 0.3), "held"),
        ((0.5, 0.4, 0.51), "broken"),
        ((0.5, 0.4, None), "broken"),
        ((0.5, 0.4, 0.4, 0.4, 0.4, 0.9), "held"),
    ],
)
def test_a_guard_watches_until_its_epochs_have_passed(values: tuple[float | None, ...], verdict: str) -> None:
    assert judge(curve(*values), "loss", 0.1, 3, from_step=20, sign=1.0).verdict == verdict


def test_a_guard_of_a_metric_to_maximise_breaks_downwards() -> None:
    rising, falling = curve(0.5, 0.9), curve(0.5, 0.1)

    assert judge(rising, "loss", 0.1, 3, from_step=10, sign=-1.0).verdict == "watching"
    assert judge(falling, "loss", 0.1, 3, from_step=10, sign=-1.0).verdict == "broken"


def test_without_a_value_before_the_change_only_what_is_not_finite_breaks_a_guard() -> None:
    assert judge(curve(9.0), "loss", 0.1, 3, from_step=0, sign=1.0).verdict == "watching"
    assert judge(curve(None), "loss", 0.1, 3, from_step=0, sign=1.0).verdict == "broken"


RULE: dict[str, Any] = {"metric": "loss", "sign": 1.0, "patience_epochs": 3, "least_gain": 0.0, "factor": 0.5}


@pytest.mark.parametrize(
    ("values", "changed_at", "proposes"),
    [
        ((0.5, 0.4, 0.4, 0.4), -1, False),
        ((0.5, 0.4, 0.4, 0.4, 0.4), -1, True),
        ((0.5, 0.4, 0.4, 0.4, 0.39), -1, False),
        ((0.5, 0.4, 0.4, 0.4, 0.4), 30, False),
        ((0.5, 0.4, None, None, None), -1, True),
        ((None, None, None, None), -1, False),
    ],
)
def test_a_plateau_is_no_new_best_since_the_last_change(
    values: tuple[float | None, ...], changed_at: int, proposes: bool
) -> None:
    panda = Panda(curve(*values), {"learning_rate": 0.1}, changed_at=changed_at)

    found = plateau.propose(panda, **RULE, lowest=1e-6)

    assert (found is not None) == proposes
    assert found is None or found.params == {"learning_rate": 0.05}


def test_a_plateau_lowers_the_rate_to_its_lowest_and_no_further() -> None:
    still = curve(*[0.5] * 9)

    lowered = plateau.propose(Panda(still, {"learning_rate": 0.001}), **RULE, lowest=0.0008)
    assert lowered is not None
    assert lowered.params == {"learning_rate": 0.0008}
    assert plateau.propose(Panda(still, {"learning_rate": 0.0008}), **RULE, lowest=0.0008) is None


def test_divergence_goes_back_with_a_lower_rate_and_gives_up() -> None:
    panda = Panda([], {"learning_rate": 0.1})

    first = divergence.propose(panda, "layer 2", 0.5, 2)
    assert first is not None
    assert (first.params, first.back) == ({"learning_rate": 0.05}, True)
    assert "in layer 2" in first.reason
    assert divergence.propose(replace(panda, done=2), None, 0.5, 2) is None


def test_a_schedule_proposes_what_came_due_since_its_last_proposal() -> None:
    plan = [(2.0, {"l2": 0.1}), (3.0, {"l2": 0.2, "beta1": 0.8}), (9.0, {"l2": 0.3})]

    both = schedule.propose(Panda(curve(1, 1, 1), {"l2": 0.0, "beta1": 0.8}), plan)
    assert both is not None
    assert both.params == {"l2": 0.2}
    assert schedule.propose(Panda(curve(1, 1, 1, 1), {"l2": 0.0}, proposed_at=30), plan) is None


@dataclass(frozen=True)
class Version:
    version: int
    verb: str = "params"
    params: dict[str, Any] = field(default_factory=dict)
    base: int | None = None
    restore: int | None = None
    state: str = "pending"
    from_step: int | None = None


class At(NamedTuple):
    step: int
    version: int


@given(
    st.lists(st.tuples(st.sampled_from(["set", "back", "apply"]), st.integers(0, 3), st.integers(0, 30)), max_size=25)
)
def test_a_timeline_comes_to_rising_steps_and_to_the_parameters_of_the_run(acts: list[tuple[str, int, int]]) -> None:
    """Beside a run that makes each change as it hears of it, and keeps a checkpoint of all that it went through."""
    entries: list[Version] = []
    desired: dict[str, Any] = {}
    now: dict[str, Any] = {}
    step, applied = 0, 0
    kept = [(0, 0, dict(now))]  # step, version and parameters of each checkpoint
    for act, which, more in acts:
        if act == "set":
            change = {"abcd"[which]: len(entries)}
            desired |= change
            entries.append(Version(len(entries) + 1, params=change))
        elif act == "back":
            at, base, params = kept[min(more, len(kept) - 1)]
            desired = dict(params)
            entries.append(Version(len(entries) + 1, "rollback", {}, base, at))
        else:
            settled = timelines.settle(entries, len(entries))
            backs = [e for e in entries if e.version in settled.applied and e.verb == "rollback"]
            if backs:
                step = next(at for at, base, _ in reversed(kept) if base == (backs[-1].base or 0))
                kept = [one for one in kept if one[0] <= step and one[1] <= (backs[-1].base or 0)]
            states = dict.fromkeys(settled.applied, "applied") | dict.fromkeys(settled.superseded, "superseded")
            states |= dict.fromkeys(settled.reverted, "reverted")
            entries = [
                replace(
                    e,
                    state=states.get(e.version, e.state),
                    from_step=step if e.version in settled.applied else e.from_step,
                )
                for e in entries
            ]
            applied, now = len(entries), dict(desired)
            step += 1 + more
            kept.append((step, applied, dict(now)))
    schedule_now = timelines.schedule(entries)
    assert [at for at, _ in schedule_now] == sorted(at for at, _ in schedule_now)
    assert timelines.overrides(entries) == now
    for at, version, params in kept:
        assert timelines.overrides(entries, At(at, version)) == params, (at, version)
