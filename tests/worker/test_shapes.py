"""What the server takes for one shape is what the trainer can stack."""

from __future__ import annotations

import dataclasses

from sturgeon.training import field_names, flagged, shape_of
from trainer.config import OWN_TO_A_MODEL, TrainConfig, shared_fields


def test_the_server_and_the_trainer_agree_on_what_models_of_a_stack_share() -> None:
    shared = {name for name in field_names() if shape_of({name: 1}) != shape_of({name: 2})}

    assert shared == {field.name for field in dataclasses.fields(TrainConfig)} - OWN_TO_A_MODEL


def test_trials_of_one_shape_have_the_same_shared_fields() -> None:
    own = [*flagged("live"), *flagged("drawn")]
    one, other = {"batch_size": 64, "l2": 0.1}, {"l2": 0.2, "batch_size": 64, "initializer": "he"}

    assert {"learning_rate", "initializer", "init_scale"} <= set(own)
    assert shape_of(one) == shape_of(other) != shape_of({"batch_size": 32})
    configs = [TrainConfig("digits", **fields) for fields in (one, other)]  # type: ignore[arg-type]
    assert shared_fields(configs[0]) == shared_fields(configs[1])
