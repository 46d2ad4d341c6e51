"""docs/observing.md, the dashboard and the alerts name metrics that a server has, with the labels that they have."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest
import yaml
from prometheus_client import Counter, Histogram
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import CapturingLogger

from server.services.isolation import isolated
from server.services.leases import expiry
from sturgeon.errors import LeaseLost
from sturgeon.messages import Lease
from sturgeon.states import TRIAL_STATES
from sturgeon.threads import note_failure

if TYPE_CHECKING:
    from tests.running import RunningServer

ROOT = Path(__file__).parents[2]
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
PANELS = [
    panel
    for panel in json.loads((ROOT / "deploy/grafana/sturgeon.json").read_text(encoding="utf-8"))["panels"]
    if panel["type"] != "row"
]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [target["expr"] for panel in PANELS for target in panel["targets"]]
WORDS = {"by", "on", "unless", "or", "and", "without", "ignoring"}
"""Of PromQL, beside functions."""
OF_PROMETHEUS = {"up": set[str]()}
EVERYWHERE = {"job", "instance"}
"""Labels that Prometheus gives to all that it scrapes."""


class Exposed(NamedTuple):
    kind: str
    labels: frozenset[str]


@pytest.fixture
def exposed(server: RunningServer, http: httpx.Client, taken_trial: Lease) -> dict[str, Exposed]:
    """Each metric of a server that was used, by the name under which it is asked for."""
    with pytest.raises(LeaseLost):
        server.client.tell("bowl", 0, taken_trial.fence, {"loss": 1.0})
    server.client.enqueue("bowl", {"x": 0.25, "n": 2})
    server.client.lease("ada", slots=2)
    with isolated("duties"):
        server.expire_leases()
    note_failure("duties", LookupError("no luck"), CapturingLogger())
    labels: dict[str, set[str]] = {}
    for counted in vars(server.app.state.counters).values():
        if isinstance(counted, Counter | Histogram):
            labels[counted._name] = set(counted._labelnames)
    found = {}
    for family in text_string_to_metric_families(http.get("/metrics").text):
        told = labels.get(family.name, {label for sample in family.samples for label in sample.labels} - {"le"})
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if not family.name.endswith("_created"):
            found[name] = Exposed(family.type, frozenset(told))
    return found


def test_the_table_of_metrics_has_what_a_server_tells(exposed: dict[str, Exposed]) -> None:
    text = (ROOT / "docs/observing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(sturgeon_\w+)` \| (\w+) \| (.*?) ?\| (process|database) \| .+ \|$", text, re.MULTILINE)
    written = {name: Exposed(kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in rows}

    assert len(rows) == len(written) > 20
    assert written == {name: one for name, one in exposed.items() if not name.startswith("process_")}
    assert set(re.findall(r"`(process_\w+)`", text)) <= exposed.keys()


def metrics_of(expression: str) -> dict[str, set[str]]:
    """The metrics that an expression names, with the labels that it matches."""
    found: dict[str, set[str]] = {}
    for name, matchers in re.findall(r"(?<!\w)([a-zA-Z_:][\w:]*)(\{[^}]*\})?(?!\s*\(|\w)", without_groups(expression)):
        if name not in WORDS:
            found.setdefault(name, set()).update(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
    return found


def without_groups(expression: str) -> str:
    """The expression without the lists of labels, times and texts."""
    without_texts = re.sub(r'"[^"]*"', '""', expression)
    without_times = re.sub(r"\[[^]]*\]", "", without_texts)
    return re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", " ", without_times)


def groups_of(expression: str) -> set[str]:
    """The labels by which an expression adds up."""
    lists = re.findall(r"\b(?:by|without|ignoring)\s*\(([^)]*)\)", expression)
    return {label.strip() for one in lists for label in one.split(",")}


def test_each_expression_names_metrics_of_a_server_and_their_labels(exposed: dict[str, Exposed]) -> None:
    known = known_series(exposed) | OF_PROMETHEUS
    wrong = []
    for expression in EXPRESSIONS:
        named = metrics_of(expression)
        assert named, expression
        wrong += [(name, expression) for name, labels in named.items() if labels - known.get(name, set()) - EVERYWHERE]
        wrong += [(name, expression) for name in named.keys() - known.keys()]
        grouped = groups_of(expression) - EVERYWHERE.union(*(known.get(name, set()) for name in named))
        wrong += [(label, expression) for label in grouped]

    assert wrong == []


def test_names_labels_and_groups_are_found_in_an_expression() -> None:
    written = 'sum by (le, kind) (rate(one_bucket{a="x{y}",b=~"z"}[5m])) / on () two unless max(three) > 1e9'

    assert metrics_of(written) == {"one_bucket": {"a", "b"}, "two": set(), "three": set()}
    assert groups_of(written) == {"le", "kind"}


def known_series(exposed: dict[str, Exposed]) -> dict[str, set[str]]:
    """A histogram is three series."""
    series: dict[str, set[str]] = {}
    for name, (kind, labels) in exposed.items():
        if kind == "histogram":
            series[f"{name}_bucket"] = {*labels, "le"}
            series[f"{name}_sum"] = series[f"{name}_count"] = set(labels)
        else:
            series[name] = set(labels)
    return series


@pytest.mark.usefixtures("server")
def test_the_values_that_expressions_look_for_are_some_that_there_are() -> None:
    found: dict[str, set[str]] = {}
    for label, values in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)"([^"]*)"', " ".join(EXPRESSIONS)):
        found.setdefault(label, set()).update(values.split("|"))

    duties = {thread.name for thread in threading.enumerate()} | {expiry.DUTY}
    assert found.pop("duty") <= duties
    assert found.pop("state") <= {*TRIAL_STATES, "active", "draining", "gone"}
    assert found == {"job": {"sturgeon", "$job"}, "status": {"5.."}, "fallback": {"none"}}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alert_waits_and_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"Sturgeon[A-Za-z]+", rule["alert"])
    assert re.fullmatch(r"[1-9][0-9]*m", rule["for"])
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description"}
    assert len(rule["annotations"]["summary"].split()) >= 4
    assert len(rule["annotations"]["description"].split()) >= 8


def test_alerts_have_names_and_panels_titles_of_their_own_and_say_what_they_show() -> None:
    alerts, titles = [rule["alert"] for rule in RULES], [panel["title"] for panel in PANELS]

    assert len(set(alerts)) == len(alerts) > 10
    assert len(set(titles)) == len(titles) > 20
    assert all(panel["description"] and panel["targets"] for panel in PANELS)


def test_panels_do_not_lie_on_each_other() -> None:
    places = [
        (column, line)
        for panel in PANELS
        for at in [panel["gridPos"]]
        for column in range(at["x"], at["x"] + at["w"])
        for line in range(at["y"], at["y"] + at["h"])
    ]

    assert len(places) == len(set(places))
    assert max(column for column, _ in places) < 24
