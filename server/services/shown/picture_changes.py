"""What has changed of a picture since a reader got it: rows that were appended, where those before are as they were."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from pydantic_core import to_json

from server.store.json_columns import Json
from sturgeon.plots.specs import Spec

_KNOWN: Final = re.compile(r"(?P<name>[a-z_]{1,40}):(?P<many>[0-9]{1,9}):(?P<mark>[0-9a-f]{16})")
LOOKS_LIKE: Final = r"^[a-z0-9.:_]{0,2000}$"
_NOT_SHAPE: Final = ("datasets", "title")


def changes_of(spec: Spec, since: str) -> Json:
    """`spec` without its datasets, or null where it is as it was; of each dataset the rows from `start` on, and a
    cursor for the next time. since: that of the last time; a text that says nothing is as good as none.

    A picture is drawn from what there is now, so nothing need be kept of any reader: the cursor has the count and the
    hash of what it got.
    """
    shape = {name: part for name, part in spec.items() if name not in _NOT_SHAPE}
    form = _mark(shape)
    before, *parts = since.split(".")
    known = {found["name"]: found for part in parts if (found := _KNOWN.fullmatch(part))} if before == form else {}
    datasets, cursor = {}, [form]
    for name, rows in spec["datasets"].items():
        start = 0
        if (
            (had := known.get(name))
            and int(had["many"]) <= len(rows)
            and _mark(rows[: int(had["many"])]) == had["mark"]
        ):
            start = int(had["many"])
        datasets[name] = {"start": start, "rows": rows[start:]}
        cursor.append(f"{name}:{len(rows)}:{_mark(rows)}")
    return {"cursor": ".".join(cursor), "spec": None if before == form else shape, "datasets": datasets}


def _mark(value: Json | Sequence[Json]) -> str:
    return blake2b(to_json(value, inf_nan_mode="constants"), digest_size=8).hexdigest()
