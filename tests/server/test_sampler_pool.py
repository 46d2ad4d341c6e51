"""What a process keeps of the studies that it draws for is bounded, and in use it stays."""

from __future__ import annotations

import gc
import weakref
from dataclasses import fields, replace
from typing import Any

import pytest

from server.services.sampling.history import HandedOut, Snapshot
from server.services.sampling.sampler_pool import MOST_CACHED, SamplerPool
from server.services.sampling.tally import Tally
from server.store.studies import StudyRow
from sturgeon.search.evidence import no_evidence

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


@pytest.mark.parametrize("newer", [(6, 3), (5, 4)], ids=["more-results", "more-trials"])
def test_an_older_read_does_not_replace_a_newer_one(newer: tuple[int, int]) -> None:
    [study] = studies(1)
    cache = SamplerPool().cache_of(study)

    for seq, below in (newer, (5, 3)):
        cache.keep_snapshot(Snapshot(seq, [], no_evidence(1), [], HandedOut(below)))
        cache.keep_tally(Tally(seq, below))

    assert cache.snapshot is not None
    assert cache.tally is not None
    assert (cache.snapshot.at, cache.tally.at) == (newer, newer)
