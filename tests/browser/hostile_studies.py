"""Studies in which every text that a person or a program may choose is a hostile one."""

from __future__ import annotations

from typing import Any, Final

from sturgeon.client import Client
from tests.browser.hostile import LONG, NAMES, TEXTS

STUDY: Final = "hostile"
PANDA: Final = "hostile-panda"
UNABLE: Final = "hostile-unable"
WORKER: Final = "x@y+z:1"
OFFER: Final[dict[str, Any]] = {"kinds": ["train"], "labels": ["hostile"]}
METRIC: Final = NAMES[1]
SHORT: Final = [text[:100] for text in TEXTS]
CHOICES: Final = {"type": "choice", "values": list(TEXTS)}


def hostile_search(client: Client) -> str:
    """A study of own code: trial 0 is complete with all findings, 1 failed, 2 is invalid, 3 runs, 4 cannot be run."""
    client.create_study(
        {
            "name": STUDY,
            "title": LONG[:1000],
            "notes": LONG,
            "metric": METRIC,
            "space": {name: {"type": "float", "low": 0.0, "high": 1.0} for name in NAMES} | {"<i>choice</i>": CHOICES},
            "search": {"sampler": "random", "seed": 1},
            "budget": {"max_trials": 40},
        }
    )
    complete, failed, invalid, running, unable = client.ask(STUDY, 5, worker=WORKER).leases
    curve = [{"step": n, "epoch": n, "metrics": dict.fromkeys(NAMES, 1 / n)} for n in range(1, 6)]
    for lease in (complete, failed, invalid, running):
        client.report(STUDY, lease.number, lease.fence, curve)
    for kind, finding in findings().items():
        client.put_finding(STUDY, complete.number, kind, complete.fence, finding)  # type: ignore[arg-type]
    client.put_trial_log(STUDY, complete.number, complete.fence, "\n".join(TEXTS))
    client.tell(STUDY, complete.number, complete.fence, {METRIC: 0.1}, where=LONG[:200])
    client.patch_trial(STUDY, complete.number, {"notes": LONG})
    client.tag_errors(STUDY, complete.number, {"3": SHORT[:20]})
    client.tell(STUDY, failed.number, failed.fence, state="failed", error=LONG, retry=False)
    client.tell(STUDY, invalid.number, invalid.fence, {METRIC: 0.2})
    client.invalidate(STUDY, invalid.number, LONG[:1000])
    client.release(STUDY, unable.number, unable.fence, unable=LONG[:2000])
    return STUDY


def hostile_panda(client: Client) -> str:
    """A panda that was steered for hostile reasons and is paused, and a study that its worker cannot run."""
    task = {"kind": "train", "dataset": "digits", "epochs": 100}
    panda = {"mode": "panda", "metric": "dev_error", "params": {"learning_rate": 0.01}, "budget": {"max_trials": 9}}
    for name in (PANDA, UNABLE):
        client.create_study(panda | {"name": name, "task": task, "needs": {"labels": ["hostile"]}})
    [lease] = client.lease(WORKER, offer=OFFER | {"only": [PANDA]}).leases
    reports = [{"step": 10 * n, "epoch": n, "metrics": {"dev_error": 1 / n}} for n in range(1, 6)]
    client.report(PANDA, 0, lease.fence, reports)
    client.set_params(PANDA, 0, {"learning_rate": 0.02}, reason=LONG[:1000])
    client.pause(PANDA, 0, reason=LONG[:1000])
    return PANDA


def say_why_unable(client: Client) -> None:
    """The worker gives a trial back. A minute later it counts as gone, and what it said is not shown any more."""
    [lease] = client.lease(WORKER, total_slots=2, offer=OFFER | {"only": [UNABLE]}).leases
    client.release(UNABLE, lease.number, lease.fence, unable=LONG[:2000])


def findings() -> dict[str, dict[str, Any]]:
    """Kind -> a finding in the form that the built-in trainer gives, with hostile names of classes and columns."""
    names = list(TEXTS)
    mistake = {"label": names[0], "predicted": names[1], "probability": 0.9, "tags": [names[2]]}
    category = {"tag": names[2], "count": 1, "share": 0.5, "ceiling": 0.1, "error_after": 0.1}
    gap = {"name": names[3], "between": names[4:6], "size": 0.1, "uncertainty": 0.01, "clear": True}
    return {
        "diagnosis": {
            "errors": {"train": 0.1, names[6]: 0.2},
            "sizes": {"train": 100, names[6]: 50},
            "gaps": [gap],
            "widest": names[3],
            "advice": names[7:10],
            "warnings": names[10:13],
            "alarms": names[13:16],
        },
        "errors": {
            "part": names[16],
            "examples": 10,
            "wrong": 2,
            "mistakes": [mistake | {"row": 3}, mistake | {"row": 7, "label": names[17]}],
            "categories": [category],
        },
        "dataset": {
            "dataset": "csv:" + names[0],
            "kind": "classes",
            "rows": 100,
            "columns": 2,
            "inputs": 2,
            "parts": {"train": 80, names[1]: 20},
            "targets": SHORT,
            "target_count": len(SHORT),
            "examples": [1] * len(SHORT),
            "missing": 0,
            "dropped": SHORT[:5],
            "constant": SHORT[5:9],
            "constant_count": 4,
            "encoded": [
                {
                    "column": names[2],
                    "kind": "category",
                    "inputs": 3,
                    "missing": 1,
                    "fill": names[3],
                    "categories": SHORT[:3],
                    "other": False,
                }
            ],
            "notes": names[:6],
        },
    }
