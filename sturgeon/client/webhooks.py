"""The routes of webhooks."""

from __future__ import annotations

from collections.abc import Sequence

from sturgeon import messages as m
from sturgeon.client.connected import Connected
from sturgeon.client.requests import paged
from sturgeon.values import Json


class WebhookRoutes(Connected):
    """Whom the server tells of what happens."""

    def create_webhook(
        self, url: str, study: str | None = None, events: Sequence[m.WebhookEvent] | None = None
    ) -> m.NewWebhook:
        """Tell an address of events, by default of all kinds and of all studies. The secret in the answer is shown only
        once: where the answer is lost, delete the webhook and create it again."""
        body: Json = {"url": url, "study": study}
        if events is not None:
            body["events"] = list(events)
        return self._wire.ask(m.NewWebhook, "POST", "/v1/webhooks", body)

    def webhooks(self, page_size: int | None = None, page_token: str | None = None) -> m.Page[m.Webhook]:
        return self._wire.ask(m.Page[m.Webhook], "GET", "/v1/webhooks", query=paged(page_size, page_token))

    def delete_webhook(self, webhook: int) -> None:
        """Tell it nothing more, not even what waits."""
        self._wire.send("DELETE", f"/v1/webhooks/{webhook}")

    def test_webhook(self, webhook: int) -> m.Delivery:
        """Send it a message that tells of nothing; `deliveries` says what came of it."""
        return self._wire.ask(m.Delivery, "POST", f"/v1/webhooks/{webhook}:test")

    def deliveries(
        self, webhook: int, page_size: int | None = None, page_token: str | None = None
    ) -> m.Page[m.Delivery]:
        """What it was told within the last week, or is still to be told, the newest first."""
        path = f"/v1/webhooks/{webhook}/deliveries"
        return self._wire.ask(m.Page[m.Delivery], "GET", path, query=paged(page_size, page_token))
