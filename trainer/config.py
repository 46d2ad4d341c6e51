"""All hyperparameters of one training run, as one frozen dataclass."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from trainer.layers.activations import ACTIVATIONS
from trainer.layers.initializers import INITIALIZERS
from trainer.layers.losses import LOSSES
from trainer.layers.network import Architecture
from trainer.optim.optimizers import OPTIMIZERS
from trainer.optim.schedules import SCHEDULES
from trainer.refusal import Refusal

CHOICES: dict[str, tuple[str, ...]] = {
    "delimiter": ("auto", ",", ";", "tab", "|"),
    "decimal": ("auto", ".", ","),
    "encoding": (
        *("auto", "utf-8", "utf-16", "latin-1", "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "mac_roman"),
        *("shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"),
    ),
    "loss": ("auto", *LOSSES),
    "activation": tuple(ACTIVATIONS),
    "initializer": ("auto", *INITIALIZERS),
    "optimizer": tuple(OPTIMIZERS),
    "schedule": tuple(SCHEDULES),
}
"""The names of all that is registered, by field. `sturgeon.training` lists the same names; a test compares the two."""

LIVE = frozenset(
    {
        "epochs",
        "learning_rate",
        "schedule",
        "decay",
        "decay_epochs",
        "warmup_epochs",
        "momentum",
        "beta1",
        "beta2",
        "epsilon",
        "clip_norm",
        "l2",
        "weight_decay",
        "keep_prob",
        "running_beta",
        "average_beta",
        "frozen_layers",
        "window",
        "replay_share",
        "portion_epochs",
        "forget_before",
        "match_labels",
        "clip_inputs",
    }
)
"""The fields that may change between two steps of a running model."""

OWN_TO_A_MODEL = LIVE | {"initializer", "init_scale"}
"""The fields in which models may differ that train together as a stack, beside their seeds."""


class ConfigError(Refusal):
    """This network cannot be built from these hyperparameters."""


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One field per hyperparameter; ranges and meanings are those of `sturgeon.training.TrainTask`.

    The seed of a run (initial weights, order of examples, dropout masks) is an argument of `training.train` and no
    field: trials with equal fields may differ in it. `split_seed` is a field: all trials of a study see the same train,
    dev and test parts.

    Raises: ConfigError (a choice that is not in CHOICES, or lists that do not have a value for each hidden layer).
    """

    dataset: str
    target: str | tuple[str, ...] | None = None
    drop: str | tuple[str, ...] | None = None
    categories: str | tuple[str, ...] | None = None
    delimiter: str = "auto"
    decimal: str = "auto"
    encoding: str = "auto"
    header: bool | str = "auto"
    loss: str = "auto"
    epochs: int = 20
    hidden_layers: int | None = None
    hidden_units: int | tuple[int, ...] = 64
    activation: str | tuple[str, ...] = "relu"
    batch_norm: bool = False
    running_beta: float = 0.9
    initializer: str = "auto"
    init_scale: float = 0.01
    optimizer: str = "adam"
    learning_rate: float = 0.001
    schedule: str = "constant"
    decay: float = 0.1
    decay_epochs: float = 10
    warmup_epochs: float = 0
    momentum: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float = 0
    batch_size: int | str = 64
    l2: float = 0
    weight_decay: float = 0.01
    keep_prob: float | tuple[float, ...] = 1
    averaged_weights: bool = False
    average_beta: float = 0.99
    normalize_inputs: bool = True
    dev_share: float | str = "auto"
    test_share: float | str = "auto"
    train_dev_share: float = 0
    split_seed: int = 0
    label_noise: float = 0
    start_from: str | None = None
    new_head: bool = False
    frozen_layers: int = 0
    known_error: float | None = None
    window: int = 1
    replay_share: float = 0.5
    portion_epochs: int = 1
    forget_before: int = 0
    match_labels: bool = False
    clip_inputs: float = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if isinstance(value := getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(value))
        for name, choices in CHOICES.items():
            for value in _each(getattr(self, name)):
                if value not in choices:
                    raise ConfigError(f"{name} must be one of {', '.join(choices)}; got {value!r}.")
        self.widths(), self.activations(), self.keep_probs()

    def widths(self) -> tuple[int, ...]:
        """Units of each hidden layer, n[1] .. n[L-1]; a single number is repeated `hidden_layers` times.

        Raises: ConfigError (a list whose length is not `hidden_layers`).
        """
        if isinstance(self.hidden_units, int):
            return (self.hidden_units,) * (1 if self.hidden_layers is None else self.hidden_layers)
        if self.hidden_layers not in (None, len(self.hidden_units)):
            listed = f"hidden_units lists {len(self.hidden_units)} layers"
            raise ConfigError(f"{listed}, but hidden_layers is {self.hidden_layers}.")
        return self.hidden_units

    def activations(self) -> tuple[str, ...]:
        """The activation g of each hidden layer."""
        return self._for_each_layer("activation")

    def keep_probs(self) -> tuple[float, ...]:
        """keep_prob of each hidden layer."""
        return self._for_each_layer("keep_prob")

    def architecture(self, inputs: int, outputs: int, loss: str) -> Architecture:
        """The network that the config asks for, with n[0] inputs and n[L] outputs; loss: its name in LOSSES."""
        return Architecture((inputs, *self.widths(), outputs), self.activations(), loss, self.batch_norm)

    def _for_each_layer(self, name: str) -> tuple[Any, ...]:
        values, layers = getattr(self, name), len(self.widths())
        if not isinstance(values, tuple):
            return (values,) * layers
        if len(values) != layers:
            raise ConfigError(f"{name} lists {len(values)} values for {layers} hidden layers.")
        return values


def _each(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)


def config_from(fields: Mapping[str, object]) -> TrainConfig:
    """A config from names and values as JSON has them (lists become tuples).

    Raises: ConfigError (a name that is no field, `dataset` missing, or fields that do not fit together).
    """
    known = [field.name for field in dataclasses.fields(TrainConfig)]
    for name in fields:
        if name not in known:
            raise ConfigError(f"Unknown trainer option {name!r}. The options are: {', '.join(known)}.")
    if "dataset" not in fields:
        raise ConfigError("A config needs a dataset.")
    return TrainConfig(**fields)  # type: ignore[arg-type]


def steered(config: TrainConfig, params: Mapping[str, object]) -> TrainConfig:
    """The config with these live fields changed.

    Raises: ConfigError (a field that is unknown or not live, or that does not fit the others).
    """
    for name in params:
        if name not in LIVE:
            raise ConfigError(f"{name} cannot change while a model trains; {', '.join(sorted(LIVE))} can.")
    return dataclasses.replace(config, **params)  # type: ignore[arg-type]


def shared_fields(config: TrainConfig) -> tuple[object, ...]:
    """The values of the fields that models must have in common to train as one stack."""
    return tuple(
        getattr(config, field.name) for field in dataclasses.fields(config) if field.name not in OWN_TO_A_MODEL
    )
