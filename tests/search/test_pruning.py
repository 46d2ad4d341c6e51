from __future__ import annotations

import math

import pytest

from sturgeon.search.budget import Limits, Spent, enough
from sturgeon.search.pruning import (
    GO_ON,
    Curve,
    Earlier,
    Rule,
    Settings,
    Verdict,
    asha,
    below_median,
    forecast,
    judge,
    look,
    predicted_final,
)


def curve(*scores: float | None) -> dict[int, float | None]:
    return dict(enumerate(scores, 1))


def looks(settings: Settings, epochs: int) -> list[int]:
    """The epochs for which the rule looks at a trial that reports each of them."""
    looked = [look(settings, epoch - 1, epoch) for epoch in range(1, epochs + 1)]
    return [epoch for epoch in looked if epoch is not None]


def verdict(
    mine: float, epoch: int, incumbent: float, *, power: float = 0.25, earlier: Earlier | None = None
) -> Verdict:
    """Of the rule `curve` on a trial of 32 epochs."""
    return judge(Settings("curve", 32, power=power), epoch, mine, [], incumbent, lambda: earlier)


def test_the_power_law_stops_what_cannot_reach_the_best_any_more() -> None:
    """At epoch 8 of 32 the forecast is a quarter^0.5 = half of the best error so far."""
    assert verdict(0.21, 8, 0.10, power=0.5).stop
    assert not verdict(0.19, 8, 0.10, power=0.5).stop
    assert not verdict(0.19, 8, 0.10, power=0.75).stop


def test_a_trial_that_falls_fast_is_forecast_to_fall_on_as_fast() -> None:
    """From epoch 2 to 8 by a half: like epoch^-0.5, so to half of its error at epoch 8, and not to 0.71 of it."""
    assert verdict(0.19, 8, 0.10).stop
    assert not verdict(0.19, 8, 0.10, earlier=Earlier(2, 0.38)).stop
    assert verdict(0.21, 8, 0.10, earlier=Earlier(2, 0.42)).stop


def test_the_forecast_stays_within_the_least_and_the_greatest_power() -> None:
    settings = Settings("curve", 16)
    at_least, at_most = 0.4 * (4 / 16) ** 0.25, 0.4 * (4 / 16) ** 0.75
    for earlier in (None, Earlier(1, 0.401), Earlier(1, 0.3), Earlier(4, 0.9), Earlier(0, 0.9), Earlier(1, math.inf)):
        assert forecast(settings, 4, 0.4, earlier) == pytest.approx(at_least), earlier
    for earlier in (Earlier(1, 100.0), Earlier(1, 1e300), Earlier(3.999, 0.9)):
        assert forecast(settings, 4, 0.4, earlier) == pytest.approx(at_most), earlier
    assert forecast(Settings("curve", 16, power=1.5), 4, 0.4, Earlier(1, 0.9)) == pytest.approx(0.4 / 8)
    assert forecast(settings, 4, 0.0, Earlier(1, 0.9)) == 0.0


def test_what_was_earlier_is_asked_only_of_a_trial_that_is_behind() -> None:
    def unasked() -> Earlier | None:
        raise AssertionError

    assert judge(Settings("curve", 32), 8, 0.1, [], 0.1, unasked) == GO_ON


def test_the_power_law_never_stops_who_leads() -> None:
    for epoch in range(1, 33):
        assert verdict(0.1, epoch, 0.1) == GO_ON
        assert verdict(0.0, epoch, 0.0) == GO_ON


def test_the_power_law_looks_every_3_epochs_and_not_at_the_end() -> None:
    assert looks(Settings("curve", 12), 12) == [3, 6, 9]
    assert looks(Settings("curve", 13, grace=7), 13) == [9, 12]


def test_the_power_law_lets_the_first_trial_finish() -> None:
    assert judge(Settings("curve", 30), 9, 0.9, [], math.inf) == GO_ON
    assert judge(Settings("curve", 30), 9, 0.9, [], 0.1).stop


def test_what_had_nothing_finite_is_stopped_and_a_negative_score_never() -> None:
    assert verdict(math.inf, 3, 0.1).stop
    assert verdict(-1.0, 9, -5.0) == GO_ON
    assert verdict(0.5, 9, -5.0) == GO_ON, "a score that passes 0 does not shrink towards it"


def test_epochs_that_differ_by_a_rounding_give_a_forecast_too() -> None:
    at_most = 0.4 * (300 / 400) ** 0.75
    for score in (0.9, math.nextafter(0.4, 1)):
        found = forecast(Settings("curve", 400), 300, 0.4, Earlier(math.nextafter(300, 0), score))
        assert found == pytest.approx(at_most)


def test_the_reason_says_the_numbers() -> None:
    stopped = judge(Settings("curve", 16, power=0.75), 4, 0.4, [], 0.05)
    reason = "at epoch 4 its best is 0.4, its forecast for epoch 16 0.1414; another trial has 0.05 already"
    assert stopped.why == reason


def test_asha_lets_the_best_third_go_on() -> None:
    others = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert not asha(0.15, 3, others).stop
    assert asha(0.25, 3, others).stop
    assert not asha(0.25, 3, others, eta=2).stop


def test_asha_looks_at_its_rungs_only_and_lets_the_first_two_pass() -> None:
    assert looks(Settings("asha", 30), 30) == [3, 9, 27]
    assert looks(Settings("asha", eta=2, grace=5), 50) == [5, 10, 20, 40]
    assert asha(0.9, 3, [0.1]) == GO_ON
    assert asha(0.9, 3, [0.1, 0.2]).stop


def test_the_median_rule_stops_the_worse_half_after_its_warm_up() -> None:
    others = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert below_median(0.31, 5, others).stop
    assert below_median(0.30, 5, others) == GO_ON
    assert below_median(0.9, 5, others[:4]) == GO_ON
    assert looks(Settings("median", 8), 8) == [5, 6, 7]


@pytest.mark.parametrize("rule", ["curve", "asha", "median"])
def test_a_rule_looks_once_for_an_epoch_however_far_apart_the_reports_are(rule: Rule) -> None:
    """Own code may report every 100 steps, or half an epoch, or many reports at once."""
    settings = Settings(rule, 10_000)
    assert look(settings, 0, 100) in (100, 99, 81)
    assert look(settings, 100, 100) is None
    halves = [look(settings, n / 2, (n + 1) / 2) for n in range(40)]
    assert [epoch for epoch in halves if epoch is not None] == looks(settings, 20)


@pytest.mark.parametrize("rule", ["curve", "asha", "median"])
def test_a_diverging_trial_is_stopped_by_each_rule(rule: Rule) -> None:
    settings, others = Settings(rule, 30), [0.1, 0.2, 0.3, 0.4, 0.5]
    assert len(looks(settings, 30)) >= 3
    assert all(judge(settings, epoch, math.inf, others, 0.1).stop for epoch in looks(settings, 30))


def test_no_rule_looks_never() -> None:
    assert looks(Settings("none", 30), 30) == []
    assert judge(Settings("none", 30), 4, 9.0, [0.1] * 9, 0.1) == GO_ON


def test_a_pruned_trial_is_predicted_by_the_median_fall_of_the_complete_ones() -> None:
    complete: list[Curve] = [curve(1.0, 0.8, 0.4), curve(1.0, 0.5, 0.1), curve(1.0, 0.9, 0.6)]
    assert predicted_final(curve(0.9, 0.6), complete) == pytest.approx(0.6 * 0.5)


def test_few_complete_trials_do_not_say_what_a_stopped_one_would_have_scored() -> None:
    """Those few fell fastest: by their ratio, here a tenth, what was stopped would be better than the best."""
    few: list[Curve] = [curve(1.0, 0.5, 0.05)] * 4
    assert predicted_final(curve(0.9, 0.4), few, by_rule=0.2) == 0.2
    assert predicted_final(curve(0.9, 0.4), [*few, *few[:1]], by_rule=0.2) == pytest.approx(0.04)
    assert predicted_final(curve(None, math.inf), few, by_rule=0.2) is None


def test_without_complete_trials_the_last_finite_score_is_predicted() -> None:
    assert predicted_final(curve(0.9, 0.6, None), []) == 0.6
    assert predicted_final(curve(0.9, 0.6), [curve(1.0)]) == 0.6
    assert predicted_final(curve(None, math.inf), [curve(1.0, 0.5)]) is None


def test_a_ratio_of_scores_that_are_not_positive_is_not_taken() -> None:
    assert predicted_final(curve(-0.9), [curve(-1.0, -2.0)]) == -0.9
    assert predicted_final(curve(0.9), [curve(1.0, -2.0), curve(1.0, 0.5)]) == 0.9


@pytest.mark.fault("W4")
def test_a_prediction_beyond_the_largest_float_is_the_last_score() -> None:
    rising: list[Curve] = [curve(1.0, 1e308), curve(1.0, 1.7e308)]
    assert predicted_final(curve(1e3), rising) == 1e3
    assert predicted_final(curve(1.7e308), [curve(1.0, 2.0)]) == 1.7e308


def test_a_budget_says_which_limit_is_reached() -> None:
    limits = Limits(max_epochs=100, max_seconds=60.0, below=0.02)
    assert enough(limits, Spent(99, 59.0, 0.02)) is None
    assert enough(limits, Spent(100, 59.0, None)) == "max_epochs"
    assert enough(limits, Spent(0, 60.0, 0.5)) == "max_seconds"
    assert enough(limits, Spent(100, 60.0, 0.01)) == "stop_when"
    assert enough(Limits(), Spent(10**9, 1e9, 0.0)) is None
