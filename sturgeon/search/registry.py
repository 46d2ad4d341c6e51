"""The samplers by name.

A sampler is two files: the module of its name in this folder, whose `SAMPLER` builds it; and its name and options in
`sturgeon/messages/searches.py`, where the client knows them without NumPy. The sampler "sobol" is built by `sobol.py`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final, get_args

from sturgeon.errors import FieldProblem
from sturgeon.messages import SamplerName, Search
from sturgeon.search.samplers import Build, RegisteredSampler
from sturgeon.space import Space


def load_sampler(name: str) -> RegisteredSampler:
    """What the module of that name registers."""
    sampler: RegisteredSampler = import_module(f"sturgeon.search.{name}").SAMPLER
    return sampler


REGISTERED: Final[dict[str, RegisteredSampler]] = {name: load_sampler(name) for name in get_args(SamplerName)}

SAMPLERS: Final[dict[str, Build]] = {name: sampler.build for name, sampler in REGISTERED.items()}


def search_problems(search: Search, space: Space) -> list[FieldProblem]:
    """Options that the sampler does not have; if there are none, what the sampler itself finds wrong."""
    own = REGISTERED[search.sampler]
    foreign = [
        FieldProblem(
            f"/search/{name}",
            f"{name}: only the sampler {' or '.join(_owners(name))} has it; leave it out with {search.sampler}",
        )
        for name in dict.fromkeys(name for sampler in REGISTERED.values() for name in sampler.options)
        if getattr(search, name) is not None and name not in own.options
    ]
    return foreign or own.problems(search, space)


def _owners(option: str) -> list[str]:
    return [name for name, sampler in REGISTERED.items() if option in sampler.options]
