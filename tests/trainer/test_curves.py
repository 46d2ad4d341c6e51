from __future__ import annotations

import numpy as np
import pytest

from trainer.analysis.curves import shows_epoch


@pytest.mark.parametrize("epochs", [1, 2, 49, 50, 51, 99, 1000, 12_345])
def test_a_curve_keeps_both_ends_and_is_even_and_small(epochs):
    shown = [epoch for epoch in range(1, epochs + 1) if shows_epoch(epoch, epochs, limit=50)]
    assert shown[0] == 1
    assert shown[-1] == epochs
    assert min(epochs, 40) <= len(shown) <= 50
    assert np.diff(shown[1:]).max(initial=1) <= epochs / 49 + 1
