"""Spaces that a module has as objects: dictionaries of Optuna's distributions, or of Ray Tune's domains."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from sturgeon.importers.calls import Call
from sturgeon.importers.drafts import CannotImport
from sturgeon.values import Json


def space_of(name: str, folder: Path) -> Json:
    """The dictionary at `module:attribute`, with distributions as JSON and domains as calls.

    The module is imported, so its code runs; the folder is where modules are looked for first.

    Raises: CannotImport (it cannot be imported, or has no such dictionary).
    """
    module, _, attribute = name.partition(":")
    sys.path.insert(0, str(folder))
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:  # whatever the module of a stranger raises
        raise CannotImport(f"{name} cannot be imported: {type(error).__name__}: {error}") from None
    finally:
        sys.path.remove(str(folder))
    if not isinstance(found, dict):
        raise CannotImport(f"{name} is a {type(found).__name__}; a space is a dictionary from names to distributions.")
    return _plain(found)


def _plain(space: dict[Any, Any]) -> Json:
    return {str(name): _plain(one) if isinstance(one, dict) else _written(one) for name, one in space.items()}


def _written(one: Any) -> Any:
    kind = type(one).__name__
    if kind.endswith("Distribution"):
        return {
            "name": kind,
            "attributes": {k: list(v) if isinstance(v, tuple) else v for k, v in one._asdict().items()},
        }
    if type(one).__module__.startswith("ray."):
        return _domain(kind, one)
    return one


def _domain(kind: str, domain: Any) -> Call:
    """A domain of Ray Tune as the call that makes it. Its sampler says the scale and the steps."""
    source = repr(domain)[:80]
    if kind == "Categorical":
        return Call("choice", (list(domain.categories),), {}, source)
    if kind not in ("Float", "Integer"):
        return Call("sample_from", (), {}, source)
    sampler, q = domain.get_sampler(), None
    if type(sampler).__name__ == "Quantized":
        sampler, q = sampler.sampler, sampler.q
    scale = type(sampler).__name__.lower()
    rest = () if q is None else (q,)
    if "normal" in scale:
        return Call("randn" if q is None else "qrandn", (sampler.mean, sampler.sd, *rest), {}, source)
    log = "log" if "log" in scale else ""
    name = f"{log}randint" if kind == "Integer" else f"{log}uniform"
    upper = domain.upper if q is None or kind == "Float" else domain.upper - 1  # Ray stores it without its end
    return Call(name if q is None else f"q{name}", (domain.lower, upper, *rest), {}, source)
