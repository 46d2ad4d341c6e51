"""Bodies that have every text of the interface, each another word; and texts that are hard to keep."""

from __future__ import annotations

from typing import Any, Final

from tests.server.extreme_numbers import BODIES, DRIFT, POLICIES, STREAM, TRAIN

Json = dict[str, Any]

HARD: Final = {
    "unicode": "naïve – ☃ 漢字 🦔",
    "combining": "e\u0301\u0323, and not \u1eb9\u0301",
    "right to left": "\u202egnp.exe\u202c \u05e9\u05dc\u05d5\u05dd",
    "without width": "\ufeffa\u200bb\u2060",
    "a NUL": "a\0b",
    "half a pair": "a\ud800",
    "the other half": "\udfff, and more",
    "a pair the wrong way round": "\ude00\ud83d",
    "no characters": "\uffff\ufffe\U0010ffff",
    "controls": "\x1b[31mred\x07\x7f\x85",
    "ends of lines": "a\r\nb\u2028c\n",
    "spaces at its ends": "  a \t",
    "10 kB": "x" * 10_240,
    "10 kB of emoji": "🦔" * 2_560,
    "a way out": "../../etc/passwd",
    "an encoded way out": "%2e%2e/%2e%2e%2fetc/passwd",
    "a way out of Windows": "..\\..\\windows\\win.ini",
    "SQL": "'; DROP TABLE studies; --",
    "wildcards": "%_\\",
    "a template": "{{7*7}}${7*7}<%= 7*7 %>",
    "a script": "<script>alert(1)</script>",
    "an attribute": "\" onmouseover=\"alert(1)' x='",
    "a formula": "=cmd|' /C calc'!A0",
    "a format": "%s%n{0.__class__}{}",
    "the end of JSON": '"}],{"a":"',
    "nothing": "",
    "a word": "word",
    "null": "null",
    "a number": "1e999",
}

WHEN: Final = {"c": ["chosen"]}
OWN: Final[Json] = {
    "name": "a-name",
    "title": "a title",
    "notes": "some notes",
    "tags": ["a-tag"],
    "metric": "a_metric",
    "direction": "minimize",
    "space": {
        "c": {"type": "choice", "values": ["chosen", "other", {"entry": "of an object"}]},
        "above": {"type": "choice", "values": [1, 2], "when": WHEN},
        "x": {"type": "float", "low": -1, "high": 1, "when": WHEN},
        "n": {"type": "int", "low": 1, "high": 4, "when": WHEN},
        "normal": {"type": "normal", "mean": 0.0, "sd": 1.0, "when": WHEN},
        "lognormal": {"type": "lognormal", "mean": 0.0, "sd": 1.0, "when": WHEN},
        "f": {"type": "fixed", "value": {"fixed entry": "a fixed value"}, "when": WHEN},
    },
    "constraints": ["x >= -0.5"],
    "search": {"sampler": "random", "seed": 7},
    "budget": {"max_trials": 10_000},
    "policies": [{"policy": "guard", "metric": "a_metric", "worse_by": 0.1, "within_epochs": 3}],
    "code_version": {"commit": "0" * 40, "dirty": True, "diff": "1" * 16},
    "needs": {"labels": ["a-label"]},
}
METRICS: Final = {"lines": {"a_metric": "loss is ([0-9.]+)"}, "file": "out/metrics.ndjson"}
PROGRAM: Final[Json] = {
    "cwd": "some/folder",
    "data": ["some/data"],
    "env": {"A_VARIABLE": "a value"},
    "metrics": METRICS,
}
PLAIN: Final[Json] = {name: OWN[name] for name in ("name", "metric", "search", "budget")} | {
    "space": {"x": {"type": "float", "low": -1, "high": 1}}
}
STUDIES: Final[list[Json]] = [
    OWN,
    PLAIN | {"task": PROGRAM | {"kind": "command", "argv": ["train", "--fast"]}},
    PLAIN | {"task": PROGRAM | {"kind": "python", "call": "train:run"}},
    TRAIN
    | {
        "name": "a-name",
        "task": TRAIN["task"] | {"fixed": {"batch_size": 64, "activation": "relu"}},
        "params": {"learning_rate": 0.01, "optimizer": "adam"},
        "policies": [
            POLICIES[1] | {"metric": "dev_error"},
            POLICIES[3] | {"at": [{"epoch": 2, "params": {"schedule": "exponential"}}]},
        ],
    },
    STREAM | {"name": "a-name", "policies": [DRIFT | {"challengers": [{"schedule": "cosine"}]}]},
]
TRIAL: Final = "/v1/studies/{study}/trials/{number}"
REASON: Final = {"reason": "a reason"}
MOMENT: Final = "2026-11-27T12:00:00Z"
PREVIEWED: Final = {"space": OWN["space"], "constraints": OWN["constraints"]}
ERRORS: Final = f"PUT {TRIAL}/errors"

WHOLE: Final[dict[str, list[Json]]] = {
    "POST /v1/studies": STUDIES,
    "PATCH /v1/studies/{study}": [
        {name: OWN[name] for name in ("title", "notes", "tags", "needs")},
        PREVIEWED | {"added": {"c": "chosen", "f": {"added entry": "an added value"}}},
    ],
    "POST /v1/studies/{study}/trials": [{"params": {"x": 0.5, "c": "chosen"}}],
    "POST /v1/studies/{study}/trials:import": [
        {
            "trials": [
                {
                    "key": "elsewhere:1",
                    "params": {"x": 0.5, "c": "chosen"},
                    "state": "failed",
                    "metrics": {"imported": 0.5},
                    "error": "an imported error",
                    "started_at": MOMENT,
                    "finished_at": MOMENT,
                    "reports": [{"step": 1, "metrics": {"imported before": 0.7}}],
                }
            ]
        }
    ],
    "POST /v1/studies/{study}/trials:ask": [{"worker": "a-worker", "lease_s": 60}],
    "POST /v1/studies/{study}/trials:tell": [
        {
            "tells": [
                {
                    "number": 0,
                    "fence": 1,
                    "state": "failed",
                    "where": "a place",
                    "error": "an error",
                    "metrics": {"m": 1},
                }
            ]
        }
    ],
    f"PATCH {TRIAL}": [{"notes": "some notes", "tags": ["a-tag"]}],
    f"POST {TRIAL}:report": [
        {
            "fence": 1,
            "reports": [{"step": 1, "metrics": {"reported": 0.5}}],
            "events": [
                {"kind": "drift", "key": "a key", "reason": "a reason", "portion": "a portion", "sha256": "0" * 64}
            ],
        }
    ],
    f"POST {TRIAL}:tell": [
        {"fence": 1, "state": "failed", "where": "a place", "error": "an error", "metrics": {"told": 1}}
    ],
    f"POST {TRIAL}:release": [{"fence": 1, "unable": "no such file"}],
    f"POST {TRIAL}:invalidate": [REASON],
    f"PATCH {TRIAL}/params": [
        {
            "params": {"learning_rate": 0.1, "schedule": "cosine"},
            "guard": {"metric": "dev_error", "worse_by": 0.1, "within_epochs": 3},
        }
        | REASON
    ],
    **{f"POST {TRIAL}:{verb}": [REASON] for verb in ("pause", "resume", "stop", "checkpoint")},
    f"POST {TRIAL}:rollback": [{"step": 1, "params": {"schedule": "cosine"}} | REASON],
    f"POST {TRIAL}:fork": [{"step": 1, "branches": [{"params": {"schedule": "cosine"}}]} | REASON],
    f"POST {TRIAL}:promote": [{"step": 1, "params": {"schedule": "cosine"}} | REASON],
    f"POST {TRIAL}/proposals/{{proposal}}:accept": [REASON],
    "POST /v1/leases": [
        {"worker": "a-worker", "labels": ["a-label"], "only": ["a-study"]},
        {"worker": "b", "skip": ["s"]},
    ],
    "POST /v1/leases:renew": [{"worker": "a-worker", "held": [{"study": "a-study", "number": 0, "fence": 1}]}],
    f"PUT {TRIAL}/diagnosis": [
        BODIES[f"PUT {TRIAL}/diagnosis"]
        | {"widest": "variance", "advice": ["some advice"], "warnings": ["a warning"], "alarms": ["an alarm"]},
        {"of any form": [{"entry": "a text"}]},
    ],
    ERRORS: [
        BODIES[ERRORS],
        {"of any form": [{"entry": "a text"}]},
    ],
    f"PUT {TRIAL}/dataset": [
        BODIES[f"PUT {TRIAL}/dataset"]
        | {
            "constant": ["column 2"],
            "notes": ["a note"],
            "written": {"delimiter": ";", "decimal": ",", "encoding": "utf-8"},
            "encoded": [
                {"column": "town", "kind": "category", "inputs": 2, "missing": 0, "fill": "most", "categories": ["cat"]}
                | {"other": True}
            ],
        }
    ],
    f"PUT {TRIAL}/versions": [BODIES[f"PUT {TRIAL}/versions"] | {"code": OWN["code_version"]}],
    f"PUT {TRIAL}/errors/tags": [{"tags": {"1": ["a tag"]}}],
    "POST /v1/space:preview": [PREVIEWED],
    "POST /v1/webhooks": [{"url": "http://hooks.example/a", "study": "a-study"}],
    "POST /v1/tokens": [{"name": "a-token", "scopes": ["read"], "studies": ["a-prefix"]}],
}
