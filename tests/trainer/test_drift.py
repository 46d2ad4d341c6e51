"""The state over a stream: alarms where something changed, and silence where nothing did."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from trainer.streams.drift import ALARM, DriftState, NewPortion, Verdict, _labels_p, detect_drift


def watched(seed: int, portions: int = 20, m: int = 60, shift_at: int | None = None, **shift: float) -> list[Verdict]:
    """The verdicts on portions of 8 features, 4 labels and an error of 0.2, one of which changes at `shift_at`."""
    rng = np.random.default_rng(seed)
    state, seen, verdicts = DriftState(), [], []
    for number in range(portions):
        now = shift if shift_at is not None and number >= shift_at else {}
        X = rng.standard_normal((m, 8)).astype(np.float32)
        X[:, 3] += now.get("mean", 0)
        first = 0.25 + now.get("label", 0)
        shares = [first, *[(1 - first) / 3] * 3]
        labels = tuple(np.bincount(rng.choice(4, m, p=shares), minlength=4).astype(float).tolist())
        error = rng.binomial(m, 0.2 + now.get("error", 0)) / m
        reference = np.concatenate(seen[state.since :][-10:]) if seen[state.since :] else np.empty((0, 8))
        state, verdict = detect_drift(state, NewPortion(number, X, labels, error), reference)
        assert DriftState.from_json(state.as_json()) == state
        seen.append(X)
        verdicts.append(verdict)
    return verdicts


@pytest.mark.parametrize(
    ("shift", "test"), [({"mean": 1.5}, "inputs"), ({"label": 0.5}, "labels"), ({"error": 0.4}, "error")]
)
def test_each_test_raises_its_own_alarm_within_two_portions_and_no_other_does(shift, test):
    for seed in range(5):
        verdicts = watched(seed, shift_at=12, **shift)
        alarms = {number: verdict.alarms for number, verdict in enumerate(verdicts) if verdict.alarms}
        assert list(alarms.values()) == [(test,)], (seed, alarms)
        assert min(alarms) in (12, 13)


def test_without_a_change_there_is_less_than_one_false_alarm_in_two_hundred_portions():
    alarms = sum(bool(verdict.alarms) for seed in range(40) for verdict in watched(seed))
    assert alarms < 4


def test_after_an_alarm_the_portion_that_raised_it_is_the_new_norm():
    verdicts = watched(1, portions=30, shift_at=10, mean=3.0)
    assert [number for number, verdict in enumerate(verdicts) if verdict.alarms] == [10]


def test_a_model_that_still_gets_better_raises_no_alarm():
    state = DriftState()
    for number, error in enumerate([0.9, 0.6, 0.4, 0.3, 0.22, 0.2, 0.19, 0.2, 0.18, 0.21]):
        state, verdict = detect_drift(
            state, NewPortion(number, np.zeros((50, 1), np.float32), (), error), np.empty((0, 1))
        )
        assert not verdict.alarms


def test_the_test_of_labels_is_the_textbooks():
    before, now = [120.0, 80.0, 60.0], [20.0, 31.0, 9.0]
    assert _labels_p(before, now) == pytest.approx(chi2_contingency([before, now], correction=False).pvalue)
    assert _labels_p([500, 500, 0], [25, 24, 1]) > ALARM, "one of a label that was not seen before is no alarm"
    assert _labels_p([], [3.0]) == _labels_p([10.0, 0], [10.0, 0]) == 1


def test_new_shares_of_the_classes_are_told_from_new_inputs_within_them():
    rng = np.random.default_rng(0)

    def drawn(m: int, share: float, shift: float) -> NewPortion:
        """Two classes, a feature apart by 3; the second has this share and is shifted."""
        classes = (rng.random(m) < share).astype(np.intp)
        X = rng.standard_normal((m, 4)) + 3 * classes[:, None] + shift
        return NewPortion(9, X, tuple(np.bincount(classes, minlength=2).astype(float)), 0.1, classes)

    for shift, p_is_small in ((0.0, False), (2.0, True)):
        before, now = drawn(1000, 0.1, 0.0), drawn(100, 0.9, shift)
        _, verdict = detect_drift(DriftState(labels=before.labels), now, before.X, before.classes)
        assert {"inputs", "labels"} <= set(verdict.alarms), "the inputs of all classes together changed in any case"
        assert verdict.class_inputs_p is not None
        assert (verdict.class_inputs_p < ALARM) is p_is_small
        assert verdict.metrics()["drift_class_inputs"] == float(p_is_small)
    _, quiet = detect_drift(DriftState(labels=before.labels), drawn(100, 0.1, 0.0), before.X, before.classes)
    assert "drift_class_inputs" not in quiet.metrics()
