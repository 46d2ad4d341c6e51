"""Which inputs are pictures, and small pictures of examples for people to look at."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from trainer.layers.parameters import Array

ImageShape = tuple[int, int, int]
"""Height, width and channels: 1 (grey) or 3 (red, green and blue)."""

LEAST_SIDE: Final = 8
MOST_SIDE: Final = 32
"""Pixels of a side of a small picture; larger ones are thinned."""

MOST_BYTES: Final = 200_000
"""Of all small pictures of one error analysis: 3,000 of 8 by 8 pixels, 255 of 28 by 28."""


def image_shape(X: Array) -> ImageShape | None:
    """The shape of the pictures in X `[m, ...]`; None if its examples are none.

    `[m, h, w]` and `[m, h, w, c]` with 1 or 3 channels are pictures. So are flat rows of h * h numbers with h of at
    least 8 and no negative number, as files with handwritten digits have them.
    """
    if X.ndim == 3 and min(X.shape[1:]) > 1:
        return X.shape[1], X.shape[2], 1
    if X.ndim == 4 and X.shape[3] in (1, 3):
        return X.shape[1], X.shape[2], X.shape[3]
    side = math.isqrt(X.shape[1]) if X.ndim == 2 else 0
    if side >= LEAST_SIDE and side * side == X.shape[1] and bool((X >= 0).all()):
        return side, side, 1
    return None


def small_pictures(X: Array, rows: Sequence[int], shape: ImageShape, low: float, high: float) -> dict[str, Any]:
    """Pictures of X `[k, n]` as plain JSON, by row: base64 of a byte for each pixel and channel, line by line.

    rows: the name of each example, the most important first; at most MOST_BYTES are kept. low, high: what is drawn
    black (0) and white (255).
    """
    every = max(1, math.ceil(max(shape[:2]) / MOST_SIDE))
    thinned = X.reshape(len(X), *shape)[:, ::every, ::every]
    _, height, width, channels = thinned.shape
    kept = thinned[: MOST_BYTES // (height * width * channels)]
    shares = np.clip((kept - low) / ((high - low) or 1), 0, 1)
    pixels = np.rint(np.nan_to_num(shares) * 255).astype(np.uint8)
    texts = {str(row): base64.b64encode(picture.tobytes()).decode() for row, picture in zip(rows, pixels, strict=False)}
    return {"height": height, "width": width, "channels": channels, "pixels": texts}
