"""The pure rules of pandas: guards, policies, and what a timeline comes to."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.policies import divergence, plateau, schedule, timelines
from server.policies.curve import Point
from server.policies.guard import judge
from server.policies.registry import RULES, load_rule, policy_names, propose
from server.policies.rule import PolicyRule
from server.policies.view import NEWEST, Decision, ParamsChange, PolicyView
from sturgeon.messages import DivergencePolicy, Guard, PlateauPolicy, Request, SchedulePolicy


def curve(*values: float | None, start: int = 1) -> list[Point]:
    """A report an epoch of 10 steps."""
    return [Point(10 * epoch, float(epoch), {"loss": value}) for epoch, value in enumerate(values, start)]


GUARD = Guard(metric="loss", worse_by=0.1, within_epochs=3)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.5, 0.4), "watching"),
        ((0.5, 0.4, 0.45, 0.49), "watching"),
        ((0.5, 0.4, 0.45, 0.49, 0.3), "passed"),
        ((0.5, 0.4, 0.51), "broken"),
        ((0.5, 0.4, None), "broken"),
        ((0.5, 0.4, 0.4, 0.4, 0.4, 0.9), "passed"),
    ],
)
def test_a_guard_watches_until_its_epochs_have_passed(values: tuple[float | None, ...], verdict: str) -> None:
    assert judge(curve(*values), GUARD, from_step=20, sign=1.0).verdict == verdict


def test_a_guard_of_a_metric_to_maximise_breaks_downwards() -> None:
    rising, falling = curve(0.5, 0.9), curve(0.5, 0.1)

    assert judge(rising, GUARD, from_step=10, sign=-1.0).verdict == "watching"
    assert judge(falling, GUARD, from_step=10, sign=-1.0).verdict == "broken"


def test_without_a_value_before_the_change_only_what_is_not_finite_breaks_a_guard() -> None:
    assert judge(curve(9.0), GUARD, from_step=0, sign=1.0).verdict == "watching"
    assert judge(curve(None), GUARD, from_step=0, sign=1.0).verdict == "broken"


decimals = st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 6))
"""A value and a margin in units of 10^-k, as a person writes them, and k."""


@given(decimals, st.sampled_from([1.0, -1.0]))
@example((30, 2, 2), 1.0)
@example((50, 2, 2), 1.0)
@example((60, 2, 2), -1.0)
def test_a_guard_holds_at_exactly_its_margin_and_breaks_beyond(written: tuple[int, int, int], sign: float) -> None:
    """0.3 -> 0.32 is worse by 0.02, and by no more, though the difference of the floats is."""
    mark, margin, k = written
    guard = Guard(metric="loss", worse_by=margin / 10**k, within_epochs=3)

    def verdict(value: int) -> str:
        values = (sign * mark / 10**k, sign * value / 10**k)
        return judge(curve(*values), guard, from_step=10, sign=sign).verdict

    assert (verdict(mark + margin), verdict(mark + margin + 1)) == ("watching", "broken")


@given(st.integers(1, 10**4), st.integers(1, 10**4), st.integers(0, 3))
@example(1, 3, 1)
def test_a_guard_looks_at_the_report_at_the_very_end_of_its_epochs(start: int, within: int, k: int) -> None:
    """0.4 is within 0.3 epochs of 0.1, though the difference of the floats is not."""
    guard = Guard(metric="loss", worse_by=0.1, within_epochs=within / 10**k)
    points = [Point(1, start / 10**k, {"loss": 0.5}), Point(2, (start + within) / 10**k, {"loss": 9.0})]

    assert judge(points, guard, from_step=1, sign=1.0).verdict == "broken"
    better = [points[0], points[1]._replace(metrics={"loss": 0.4})]
    assert judge(better, guard, from_step=1, sign=1.0).verdict == "passed"


@given(decimals)
@example((70, 10, 2))
def test_a_gain_of_exactly_the_least_is_no_new_best(written: tuple[int, int, int]) -> None:
    best, gain, k = written
    policy = PLATEAU.model_copy(update={"least_gain": gain / 10**k})

    def lowers(last: int) -> bool:
        values = ((best + 2 * gain) / 10**k + 1, *[(best + gain) / 10**k] * 3, last / 10**k)
        return plateau.propose(policy, PolicyView(curve(*values), {"learning_rate": 0.1})) is not None

    assert lowers(best)
    assert not lowers(best - 1)


PLATEAU = PlateauPolicy(policy="plateau", metric="loss", patience_epochs=3, factor=0.5)


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
    changes = [] if changed_at < 0 else [ParamsChange(1, changed_at)]

    decision = plateau.propose(PLATEAU, PolicyView(curve(*values), {"learning_rate": 0.1}, changes=changes))

    assert (decision is not None) == proposes
    assert decision is None or decision.params == {"learning_rate": 0.05}


def test_a_plateau_lowers_the_rate_to_its_lowest_and_no_further() -> None:
    still = curve(*[0.5] * 9)

    policy = PLATEAU.model_copy(update={"lowest": 0.0008})

    lowered = plateau.propose(policy, PolicyView(still, {"learning_rate": 0.001}))
    assert lowered is not None
    assert lowered.params == {"learning_rate": 0.0008}
    assert plateau.propose(policy, PolicyView(still, {"learning_rate": 0.0008})) is None


def test_divergence_goes_back_with_a_lower_rate_and_gives_up() -> None:
    policy = DivergencePolicy(policy="divergence", factor=0.5, give_up_after=2)
    view = PolicyView([], {"learning_rate": 0.1}, diverged_in="layer 2")

    first = divergence.propose(policy, view)
    assert first is not None
    assert (first.params, first.back_to) == ({"learning_rate": 0.05}, NEWEST)
    assert "in layer 2" in first.reason
    assert divergence.propose(policy, replace(view, accepted=2)) is None


def test_a_schedule_proposes_what_came_due_since_its_last_proposal() -> None:
    plan = [(2.0, {"l2": 0.1}), (3.0, {"l2": 0.2, "beta1": 0.8}), (9.0, {"l2": 0.3})]
    at = [{"epoch": epoch, "params": params} for epoch, params in plan]
    policy = SchedulePolicy.model_validate({"policy": "schedule", "at": at})

    both = schedule.propose(policy, PolicyView(curve(1, 1, 1), {"l2": 0.0, "beta1": 0.8}))
    assert both is not None
    assert both.params == {"l2": 0.2}
    assert schedule.propose(policy, PolicyView(curve(1, 1, 1, 1), {"l2": 0.0}, proposed_at=30)) is None


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
    """Beside a run that makes each change as it hears of it, and writes a checkpoint after each."""
    entries: list[Version] = []
    desired: dict[str, Any] = {}
    now: dict[str, Any] = {}
    step, applied = 0, 0
    checkpoints = [(0, 0, dict(now))]  # step, version and parameters of each checkpoint
    for act, which, more in acts:
        if act == "set":
            change = {"abcd"[which]: len(entries)}
            desired |= change
            entries.append(Version(len(entries) + 1, params=change))
        elif act == "back":
            at, base, params = checkpoints[min(more, len(checkpoints) - 1)]
            desired = dict(params)
            entries.append(Version(len(entries) + 1, "rollback", {}, base, at))
        else:
            settled = timelines.settle(entries, len(entries))
            backs = [e for e in entries if e.version in settled.applied and e.verb == "rollback"]
            if backs:
                step = next(at for at, base, _ in reversed(checkpoints) if base == (backs[-1].base or 0))
                checkpoints = [c for c in checkpoints if c[0] <= step and c[1] <= (backs[-1].base or 0)]
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
            checkpoints.append((step, applied, dict(now)))
    schedule_now = timelines.schedule(entries)
    assert [at for at, _ in schedule_now] == sorted(at for at, _ in schedule_now)
    assert timelines.overrides(entries) == now
    for at, version, params in checkpoints:
        assert timelines.overrides(entries, At(at, version)) == params, (at, version)


def test_each_policy_that_a_message_can_have_has_its_rule_and_stands_in_the_guide() -> None:
    assert policy_names() == ["plateau", "divergence", "schedule", "guard", "drift"]
    assert list(RULES) == policy_names()
    guide = (Path(__file__).parents[2] / "docs" / "panda.md").read_text()
    assert all(f'{{"policy": "{name}"' in guide for name in RULES)
    assert [name for name, rule in RULES.items() if rule.at == "divergence"] == ["divergence"]


def test_a_new_policy_is_its_message_and_a_module_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else has to know of it: its rule is found by the name in its message."""

    class Halve(Request):
        policy: Literal["halve"] = "halve"

    def decide(policy: Halve, view: PolicyView) -> Decision:
        return Decision(f"{policy.policy}.", {"learning_rate": view.params["learning_rate"] / 2})

    module = ModuleType("server.policies.halve")
    module.RULE = PolicyRule(decide)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(RULES, "halve", load_rule("halve"))
    policy: Any = Halve()

    decision = propose(policy, PolicyView([], {"learning_rate": 0.1}))

    assert decision == Decision("halve.", {"learning_rate": 0.05})
    assert RULES["halve"].problems(policy, None, "loss") == []
