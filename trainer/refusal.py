"""What all errors of the trainer about data, hyperparameters and checkpoints have in common."""

from __future__ import annotations


class Refusal(ValueError):
    """This cannot be trained. here_only: a machine that has other files, or more memory, may be able to."""

    def __init__(self, why: str, *, here_only: bool = False) -> None:
        super().__init__(why)
        self.here_only = here_only
