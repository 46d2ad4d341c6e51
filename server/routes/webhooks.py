"""/v1/webhooks: whom the server tells of what happens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from server.routes.bodies import BodyRoute
from server.routes.dependencies import InCourier, InDatabase, PageSize, PageToken
from server.services.webhooks import registration
from sturgeon import messages

router = APIRouter(route_class=BodyRoute, prefix="/webhooks", tags=["webhooks"])

WebhookPath = Annotated[int, Path(ge=1, le=messages.LARGEST_FENCE)]


@router.post("", status_code=201)
def create_webhook(request: messages.WebhookRequest, database: InDatabase, courier: InCourier) -> messages.NewWebhook:
    """Tell an address of what happens to a study, or to all. The answer has the secret that its messages are signed
    with: it is shown only here."""
    return registration.create(database, request, courier.networks)


@router.get("")
def list_webhooks(
    database: InDatabase, page_size: PageSize = 100, page_token: PageToken = None
) -> messages.Page[messages.Webhook]:
    """All webhooks, the oldest first."""
    return registration.listing(database, page_size, page_token)


@router.delete("/{webhook:segment}", status_code=204)
def delete_webhook(webhook: WebhookPath, database: InDatabase) -> None:
    """Tell it nothing more, not even what waits."""
    registration.delete(database, webhook)


@router.post("/{webhook}:test", status_code=202)
def test_webhook(webhook: WebhookPath, database: InDatabase) -> messages.Delivery:
    """Send it a message that tells of nothing."""
    return registration.test(database, webhook)


@router.get("/{webhook}/deliveries")
def list_deliveries(
    webhook: WebhookPath, database: InDatabase, page_size: PageSize = 100, page_token: PageToken = None
) -> messages.Page[messages.Delivery]:
    """What it was told within the last week, or is still to be told, the newest first."""
    return registration.deliveries(database, webhook, page_size, page_token)
