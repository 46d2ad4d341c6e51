"""The error of data that cannot be trained on."""

from __future__ import annotations

from trainer.refusal import Refusal


class DataError(Refusal):
    """Data that cannot be found, or cannot be trained on; the sentence says what is wrong and where."""
