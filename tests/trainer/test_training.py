from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trainer.checkpoint import Checkpoint
from trainer.config import ConfigError, TrainConfig
from trainer.preparation import prepare
from trainer.training import Wish, resume, train

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
    parts = small_data.parts | {"dev": small_data.dev.only(np.arange(0))}
    progress = next(train(CONFIG, replace(small_data, parts=parts), 0))
    assert {name for name in progress.metrics if name.endswith("_error")} == {"train_error"}


def test_the_same_seed_gives_the_same_model_and_another_seed_another(small_data):
    (_, one), (_, same), (_, other) = (last_of(train(CONFIG, small_data, seed))[0] for seed in (7, 7, 8))
    assert same_state(one, same)
    assert not np.array_equal(one.theta, other.theta)


def test_a_stopped_run_ends_after_the_epoch_in_which_it_was_told(small_data):
    run = train(CONFIG, small_data, 0)
    next(run)
    ended = run.send(Wish(stop=True))
    assert (ended.ended, ended.step, ended.epoch) == ("stopped", 6, 1)
    assert "test_error" in ended.metrics
    with pytest.raises(StopIteration):
        next(run)


def test_a_wish_for_a_field_that_is_not_live_is_refused_with_those_that_are(small_data):
    run = train(CONFIG, small_data, 0)
    next(run)
    with pytest.raises(ConfigError, match=r"hidden_units cannot change .*learning_rate"):
        run.send(Wish({"hidden_units": 9}))


def test_a_pulse_lets_the_caller_in_between_two_steps_of_an_epoch(small_data):
    ticks = iter(range(1000))
    run = train(CONFIG, small_data, 0, pulse=2, clock=lambda: next(ticks))
    seen = [(p.step, p.epoch, bool(p.metrics)) for p in run]
    assert seen[:4] == [(2, 0, False), (4, 0, False), (6, 1, True), (8, 1, False)]


def test_a_run_may_be_stopped_in_the_middle_of_an_epoch(small_data):
    ticks = iter(range(1000))
    run = train(CONFIG, small_data, 0, pulse=2, clock=lambda: next(ticks))
    next(run)
    ended = run.send(Wish(stop=True))
    assert (ended.ended, ended.step, ended.epoch) == ("stopped", 2, 0)


def test_a_run_that_blows_up_ends_as_diverged_with_the_step_and_the_layer(small_data):
    wild = replace(CONFIG, optimizer="gradient_descent", learning_rate=100.0, l2=50.0, keep_prob=1.0)
    (ended,) = [p for p in train(wild, small_data, 0) if p.ended]
    assert ended.ended == "diverged"
    assert 1 < ended.step < 24
    assert ended.where in ("layer 1, forward", "layer 2, forward", "layer 2, backward", "layer 1, backward")


@pytest.mark.parametrize("optimizer", ["gradient_descent", "momentum", "adam"])
def test_models_trained_as_a_stack_equal_models_trained_alone_bit_for_bit(optimizer, small_data):
    configs = [
        replace(CONFIG, optimizer=optimizer, learning_rate=rate, keep_prob=keep, l2=l2)
        for rate, keep, l2 in ((0.01, 0.8, 0.0), (0.03, 1.0, 0.1), (0.001, 0.5, 0.0))
    ]
    seeds = [3, 4, 5]
    together = last_of(train(configs, small_data, seeds))
    for place, (config, seed) in enumerate(zip(configs, seeds, strict=True)):
        alone, alone_state = last_of(train(config, small_data, seed))[0]
        stacked, stacked_state = together[place]
        assert same_state(alone_state, stacked_state)
        assert without_seconds(alone.metrics) == without_seconds(stacked.metrics)


def test_a_model_that_leaves_a_stack_changes_nothing_for_the_others(small_data):
    wild = replace(CONFIG, learning_rate=1e30)
    short = replace(CONFIG, learning_rate=0.02)
    run = train([CONFIG, wild, short], small_data, [1, 2, 3])
    ends, wish = {}, None
    while True:
        try:
            progress = run.send(wish)
        except StopIteration:
            break
        wish = Wish(stop=True) if progress.model == 2 and progress.epoch == 2 else None
        if progress.ended:
            ends[progress.model] = (progress.ended, progress.checkpoint())
    assert [ends[place][0] for place in range(3)] == ["complete", "diverged", "stopped"]
    assert same_state(ends[0][1], last_of(train(CONFIG, small_data, 1))[0][1])


def test_configs_of_different_shape_do_not_stack(small_data):
    with pytest.raises(ConfigError, match="stack"):
        train([CONFIG, replace(CONFIG, hidden_units=9)], small_data, [0, 0])


@pytest.mark.parametrize("optimizer", ["gradient_descent", "momentum", "adam"])
def test_a_resumed_run_equals_the_undisturbed_run_bit_for_bit(optimizer, small_data):
    config = replace(CONFIG, optimizer=optimizer)
    _, undisturbed = last_of(train(config, small_data, 0))[0]
    ticks = iter(range(1000))
    run = train(config, small_data, 0, pulse=1, clock=lambda: next(ticks))
    for progress in run:
        if progress.ended or progress.step == 24:
            break
        again = Checkpoint.from_bytes(progress.checkpoint().to_bytes())
        _, resumed = last_of(resume([again], small_data))[0]
        assert same_state(resumed, undisturbed), progress.step
    assert progress.step == 24
