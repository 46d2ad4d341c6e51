"""Comparisons of policies and guards hold for the decimal numbers that people write, whatever floats make of them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.policies.curve import Point, exceeds, reaches
from server.policies.guard import judge
from sturgeon.messages import Guard


@pytest.mark.fault("W9")
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("by", ["0.02", "0.1", "0.0003", "2", "1e-9"])
@pytest.mark.parametrize("mark", ["0.3", "0.4", "0.5", "0.6", "0.7", "0.07", "1.1", "12.3", "1234.56", "0.00012"])
def test_a_guard_is_broken_by_more_than_its_limit_and_not_by_just_that(mark: str, by: str, sign: float) -> None:
    def verdict(value: Decimal) -> str:
        curve = [Point(1, None, {"m": sign * float(mark)}), Point(2, None, {"m": sign * float(value)})]
        return judge(curve, Guard(metric="m", worse_by=float(by), within_epochs=5), 1, sign).verdict

    limit = Decimal(mark) + Decimal(by)

    assert verdict(limit) == "watching"
    assert verdict(limit * (1 + Decimal("1e-12"))) == "broken"


DECIMALS = st.decimals(-10_000, 10_000, allow_nan=False, places=6)


@pytest.mark.fault("W9")
@given(DECIMALS, st.decimals(0, 100, allow_nan=False, places=6))
def test_a_value_just_at_the_limit_reaches_it_and_does_not_exceed_it(mark: Decimal, by: Decimal) -> None:
    value = float(mark + by)

    assert not exceeds(value, float(mark), float(by))
    assert reaches(value, float(mark), float(by))
    assert exceeds(float(mark + by + Decimal("0.000001")), float(mark), float(by))
