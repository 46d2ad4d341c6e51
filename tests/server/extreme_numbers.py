"""Valid requests with extreme numbers: bodies with every number of the interface, and what may stand in each place.

A body here is whole: it has each field that holds a number. `varied` puts other valid numbers into it, by the schema of
the server's own description.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, Final

from hypothesis import strategies as st

from tests.server.studies import DATASET

Json = dict[str, Any]
Path = tuple[str, ...]

FLOATS: Final = (0.0, -0.0, 5e-324, -5e-324, 2.3e-308, 1e-300, 0.1, -1.0, 1e15, 1e19, 1e300, -1e300, 1.7e308, -1.7e308)
INTS: Final = (0, 1, 2, 3, 100, 2**31 - 1, 2**53 - 1, 2**53)

GUARD: Json = {"metric": "loss", "worse_by": 0.1, "within_epochs": 3}
TRAIN_GUARD: Json = GUARD | {"metric": "dev_error"}
POLICIES: Final[list[Json]] = [
    {"policy": "guard", **TRAIN_GUARD},
    {"policy": "plateau", "patience_epochs": 2, "least_gain": 0.1, "factor": 0.5, "lowest": 0.001, "auto": True},
    {"policy": "divergence", "factor": 0.5, "give_up_after": 2, "auto": True},
    {"policy": "schedule", "at": [{"epoch": 2, "params": {"learning_rate": 0.1}}], "auto": True},
]
DRIFT: Final[Json] = {
    "policy": "drift",
    "auto": True,
    "rate_factor": 0.5,
    "averages_factor": 10.0,
    "passes": 40,
    "clip_inputs": 3.0,
    "l2": 0.03,
    "calm_portions": 5,
    "challengers": [{"l2": 0.1}],
    "after_portions": 3,
    "retest_after": 2,
    "retest_after_s": 60.0,
    "retest_trials": 3,
}
TASK: Final[Json] = {
    "kind": "train",
    "dataset": "digits",
    "epochs": 20,
    "fixed": {"batch_size": 64},
    "checkpoints": {"best": 1, "last": 1, "every_s": 30.0, "every_epochs": 2},
}
SEARCH: Final[Json] = {"sampler": "random", "seed": 7, "replicates": 2}
LIMITS: Final[Json] = {"max_epochs": 1000, "max_seconds": 1000.0, "stop_when": {"below": -1.0}}
SPACE: Final[Json] = {
    "x": {"type": "float", "low": -1, "high": 1},
    "n": {"type": "int", "low": 1, "high": 4, "step": 1},
    "c": {"type": "choice", "values": [0, 1, "a"]},
    "f": {"type": "fixed", "value": 3},
}
KINDS: Final[Json] = {
    "x": {"type": "float", "low": -1, "high": 1, "step": 0.25},
    "n": {"type": "int", "low": 1, "high": 4, "step": 1},
    "c": {"type": "choice", "values": [0, 1, "a"], "weights": [1, 2.0, 1e-3]},
    "normal": {"type": "normal", "mean": 0.0, "sd": 1.0, "low": -2.0, "high": 2.0, "step": 0.5},
    "lognormal": {"type": "lognormal", "mean": 0.0, "sd": 1.0, "low": 0.5, "high": 8.0, "step": 0.5},
    "first": {"type": "float", "low": 0, "high": 1, "when": {"n": {"at_least": 2, "at_most": 3}}},
    "second": {"type": "float", "low": 0, "high": 1, "when": {"n": {"above": 1, "below": 4}}},
}
"""Every kind of parameter that has numbers which SPACE does not have."""
OWN_CODE: Final[Json] = {
    "metric": "loss",
    "space": SPACE,
    "search": SEARCH,
    "pruning": {"rule": "median", "grace": 1},
    "budget": {"max_trials": 12, **LIMITS},
    "policies": [{"policy": "guard", **GUARD}],
}
STUDIES: Final[dict[str, Json]] = {
    "random": OWN_CODE,
    "coarse_to_fine": OWN_CODE
    | {"search": SEARCH | {"sampler": "coarse_to_fine"}, "pruning": {"rule": "asha", "eta": 3, "grace": 1}},
    "sobol": OWN_CODE
    | {
        "search": SEARCH | {"sampler": "sobol", "replicates": 1},
        "pruning": {"rule": "curve", "grace": 1, "power": 0.25, "epochs": 20},
    },
    "grid": OWN_CODE | {"search": SEARCH | {"sampler": "grid", "points": 9}},
    "kinds": OWN_CODE | {"space": KINDS},
}
"""Of one's own code, by sampler."""

TRAIN: Final[Json] = {
    "metric": "dev_error",
    "mode": "panda",
    "params": {"learning_rate": 0.01},
    "space": {"learning_rate": {"type": "float", "low": 0.001, "high": 1}},
    "search": {"seed": 7},
    "budget": {"max_trials": 12, **LIMITS},
    "task": TASK,
    "policies": POLICIES,
}
STREAM: Final[Json] = TRAIN | {
    "task": TASK | {"dataset": "stream:river"},
    "policies": [DRIFT],
    "budget": {"max_trials": 12, "stop_when": {"metric": "train_loss", "above": 1e9}},
}
STUDIES |= {"panda": TRAIN, "stream": STREAM}
NEEDS: Final[Json] = {"gpus": 1, "memory_gb": 8.0, "labels": ["a100"]}
OWN_TASK: Final[Json] = {
    "epochs": 20,
    "limits": {"seconds": 60.0, "memory_gb": 8.0, "grace_s": 10.0, "nice": 5, "log_mb": 1.0},
    "checkpoints": {"best": 1, "last": 1, "every_s": 30.0, "every_epochs": 2},
}
STUDIES |= {
    "command": OWN_CODE | {"needs": NEEDS, "task": OWN_TASK | {"kind": "command", "argv": ["train", "{x}"]}},
    "python": OWN_CODE | {"needs": NEEDS, "task": OWN_TASK | {"kind": "python", "call": "train:run"}},
}
GAP: Final[Json] = {"name": "variance", "between": ["train", "dev"], "size": 0.1, "uncertainty": 0.1, "clear": True}
COLUMN: Final[Json] = {
    "column": "age",
    "kind": "number",
    "inputs": 2,
    "missing": 1,
    "fill": 30.5,
    "categories": [],
    "other": False,
}
BODIES: Final[dict[str, Json]] = {
    "POST /v1/studies": OWN_CODE,
    "PATCH /v1/studies/{study}": {"budget": {"max_trials": 14, **LIMITS}, "added": {"y": 1}, "needs": NEEDS},
    "POST /v1/space:preview": {"space": SPACE, "seed": 0, "examples": 5},
    "POST /v1/studies/{study}/trials": {"params": {"x": 0.5, "n": 2, "c": 0}},
    "POST /v1/studies/{study}/trials:ask": {"count": 2, "lease_s": 60},
    "POST /v1/leases": {
        "worker": "ada",
        "slots": 1,
        "total_slots": 2,
        "wait": 0,
        "stack": 2,
        "gpus": 1,
        "total_gpus": 2,
        "memory_gb": 8.0,
        "total_memory_gb": 64.0,
    },
    "POST /v1/tokens": {"name": "ada", "scopes": ["read"], "lasts_s": 60},
    "POST /v1/leases:renew": {
        "worker": "ada",
        "held": [{"study": "s", "number": 0, "fence": 1, "applied_version": 0, "applied_step": 0}],
    },
    "POST /v1/studies/{study}/trials/{number}:report": {
        "fence": 1,
        "reports": [
            {"step": 1, "epoch": 1.0, "metrics": {"loss": 0.5, "seconds": 1.0, "portion": 1.0, "drift": 1.0}},
            {"step": 2, "epoch": 2.0, "metrics": {"loss": 0.4, "dev_error": 0.4, "fresh_error": 0.1}},
        ],
        "events": [{"kind": "drift", "key": "a", "reason": "b", "portion_number": 1, "tests": ["inputs"]}],
        "applied_version": 0,
        "applied_step": 0,
    },
    "POST /v1/studies/{study}/trials/{number}:tell": {
        "fence": 1,
        "step": 3,
        "metrics": {"loss": 0.3, "dev_error": 0.3, "seconds": 2.0, "epoch": 3.0},
    },
    "POST /v1/studies/{study}/trials:tell": {
        "tells": [{"number": 1, "fence": 1, "step": 3, "metrics": {"loss": 0.3, "seconds": 2.0}}]
    },
    "POST /v1/studies/{study}/trials/{number}:release": {"fence": 1},
    "POST /v1/studies/{study}/trials/{number}:rollback": {"step": 1, "params": {"learning_rate": 0.1}},
    "POST /v1/studies/{study}/trials/{number}:fork": {"step": 1, "branches": [{"params": {"learning_rate": 0.1}}]},
    "POST /v1/studies/{study}/trials/{number}:promote": {"step": 1, "params": {"learning_rate": 0.1}},
    "PATCH /v1/studies/{study}/trials/{number}/params": {"params": {"learning_rate": 0.1}, "guard": TRAIN_GUARD},
    "PUT /v1/studies/{study}/trials/{number}/errors": {
        "part": "dev",
        "examples": 10,
        "wrong": 1,
        "mistakes": [{"row": 1, "label": "a", "predicted": "b", "probability": 0.5, "tags": ["c"]}],
        "categories": [{"tag": "c", "count": 1, "share": 1.0, "ceiling": 0.1, "error_after": 0.0}],
        "pictures": {"height": 1, "width": 1, "channels": 1, "pixels": {"1": "AA=="}},
    },
    "POST /v1/studies/{study}/trials:import": {
        "trials": [
            {
                "key": "optuna:study/1",
                "params": {"x": 0.5, "n": 2, "c": 0},
                "state": "complete",
                "metrics": {"loss": 0.5},
                "step": 2,
                "started_at": "2026-11-27T12:00:00Z",
                "finished_at": "2026-11-27T12:01:00Z",
                "reports": [{"step": 1, "epoch": 1.0, "metrics": {"loss": 0.7}}],
            }
        ]
    },
    "PUT /v1/studies/{study}/trials/{number}/dataset": DATASET | {"encoded": [COLUMN]},
    "PUT /v1/studies/{study}/trials/{number}/versions": {
        "data": {"sha256": 64 * "0", "files": 1, "size": 1000, "partial": False}
    },
    "PUT /v1/studies/{study}/trials/{number}/diagnosis": {
        "errors": {"dev": 0.1},
        "sizes": {"dev": 10},
        "known_error": 0.0,
        "gaps": [GAP],
        "advice": [],
        "warnings": [],
        "alarms": [],
    },
}


class Description:
    """The server's own description of its requests."""

    def __init__(self, openapi: Json) -> None:
        self._schemas: Json = openapi["components"]["schemas"]
        self.paths: Json = openapi["paths"]

    def body(self, operation: str) -> Json:
        method, path = operation.split()
        schema: Json = self.paths[path][method.lower()]["requestBody"]["content"]["application/json"]["schema"]
        return schema

    def numbers(self, schema: Json, value: Any, path: Path = ()) -> Iterator[tuple[Path, Json]]:
        """Each number in `value` that stands where the schema wants one: its place in the schema, and its schema."""
        schema = self.resolved(schema, value)
        where = (schema.get("title", ""),) if "properties" in schema else path
        if isinstance(value, dict):
            for name, one in value.items():
                yield from self.numbers(self.entry(schema, name), one, (*where, name))
        elif isinstance(value, list):
            for one in value:
                yield from self.numbers(schema.get("items", {}), one, where)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield where, schema

    def every_number(self) -> set[Path]:
        """The places of all numbers that the fields of requests may hold."""
        found: set[Path] = set()
        todo = [self.body(f"{m} {p}") for p, ms in self.paths.items() for m, o in ms.items() if _has_json(o)]
        seen: list[Json] = []
        while todo:
            schema = todo.pop()
            if "$ref" in schema:
                schema = self._schemas[schema["$ref"].rpartition("/")[2]]
            if schema in seen:
                continue
            seen.append(schema)
            for name, one in schema.get("properties", {}).items() if "title" in schema else ():
                if any(option.get("type") in ("number", "integer") for option in _options(one)):
                    found.add((schema["title"], name))
            todo += [*schema.get("properties", {}).values(), *_options(schema)[1:]]
            todo += [one for key in ("items", "additionalProperties") if isinstance(one := schema.get(key), dict)]
            todo += schema.get("patternProperties", {}).values()
        return found

    def resolved(self, schema: Json, value: Any) -> Json:
        """The schema itself: the option of a union that this value is of, and what a reference refers to."""
        if "$ref" in schema:
            return self.resolved(self._schemas[schema["$ref"].rpartition("/")[2]], value)
        mapping = schema.get("discriminator", {}).get("mapping")
        if mapping is not None:
            tag = value[schema["discriminator"]["propertyName"]]
            return self.resolved({"$ref": mapping[tag]}, value)
        for option in schema.get("anyOf", schema.get("oneOf", ())):
            own = self.resolved(option, value)
            if own.get("type") == _type(value, own):
                return own
        return schema

    def entry(self, schema: Json, name: str) -> Json:
        if name in schema.get("properties", {}):
            return dict(schema["properties"][name])
        patterns = list(schema.get("patternProperties", {}).values())
        free = schema.get("additionalProperties")
        return dict(patterns[0]) if patterns else dict(free) if isinstance(free, dict) else {}

    def varied(self, schema: Json, value: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> Any:
        """The body with about every fourth of its numbers replaced by another valid one."""
        schema = self.resolved(schema, value)
        if isinstance(value, dict):
            return {name: self.varied(self.entry(schema, name), one, draw) for name, one in value.items()}
        if isinstance(value, list):
            return [self.varied(schema.get("items", {}), one, draw) for one in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return draw(st.sampled_from(extremes(schema))) if draw(st.integers(0, 3)) == 0 else value
        return copy.deepcopy(value)


def one_replaced(description: Description, operation: str, body: Json, but: set[Path]) -> Iterator[Json]:
    """Bodies in each of which one number is another valid one, of the numbers whose places are not among `but`."""
    schema = description.body(operation)
    for wanted, (place, own) in enumerate(description.numbers(schema, body)):
        if place in but:
            continue
        but.add(place)
        for value in _few(extremes(own)):
            yield _replaced(body, itertools.count(), wanted, value)


def _few(numbers: list[int | float]) -> list[int | float]:
    """The two ends, what lies next to the lower, and one of those in between."""
    return sorted({min(numbers), max(numbers), sorted(numbers)[1], sorted(numbers)[len(numbers) // 2]})


def _replaced(body: Any, met: Iterator[int], wanted: int, value: float) -> Any:
    """`body` with its number `wanted`, in the order of `Description.numbers`."""
    if isinstance(body, dict):
        return {name: _replaced(one, met, wanted, value) for name, one in body.items()}
    if isinstance(body, list):
        return [_replaced(one, met, wanted, value) for one in body]
    is_number = isinstance(body, int | float) and not isinstance(body, bool)
    return value if is_number and next(met) == wanted else body


def extremes(schema: Json) -> list[int | float]:
    """The ends of a number's range, what lies next to them, and the most unusual ones in between."""
    if "type" not in schema:  # a parameter may be any plain value
        return [*FLOATS, *INTS]
    if schema.get("type") == "integer":
        least, most = schema.get("minimum", -(2**53)), schema.get("maximum", 2**53)
        return sorted({least, most, *(n for n in INTS if least <= n <= most)})
    least = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf))
    most = schema.get("maximum", schema.get("exclusiveMaximum", math.inf))
    ends = [
        end for end in (least, most, math.nextafter(least, most), math.nextafter(most, least)) if math.isfinite(end)
    ]
    shut = {schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")}
    return [x for x in dict.fromkeys([*map(float, ends), *FLOATS]) if least <= x <= most and x not in shut]


def _has_json(operation: Json) -> bool:
    return "application/json" in operation.get("requestBody", {}).get("content", {})


def _options(schema: Json) -> list[Json]:
    return [schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())]


def _type(value: Any, schema: Json) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", float: "number", type(None): "null"}
    if isinstance(value, int) and not isinstance(value, bool):
        return "number" if schema.get("type") == "number" else "integer"
    return names[type(value)]
