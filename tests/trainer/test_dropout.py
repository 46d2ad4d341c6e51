from __future__ import annotations

import numpy as np
import pytest

from trainer.layers.dropout import Dropout
from trainer.optim.averages import Average


def test_dropout_keeps_its_share_and_the_expected_activation():
    A = np.ones((1, 500, 200), np.float32)
    dropout = Dropout(A, [np.random.SFC64(1)])
    dropout.set_keep_probs([0.7])
    dropped = dropout.forward(A)
    assert np.mean(dropped > 0) == pytest.approx(179 / 256, abs=0.005)
    assert dropped.mean() == pytest.approx(1, abs=0.01)


def test_backward_passes_gradients_through_kept_units_only():
    A = np.ones((1, 20, 10), np.float32)
    dropout = Dropout(A, [np.random.SFC64(1)])
    dropout.set_keep_probs([0.5])
    assert np.array_equal(dropout.forward(A), dropout.backward(np.ones_like(A)))


def test_a_keep_prob_of_one_drops_nothing_and_draws_nothing():
    A = np.ones((2, 20, 10), np.float32)
    sources = [np.random.SFC64(1), np.random.SFC64(1)]
    dropout = Dropout(A, sources)
    assert dropout.forward(A) is A
    dropout.set_keep_probs([1.0, 0.5])
    dropped = dropout.forward(A)
    assert dropped[0].min() == 1
    assert dropped[1].min() == 0
    assert sources[0].random_raw() == np.random.SFC64(1).random_raw()


def test_a_corrected_average_of_a_constant_is_the_constant_from_the_first_step_on():
    average = Average(np.zeros((1, 1)))
    for _ in range(5):
        average.advance([0.9])
        average.add(np.full((1, 1), 3.0))
        assert average.total[0, 0] * average.weight(0, corrected=True) == pytest.approx(3)
    assert average.total[0, 0] * average.weight(0, corrected=False) == pytest.approx(3 * (1 - 0.9**5))


def test_a_new_beta_does_not_make_the_average_jump():
    average = Average(np.full((1, 1), 2.0))
    average.restore(0, np.full(1, 2.0), beta=0.9, product=0.5)
    before = average.total[0, 0] * average.weight(0, corrected=False)
    average.advance([0.99])
    assert average.total[0, 0] * average.weight(0, corrected=False) == pytest.approx(before)
