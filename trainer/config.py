"""The hyperparameters of one training run, all of them, as one frozen dataclass."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

CHOICES: dict[str, tuple[str, ...]] = {
    "activation": ("relu", "sigmoid"),
    "initializer": ("auto", "he", "xavier"),
    "optimizer": ("gradient_descent", "momentum", "adam"),
}

LIVE = frozenset({"learning_rate", "momentum", "beta1", "beta2", "epsilon", "l2", "keep_prob"})
"""The fields that may change between two steps of a running model. Models of a stack may differ in them."""

OWN_TO_A_MODEL = LIVE | {"initializer"}
"""Models that train together as a stack share every field but these (and their seeds)."""


class ConfigError(ValueError):
    """This network cannot be built from these hyperparameters."""


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One field per hyperparameter; ranges and meanings are those of `sturgeon.training.TrainTask`.

    The seed of a run (initial weights, order of examples, dropout masks) is not a field: it is an argument of
    `training.train`, so that trials with equal fields may differ by seed. `split_seed` is a field, so that
    all trials of a study see the same train, dev and test parts.
    """

    dataset: str
    epochs: int = 20
    hidden_layers: int | None = None
    hidden_units: int | tuple[int, ...] = 64
    activation: str = "relu"
    initializer: str = "auto"
    optimizer: str = "adam"
    learning_rate: float = 0.001
    momentum: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    batch_size: int = 64
    l2: float = 0.0
    keep_prob: float = 1.0
    normalize_inputs: bool = True
    dev_share: float = 0.2
    test_share: float = 0.2
    split_seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.hidden_units, list):
            object.__setattr__(self, "hidden_units", tuple(self.hidden_units))
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name} must be one of {', '.join(choices)}; got {getattr(self, name)!r}.")
        self.widths()

    def widths(self) -> tuple[int, ...]:
        """Units of each hidden layer, n[1] .. n[L-1].

        A single number is repeated `hidden_layers` times (once if that is not given).

        Raises:
            ConfigError: a list whose length is not `hidden_layers`.
        """
        if isinstance(self.hidden_units, int):
            return (self.hidden_units,) * (1 if self.hidden_layers is None else self.hidden_layers)
        if self.hidden_layers not in (None, len(self.hidden_units)):
            listed = f"hidden_units lists {len(self.hidden_units)} layers"
            raise ConfigError(f"{listed}, but hidden_layers is {self.hidden_layers}.")
        return self.hidden_units


def config_from(fields: Mapping[str, object]) -> TrainConfig:
    """A config from names and values as JSON gives them (lists become tuples).

    Raises:
        ConfigError: a name that is no field, `dataset` missing, or fields that do not fit together.
    """
    known = [field.name for field in dataclasses.fields(TrainConfig)]
    for name in fields:
        if name not in known:
            raise ConfigError(f"Unknown trainer option {name!r}. The options are: {', '.join(known)}.")
    if "dataset" not in fields:
        raise ConfigError("A config needs a dataset.")
    return TrainConfig(**fields)  # type: ignore[arg-type]


def shared_fields(config: TrainConfig) -> tuple[object, ...]:
    """What models must have in common to train as one stack: every field that is not a model's own."""
    return tuple(
        getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in OWN_TO_A_MODEL
    )
