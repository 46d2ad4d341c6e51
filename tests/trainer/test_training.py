from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trainer.analysis.evaluation import predicted_outputs
from trainer.checkpoint import Checkpoint
from trainer.config import ConfigError, TrainConfig
from trainer.data.batches import batch_size_for
from trainer.data.preparation import prepare
from trainer.model import first_checkpoint
from trainer.optim.optimizers import OPTIMIZERS
from trainer.stack import useful_models
from trainer.training import Command, resume, train

CONFIG = TrainConfig("small", epochs=4, hidden_units=8, batch_size=16, keep_prob=0.8, l2=0.001, learning_rate=0.01)
STEPS_PER_EPOCH = 6


def last_of(run):
    """model -> its final Progress and the Checkpoint taken there."""
    return {p.model: (p, p.checkpoint()) for p in run if p.ended}


def same_state(one: Checkpoint, other: Checkpoint) -> bool:
    arrays = ("theta", "mask_state")
    return (
        all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)
        and one.sums.keys() == other.sums.keys()
        and all(np.array_equal(one.sums[name], other.sums[name]) for name in one.sums)
        and (one.betas, one.products) == (other.betas, other.products)
        and (one.step, one.epoch, one.position, one.config) == (other.step, other.epoch, other.position, other.config)
    )


def without_seconds(metrics):
    return {name: value for name, value in metrics.items() if name != "seconds"}


def test_digits_are_learned_to_three_percent_in_twenty_epochs():
    config = TrainConfig("digits", epochs=20, hidden_units=64, learning_rate=0.004)
    data = prepare(config)
    errors = [last_of(train(config, data, seed))[0][0].metrics["dev_error"] for seed in (1, 2, 3)]
    assert min(errors) <= 0.03, errors


def test_a_run_yields_each_epoch_and_then_its_end_with_the_test_error(small_data):
    seen = list(train(CONFIG, small_data, 0))
    assert [(p.step, p.epoch, p.ended) for p in seen] == [
        (6, 1, None),
        (12, 2, None),
        (18, 3, None),
        (24, 4, None),
        (24, 4, "complete"),
    ]
    reported = {"train_loss", "train_error", "dev_loss", "dev_error", "epoch", "seconds"}
    steps = {"learning_rate", "gradient_norm_1", "gradient_norm_2", "plateau_epochs"}
    assert set(seen[0].metrics) == reported | steps
    assert set(seen[-1].metrics) == reported | {"test_error"}
    assert all(0 <= p.metrics["dev_error"] <= 1 for p in seen)


def test_without_a_dev_part_there_are_no_dev_metrics(small_data):
    parts = small_data.parts | {"dev": small_data.dev.subset(np.arange(0))}
    progress = next(train(CONFIG, replace(small_data, parts=parts), 0))
    assert {name for name in progress.metrics if name.endswith("_error")} == {"train_error"}


def test_the_same_seed_gives_the_same_model_and_another_seed_another(small_data):
    (_, one), (_, same), (_, other) = (last_of(train(CONFIG, small_data, seed))[0] for seed in (7, 7, 8))
    assert same_state(one, same)
    assert not np.array_equal(one.theta, other.theta)


def test_a_stopped_run_ends_after_the_epoch_in_which_it_was_told(small_data):
    run = train(CONFIG, small_data, 0)
    next(run)
    ended = run.send(Command(stop=True))
    assert (ended.ended, ended.step, ended.epoch) == ("stopped", 6, 1)
    assert "test_error" in ended.metrics
    with pytest.raises(StopIteration):
        next(run)


def test_a_command_for_a_field_that_is_not_live_is_refused_with_those_that_are(small_data):
    run = train(CONFIG, small_data, 0)
    next(run)
    with pytest.raises(ConfigError, match=r"hidden_units cannot change .*learning_rate"):
        run.send(Command({"hidden_units": 9}))


def test_a_pulse_lets_the_caller_in_between_two_steps_of_an_epoch(small_data):
    ticks = iter(range(1000))
    run = train(CONFIG, small_data, 0, pulse=2, clock=lambda: next(ticks))
    seen = [(p.step, p.epoch, bool(p.metrics)) for p in run]
    assert seen[:4] == [(2, 0, False), (4, 0, False), (6, 1, True), (8, 1, False)]


def test_a_run_halts_after_the_steps_that_the_caller_names(small_data):
    seen = [(p.step, bool(p.metrics)) for p in train(CONFIG, small_data, 0, halt={2, 6, 11}.__contains__)]
    assert seen[:5] == [(2, False), (6, True), (11, False), (12, True), (18, True)]


def test_a_run_may_be_stopped_in_the_middle_of_an_epoch(small_data):
    ticks = iter(range(1000))
    run = train(CONFIG, small_data, 0, pulse=2, clock=lambda: next(ticks))
    next(run)
    ended = run.send(Command(stop=True))
    assert (ended.ended, ended.step, ended.epoch) == ("stopped", 2, 0)


def test_a_run_that_blows_up_ends_as_diverged_with_the_step_and_the_layer(small_data):
    wild = replace(CONFIG, optimizer="gradient_descent", learning_rate=100.0, l2=50.0, keep_prob=1.0)
    (ended,) = [p for p in train(wild, small_data, 0) if p.ended]
    assert ended.ended == "diverged"
    assert 1 < ended.step < 24
    assert ended.where in ("layer 1, forward", "layer 2, forward", "layer 2, backward", "layer 1, backward")


@pytest.mark.parametrize("clip_norm", [0.0, 1.0])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_sees_a_gradient_that_is_not_finite_at_once(optimizer, clip_norm, small_data):
    config = replace(CONFIG, optimizer=optimizer, clip_norm=clip_norm, keep_prob=1.0)
    fine, spoilt = (first_checkpoint(config, small_data, seed) for seed in (0, 1))
    spoilt.theta[0] = np.nan
    ended = {p.model: (p.ended, p.step, p.where) for p in resume([fine, spoilt], small_data) if p.ended}
    assert ended == {0: ("complete", 24, None), 1: ("diverged", 1, "layer 1, forward")}


EVERYTHING = replace(
    CONFIG,
    epochs=6,
    hidden_units=(8, 7),
    activation=("relu", "tanh"),
    batch_norm=True,
    averaged_weights=True,
    schedule="cosine",
    warmup_epochs=1.5,
    clip_norm=1.0,
)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("base", [CONFIG, EVERYTHING], ids=["plain", "everything"])
def test_models_trained_as_a_stack_equal_models_trained_alone_bit_for_bit(base, optimizer, small_data):
    base = replace(base, optimizer=optimizer)
    configs = [
        replace(base, learning_rate=0.01, keep_prob=0.8),
        replace(base, learning_rate=0.03, l2=0.1, keep_prob=1.0),
        replace(base, learning_rate=0.001, keep_prob=0.5, clip_norm=0.0, schedule="constant", frozen_layers=1),
    ]
    seeds = [3, 4, 5]
    together = last_of(train(configs, small_data, seeds))
    for place, (config, seed) in enumerate(zip(configs, seeds, strict=True)):
        alone, alone_state = last_of(train(config, small_data, seed))[0]
        stacked, stacked_state = together[place]
        assert same_state(alone_state, stacked_state)
        assert without_seconds(alone.metrics) == without_seconds(stacked.metrics)


def test_wide_layers_with_a_gap_after_each_row_train_alike_and_their_gaps_stay_zero(small_data):
    """Rows of 256 weights have a line of zeros behind them, for the sake of the cache."""
    config = replace(CONFIG, hidden_units=(256, 8), optimizer="adamw", averaged_weights=True, clip_norm=1.0)
    one, other = (last_of(train(config, small_data, seed))[0][1] for seed in (7, 8))
    stacked = last_of(train([config] * 2, small_data, [7, 8]))
    assert same_state(stacked[0][1], one)
    assert same_state(stacked[1][1], other)
    layout = one.architecture().layout()
    owned = np.zeros(layout.size, bool)
    for name, view in layout.views(owned).items():
        view[...] = True
        assert view.shape == one.parameters().values[name].shape[1:]
    assert owned.sum() == sum(view.size for view in layout.views(owned).values())
    assert layout.segments[0].stop == 6 * (256 + 16)
    assert not one.theta[~owned].any()
    assert not one.sums["m"][~owned].any()


def test_a_model_that_leaves_a_stack_changes_nothing_for_the_others(small_data):
    wild = replace(CONFIG, learning_rate=1e30)
    short = replace(CONFIG, learning_rate=0.02)
    run = train([CONFIG, wild, short], small_data, [1, 2, 3])
    ends, command = {}, None
    while True:
        try:
            progress = run.send(command)
        except StopIteration:
            break
        command = Command(stop=True) if progress.model == 2 and progress.epoch == 2 else None
        if progress.ended:
            ends[progress.model] = (progress.ended, progress.checkpoint())
    assert [ends[place][0] for place in range(3)] == ["complete", "diverged", "stopped"]
    assert same_state(ends[0][1], last_of(train(CONFIG, small_data, 1))[0][1])


def test_configs_of_different_shape_do_not_stack(small_data):
    with pytest.raises(ConfigError, match="stack"):
        train([CONFIG, replace(CONFIG, hidden_units=9)], small_data, [0, 0])


def test_a_stack_is_as_large_as_the_cache_and_never_more_than_thirty_two(small_data):
    widths = [(2,), (64,), (256, 256), (2048, 2048)]
    sizes = [useful_models(replace(CONFIG, hidden_units=width, batch_size=64), small_data) for width in widths]
    assert sizes[0] == 32
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_resumed_run_equals_the_undisturbed_run_bit_for_bit(optimizer, small_data):
    config = replace(EVERYTHING, optimizer=optimizer)
    steered_at = {9: {"learning_rate": 0.02, "keep_prob": 0.7}, 20: {"beta1": 0.5, "momentum": 0.5, "l2": 0.01}}
    undisturbed, end = last_of(train(config, small_data, 0, changes=[steered_at]))[0]
    chosen = set(np.random.default_rng(1).choice(np.arange(1, end.step), 20, replace=False).tolist())
    ticks = iter(range(1000))
    run = train(config, small_data, 0, changes=[steered_at], pulse=1, clock=lambda: next(ticks))
    for progress in run:
        if progress.step in chosen and not progress.ended:
            again = Checkpoint.from_bytes(progress.checkpoint().to_bytes())
            later = {step: params for step, params in steered_at.items() if step > progress.step}
            resumed, state = last_of(resume([again], small_data, changes=[later]))[0]
            assert same_state(state, end), progress.step
            assert without_seconds(resumed.metrics) == without_seconds(undisturbed.metrics)
            chosen.remove(progress.step)
    assert not chosen


def test_a_command_applies_from_the_step_after_the_progress_it_answers(small_data):
    run = train(CONFIG, small_data, 0)
    progress = next(run)
    assert progress.step == 6
    progress = run.send(Command({"learning_rate": 0.1}))
    steered = progress.checkpoint()
    planned = next(p for p in train(CONFIG, small_data, 0, changes=[{7: {"learning_rate": 0.1}}]) if p.step == 12)
    assert same_state(steered, planned.checkpoint())


def test_more_epochs_can_be_asked_for_while_a_model_trains(small_data):
    run = train(CONFIG, small_data, 0)
    next(run)
    run.send(Command({"epochs": 6}))
    assert [p.epoch for p in run] == [3, 4, 5, 6, 6]


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_epochs_that_are_planned_at_the_end_of_a_run_carry_it_on_as_a_command_did(schedule, small_data):
    config = replace(CONFIG, schedule=schedule)
    run = train(config, small_data, 0)
    *_, before = (next(run) for _ in range(4))
    assert (before.step, before.epoch) == (24, 4)
    run.send(Command({"epochs": 6}))
    asked = last_of(run)[0][1]

    planned = last_of(train(config, small_data, 0, changes=[{25: {"epochs": 6}}]))[0][1]
    resumed = last_of(resume([before.checkpoint()], small_data, changes=[{25: {"epochs": 6}}]))[0][1]

    assert asked.epoch == 6
    assert same_state(asked, planned)
    assert same_state(asked, resumed)


def test_a_planned_change_is_made_once_so_that_a_command_may_overtake_it(small_data):
    wild = replace(CONFIG, learning_rate=1e30)
    run = train([CONFIG, wild], small_data, [0, 1], changes=[{7: {"l2": 0.5}}, {}])
    command = None
    for _ in range(3):  # the second model leaves after an epoch, and the stack is made anew
        progress = run.send(command)
        command = Command({"l2": 0.25}) if (progress.model, progress.step) == (0, 6) else None
    *_, ended = run
    assert ended.checkpoint().config.l2 == 0.25


def test_averaged_weights_are_what_a_run_measures_and_predicts_with(small_data):
    config = replace(CONFIG, averaged_weights=True, average_beta=0.9)
    ended, checkpoint = last_of(train(config, small_data, 0))[0]
    predicted_with = checkpoint.parameters().theta[0]
    assert not np.allclose(predicted_with, checkpoint.theta, atol=1e-4)
    outputs = predicted_outputs(checkpoint, small_data.test.X)
    wrong = np.mean(outputs.argmax(axis=1) != small_data.test.Y.argmax(axis=1))
    assert ended.metrics["test_error"] == pytest.approx(wrong)


def test_frozen_layers_stay_until_they_are_thawed(small_data):
    config = replace(EVERYTHING, frozen_layers=1, optimizer="adamw", l2=0.1)
    start = first_checkpoint(config, small_data, 0)
    run = resume([start], small_data)
    frozen = next(run).checkpoint()
    thawed = run.send(Command({"frozen_layers": 0})).checkpoint()
    views = [c.architecture().layout().views(c.theta) for c in (start, frozen, thawed)]
    for name in ("W1", "gamma1", "beta1"):
        assert np.array_equal(views[0][name], views[1][name])
        assert not np.array_equal(views[1][name], views[2][name])
    assert not np.array_equal(views[0]["W2"], views[1]["W2"])


def test_a_long_stretch_without_progress_shows_as_a_plateau(small_data):
    stuck = replace(CONFIG, epochs=8, learning_rate=1e-9)
    assert [p.metrics["plateau_epochs"] for p in train(stuck, small_data, 0) if not p.ended] == list(range(8))
    learning = replace(CONFIG, epochs=8, learning_rate=0.02, keep_prob=1.0)
    assert max(p.metrics["plateau_epochs"] for p in train(learning, small_data, 0) if not p.ended) <= 1


def test_vanishing_gradients_raise_an_alarm_and_relu_with_he_does_not(small_data):
    deep = replace(CONFIG, hidden_layers=12, activation="sigmoid", keep_prob=1.0, learning_rate=1e-4)
    assert "Gradients vanish: layer 1" in next(train(deep, small_data, 0)).alarms[0]
    assert next(train(replace(deep, activation="relu"), small_data, 0)).alarms == ()


def test_exploding_gradients_raise_an_alarm_and_clipping_holds_the_step_down(small_data):
    wild = replace(CONFIG, hidden_layers=12, initializer="normal", init_scale=3.0, learning_rate=1e-12, keep_prob=1.0)
    wild = replace(wild, optimizer="gradient_descent")
    progress = next(train(wild, small_data, 0))
    assert any("Gradients explode" in alarm for alarm in progress.alarms)
    clipped = next(train(replace(wild, clip_norm=1.0, learning_rate=1.0), small_data, 0))
    moved = clipped.checkpoint().theta - first_checkpoint(wild, small_data, 0).theta
    assert np.linalg.norm(moved) <= 6 * 1.0 + 1e-3


@pytest.mark.parametrize(
    ("batch_size", "m", "examples"),
    [
        ("full", 5000, 5000),
        ("auto", 1999, 1999),
        ("auto", 2000, 64),
        ("auto", 60_000, 128),
        ("auto", 10**6, 512),
        (1, 90, 1),
        (64, 20, 20),
    ],
)
def test_batch_sizes_follow_the_rule_of_the_course(batch_size, m, examples):
    assert batch_size_for(batch_size, m) == examples


@pytest.mark.parametrize("batch_size", ["full", "auto", 1])
def test_batch_and_stochastic_gradient_descent_train(batch_size, small_data):
    *_, last = train(replace(CONFIG, batch_size=batch_size, epochs=30), small_data, 0)
    assert last.step == 30 * (90 if batch_size == 1 else 1)
    assert last.metrics["train_loss"] < 0.9


def test_no_number_of_a_model_with_dead_units_and_large_logits_is_denormal(small_data):
    """Processors are slow with them: such a model once took twice the time of another."""
    wild = replace(CONFIG, epochs=300, learning_rate=0.5, keep_prob=1.0, hidden_units=(16, 16))
    *_, last = train(wild, small_data, 0)
    sums = last.checkpoint().sums
    tiny = np.finfo(np.float32).tiny
    assert np.mean(sums["m"] == 0) > 0.3
    for name in ("m", "v"):
        assert not np.any((sums[name] != 0) & (np.abs(sums[name]) < tiny))


def test_weights_that_l2_takes_away_never_become_denormal_numbers(small_data):
    """Weights of inputs that are always blank have no gradient but that of L2."""
    train_part = replace(small_data.parts["train"], X=small_data.train.X * [1, 1, 1, 1, 1, 0])
    data = replace(small_data, parts={**small_data.parts, "train": train_part})
    config = replace(CONFIG, epochs=400, l2=0.03, learning_rate=0.05, keep_prob=1.0)
    checkpoint = last_of(train(config, data, 0))[0][1]
    blank = checkpoint.architecture().layout().views(checkpoint.theta)["W1"][5]
    assert np.abs(blank).max() < 1e-30
    assert not np.any((checkpoint.theta != 0) & (np.abs(checkpoint.theta) < np.finfo(np.float32).tiny))


def test_a_run_resumed_from_its_very_end_only_tells_its_end_again(small_data):
    ended, checkpoint = last_of(train(CONFIG, small_data, 0))[0]
    (again,) = resume([checkpoint], small_data)
    assert (again.ended, again.step) == ("complete", ended.step)
    assert without_seconds(again.metrics) == without_seconds(ended.metrics)
