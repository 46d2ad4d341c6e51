"""A kind of task is its name in the messages, and a module of its name."""

from __future__ import annotations

import importlib
from typing import get_args

import pytest

from sturgeon.messages import TaskKind
from worker.child.main import TASKS


@pytest.mark.parametrize("kind", get_args(TaskKind))
def test_each_kind_of_task_that_a_study_can_name_has_a_module_that_runs_it(kind: str) -> None:
    assert callable(importlib.import_module(TASKS[kind]).run)
