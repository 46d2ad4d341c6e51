"""Round numbers for axes that we draw ourselves, with their labels."""

from __future__ import annotations

import math

from sturgeon.messages.rows import TableParameter
from sturgeon.plots.axes import SHARES, powers
from sturgeon.plots.specs import number_text


def ticks_with_labels(parameter: TableParameter) -> list[tuple[float, str]]:
    """Values of a number's axis, and what is written there."""
    low, high = parameter.low, parameter.high
    if low is None or high is None or not low < high:
        return []
    match parameter.scale:
        case "log":
            values = powers(low, high) or [low, high]
        case "one_minus_log":
            values = [1 - place for place in powers(1 - high, 1 - low)] if high < 1 else [low, high]
        case "logit":
            values = [share for share in SHARES if low <= share <= high] or [low, high]
        case _:
            values = round_numbers(low, high, whole=parameter.kind == "int")
    return [(value, _label(value)) for value in values]


def _label(value: float) -> str:
    """As short as it can be: 0.999, 1e-4, 1,000."""
    if value != 0 and (abs(value) < 0.001 or abs(value) >= 1e7):
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return number_text(float(f"{value:.6g}"), 6)


def round_numbers(low: float, high: float, *, whole: bool = False, about: int = 5) -> list[float]:
    """About so many multiples of 1, 2 or 5 times a power of ten in [low, high]."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    step = max(step, 1.0) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{step * at:.12g}") for at in range(first, min(last, first + 50) + 1)]
