"""The audit trail: who has changed what."""

from __future__ import annotations

from typing import Final

from pydantic import AwareDatetime, Field

from sturgeon.messages.forms import Answer
from sturgeon.values import Json

ACTION: Final = r"^[a-z]{1,20}(\.[a-z]{1,20})?$"


class AuditEntry(Answer):
    """A request that has changed something. What failed, or had changed it before, has none."""

    id: int
    at: AwareDatetime
    actor: str = Field(
        description="The name that the token had then; `shared` is the shared token, `local` a server without one, and "
        "`nobody` who was refused."
    )
    actor_token: int | None = Field(description="The token's number: another token may have got its name since.")
    action: str = Field(description="Such as `study.create`, `trial.cancel`, `token.revoke` or `login.refused`.")
    study: str | None
    trial: int | None
    target: str | None = Field(description="Another thing: a token, a webhook, a worker, or a proposal.")
    detail: Json = Field(description="`fields`: those of the message that were given; and a few of their values.")
