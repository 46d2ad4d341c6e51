"""Webhooks: whom the server tells of what happens, and what became of it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field

from sturgeon.messages.forms import Answer, Request, StudyName
from sturgeon.strictness import Sized

WebhookEvent = Literal["study_done", "new_best", "drift", "failure"]
WEBHOOK_URL: Final = r"^https?://[A-Za-z0-9.\-\[\]:]{1,253}([/?][\x21-\x22\x24-\x7e]{0,1700})?$"

_ALL: Final[tuple[WebhookEvent, ...]] = ("study_done", "new_best", "drift", "failure")


class WebhookRequest(Request):
    """`POST /v1/webhooks`: tell this address of these events, of one study or of all."""

    url: Annotated[str, Field(pattern=WEBHOOK_URL, description="http(s)://HOST[:PORT][/PATH], without a user's name.")]
    study: StudyName | None = Field(default=None, description="The study; null: all studies of the server.")
    events: Annotated[list[WebhookEvent], Sized(len(_ALL), least=1)] = Field(default=list(_ALL))


class Webhook(Answer):
    id: int
    url: str
    study: str | None
    events: list[WebhookEvent]
    failures: int = Field(description="Deliveries that failed in a row; 0 after one that succeeded.")
    created_at: AwareDatetime


class NewWebhook(Webhook):
    """The answer to its creation: the only one with the secret."""

    secret: str = Field(description="What its messages are signed with; it is not shown again.", repr=False)


class Delivery(Answer):
    """A message to a webhook, and what became of it."""

    id: str = Field(description="The webhook-id of the message: the same in each attempt.")
    event: WebhookEvent | Literal["test"]
    state: Literal["waiting", "delivered", "given_up"]
    attempts: int
    status: int | None = Field(description="The HTTP status of the last answer; null without one.")
    error: str | None = Field(description="Why the last attempt failed.")
    at: AwareDatetime
