"""The errors of data that cannot be trained on."""

from __future__ import annotations

from trainer.refusal import Refusal


class DataError(Refusal):
    """Data that cannot be found, or cannot be trained on; the sentence says what is wrong and where."""


class DataMissing(DataError):
    """Data that are not on this machine; they may well be on another."""

    def __init__(self, why: str) -> None:
        super().__init__(why, here_only=True)
