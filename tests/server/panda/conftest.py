"""Pandas in the states that the fixtures are named by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.server.panda.hand import GUARD, Hand

if TYPE_CHECKING:
    from tests.running import RunningServer


@pytest.fixture
def hand(server: RunningServer) -> Hand:
    """A panda in its first epoch."""
    return Hand(server)


@pytest.fixture
def trained(hand: Hand) -> Hand:
    """A panda at step 55: checkpoints at 20 and 40, l2 changed at 30 and the learning rate at 50."""
    for epoch, error in ((1, 0.5), (2, 0.4)):
        hand.report(epoch, error)
    hand.upload(20, 0.4)
    hand.client.set_params("bear", 0, {"l2": 0.1})
    hand.apply(1, 30)
    for epoch, error in ((3, 0.3), (4, 0.2)):
        hand.report(epoch, error)
    hand.upload(40, 0.2)
    hand.client.set_params("bear", 0, {"learning_rate": 0.5})
    hand.apply(2, 50)
    for epoch, error in ((5, 0.25), (6, 0.6)):
        hand.report(epoch, error)
    return hand


@pytest.fixture
def guarded(hand: Hand) -> Hand:
    """A panda whose guarded change counts from step 20 on, where dev_error was 0.4."""
    hand.report(2, 0.4)
    hand.client.set_params("bear", 0, {"learning_rate": 1.0}, guard=GUARD)
    hand.upload(20, 0.4, version=0, wanted=1)
    hand.apply(1, 20)
    return hand
