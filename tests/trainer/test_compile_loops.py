"""What is compiled at the installation is all that is compiled."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import numba

import trainer
from trainer.compile_loops import main


def _loops() -> dict[str, Any]:
    modules = [importlib.import_module(found.name) for found in pkgutil.walk_packages(trainer.__path__, "trainer.")]
    return {
        f"{module.__name__}.{name}": loop
        for module in modules
        for name, loop in vars(module).items()
        if isinstance(loop, numba.core.dispatcher.Dispatcher)
    }


def test_every_loop_is_compiled_for_both_kinds_of_numbers() -> None:
    loops = _loops()
    main()

    assert loops
    for name, loop in loops.items():
        arguments = [argument for signature in loop.signatures for argument in signature]
        kinds = {str(argument.dtype) for argument in arguments if isinstance(argument, numba.types.Array)}
        assert kinds >= {"float32", "float64"}, name
