"""What a process counts for /metrics. Amounts that the database holds are read from it at each scrape."""

from __future__ import annotations

import time
from collections import Counter as Amounts
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sturgeon.threads import failures, successes

ASK_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds."""


class Counters:
    """Prometheus counters of one app, in a registry of its own (two apps in one process do not mix)."""

    def __init__(self) -> None:
        self.registry: Final = CollectorRegistry()
        self.draws = Counter(
            "sturgeon_draws",
            "Samples drawn, by sampler and fallback",
            ["sampler", "fallback"],
            registry=self.registry,
        )
        self.clock_steps = Counter(
            "sturgeon_clock_steps",
            "How often the database's clock was put forward or back",
            ["direction"],
            registry=self.registry,
        )
        self.expired_leases = Counter(
            "sturgeon_expired_leases", "Leases that ran out", ["outcome"], registry=self.registry
        )
        self.fenced_writes = Counter(
            "sturgeon_fenced_writes",
            "Writes refused because their lease was lost",
            ["kind"],
            registry=self.registry,
        )
        self.finished_trials = Counter(
            "sturgeon_finished_trials", "Trials that ended, by state", ["state"], registry=self.registry
        )
        self.stream_events = Counter(
            "sturgeon_stream_events",
            "Drift alarms and refused portions of runs that follow a stream",
            ["kind"],
            registry=self.registry,
        )
        self.webhook_deliveries = Counter(
            "sturgeon_webhook_deliveries",
            "Attempts to tell a webhook, by event and outcome",
            ["event", "outcome"],
            registry=self.registry,
        )
        self.webhooks_given_up = Counter(
            "sturgeon_webhook_given_up", "Messages that no attempt within a day could deliver", registry=self.registry
        )
        self.requests = Histogram(
            "sturgeon_request_seconds",
            "Time to answer, by route",
            ["method", "route"],
            registry=self.registry,
        )
        self.ask_seconds = Histogram(
            "sturgeon_ask_seconds",
            "Time to dispatch trials, without the wait for work",
            buckets=ASK_BUCKETS,
            registry=self.registry,
        )
        self.answers = Counter("sturgeon_answers", "Answers, by status", ["status"], registry=self.registry)
        self._of_routes: dict[tuple[str, str], Histogram] = {}
        self._of_statuses: dict[int, Counter] = {}
        self.registry.register(ThreadFailures())
        self.registry.register(DutySuccesses())
        ProcessCollector(registry=self.registry)

    def answered(self, method: str, route: str, status: int, seconds: float | None) -> None:
        """Count an answer, and the time that it took. method, route: one of few; None: it is a stream."""
        count = self._of_statuses.get(status)
        if count is None:  # to find it by its labels takes longer than to count
            count = self._of_statuses.setdefault(status, self.answers.labels(str(status)))
        count.inc()
        if seconds is None:
            return
        times = self._of_routes.get((method, route))
        if times is None:
            times = self._of_routes.setdefault((method, route), self.requests.labels(method, route))
        times.observe(seconds)

    def drawn(self, sampler: str, fallback: str | None, count: int) -> None:
        """Count samples that were drawn."""
        self.draws.labels(sampler, fallback or "none").inc(count)


class ThreadFailures(Collector):
    """How often the threads of each name have failed in this process since the app was made."""

    def __init__(self) -> None:
        self._before = Amounts(failures())

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(
            "sturgeon_thread_failures", "Unexpected errors of background threads, by thread", labels=["thread"]
        )
        for name, count in (Amounts(failures()) - self._before).items():
            family.add_metric([name], count)
        yield family


class DutySuccesses(Collector):
    """When each duty was last done whole in this process, since the app was made."""

    def __init__(self) -> None:
        self._since = time.time()

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "sturgeon_duty_last_success_timestamp_seconds",
            "When a duty in the background was last done and nothing of it failed",
            labels=["duty"],
        )
        for duty, at in successes().items():
            if at >= self._since:
                family.add_metric([duty], at)
        yield family
