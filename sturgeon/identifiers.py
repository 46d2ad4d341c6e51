"""Integers that must not be taken for each other: mypy refuses one where another is wanted. All of them are ints."""

from __future__ import annotations

from typing import Final, NewType

StudyId = NewType("StudyId", int)
"""The key of a study's row."""
TrialId = NewType("TrialId", int)
"""The key of a trial's row. People see the trial's number."""
TrialNumber = NewType("TrialNumber", int)
"""Which trial of its study: 0, 1, 2 .."""
Fence = NewType("Fence", int)
"""Which hand-out of a trial: it rises by one at each."""
Version = NewType("Version", int)
"""Which desired state of a trial: it rises by one at each change; 0 before any."""
Step = NewType("Step", int)
"""Optimiser steps done, or what own code counts instead."""

NO_VERSION: Final = Version(0)
"""Nobody has desired anything yet."""
