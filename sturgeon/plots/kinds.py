"""The names of all pictures, which a command line completes before anything large is imported."""

from __future__ import annotations

from typing import Final

STUDY_KINDS: Final = ("history", "parallel", "slice", "map", "importance", "curves", "durations")
TRIAL_KINDS: Final = ("trial_curves", "knobs", "gradients", "diagnosis", "confusion", "drift")
COURSE_KINDS: Final = ("grid_against_random", "beta_scale", "zoom", "panda_caviar", "two_stage")
KINDS: Final = (*STUDY_KINDS, *TRIAL_KINDS, *COURSE_KINDS)
