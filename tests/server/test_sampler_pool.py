"""What a process keeps of the studies that it draws for is bounded, and in use it stays."""

from __future__ import annotations

import gc
import weakref
from dataclasses import fields, replace
from typing import Any

from server.services.sampling.sampler_pool import MOST_CACHED, SamplerPool
from server.store.studies import StudyRow

STUDY = StudyRow(**dict.fromkeys((field.name for field in fields(StudyRow)), None))  # type: ignore[arg-type]


def studies(count: int) -> list[StudyRow]:
    return [replace(STUDY, id=number, created_at=number, seed=7) for number in range(count)]


def test_of_many_studies_few_locks_are_kept() -> None:
    pool = SamplerPool()

    locks: list[weakref.ref[Any]] = [weakref.ref(pool.lock_of(study)) for study in studies(3 * MOST_CACHED)]
    gc.collect()

    assert sum(lock() is not None for lock in locks) == MOST_CACHED


def test_a_lock_that_is_held_stays_the_lock_of_its_study() -> None:
    pool = SamplerPool()
    first, *others = studies(3 * MOST_CACHED)

    with pool.lock_of(first):
        lock = pool.lock_of(first)
        for study in others:
            pool.lock_of(study)
        assert pool.lock_of(first) is lock
        assert lock.locked()
