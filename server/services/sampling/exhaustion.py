"""The end of a sampler that has one: a grid of which every point was handed out."""

from __future__ import annotations

from server.services.sampling.history import SamplerView, history_now
from server.services.views import space_of
from server.store.engine import Transaction
from server.store.studies import StudyRow
from sturgeon.search.registry import REGISTERED
from sturgeon.search.samplers import NOTHING


def samples_left(study: StudyRow, view: SamplerView) -> int | None:
    """How many samples the study's sampler can still draw; None where there is no end."""
    left = REGISTERED[study.sampler].left
    return None if left is None else left(study.sampler_options, view.space, study.seed, view.history)


def may_be_exhausted(study: StudyRow) -> bool:
    """Whether the study's sampler has an end; to be asked first, since the study's row says it."""
    return study.mode != "panda" and REGISTERED[study.sampler].ends


def is_exhausted(tx: Transaction, study: StudyRow) -> bool:
    """Whether there is nothing more to draw."""
    if not may_be_exhausted(study):
        return False
    whole = samples_left(study, SamplerView(space_of(study), NOTHING))
    if whole is None or study.next_number // study.replicates < whole:
        return False
    return samples_left(study, history_now(tx, study, None)[0]) == 0
