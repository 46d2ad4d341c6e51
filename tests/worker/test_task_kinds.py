"""A kind of task is its name in the messages, and a module of its name."""

from __future__ import annotations

import importlib

import pytest

from worker.child.main import KINDS, TASKS


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_task_of_this_worker_has_a_module_that_runs_it(kind: str) -> None:
    assert callable(importlib.import_module(TASKS[kind]).run)
