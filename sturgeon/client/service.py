"""The routes of the service itself, and of its workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from sturgeon import messages as m
from sturgeon.client.connected import Connected
from sturgeon.client.requests import (
    as_dict,
    given,
    paged,
)
from sturgeon.space import Space
from sturgeon.values import Json


class ServiceRoutes(Connected):
    """Workers, health, counters, and the preview of a space."""

    def workers(self, page_size: int | None = None, page_token: str | None = None) -> m.Page[m.Worker]:
        return self._wire.ask(m.Page[m.Worker], "GET", "/v1/workers", query=paged(page_size, page_token))

    def drain_worker(self, worker: str) -> m.Worker:
        """Let a worker finish what it runs, take nothing new, and end."""
        return self._wire.ask(m.Worker, "POST", f"/v1/workers/{quote(worker, safe='', errors='replace')}:drain")

    def preview(
        self,
        space: Space | Mapping[str, object],
        seed: int | None = None,
        examples: int | None = None,
        constraints: Sequence[str] = (),
    ) -> m.Preview:
        """Quantiles and examples of a space, before compute is spent on it."""
        body: Json = {"space": as_dict(space)} | given(seed=seed, examples=examples)
        if constraints:
            body["constraints"] = list(constraints)
        return self._wire.ask(m.Preview, "POST", "/v1/space:preview", body)

    def health(self) -> m.Health:
        """The process answers."""
        return self._wire.ask(m.Health, "GET", "/healthz")

    def ready(self) -> m.Health:
        """The server can serve: its database is there, with the right schema. Waits for it with patience."""
        return self._wire.ask(m.Health, "GET", "/readyz")

    def counters(self) -> str:
        """What the server counts, in the text format of Prometheus."""
        return self._wire.send("GET", "/metrics").text
