"""Named tokens: who may use the server, and for what."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field

from sturgeon.messages.forms import WORKER_NAME, Answer, Request
from sturgeon.strictness import Sized

TokenScope = Literal["read", "write", "work", "admin"]
TokenName = Annotated[str, Field(pattern=WORKER_NAME)]
LONGEST_PREFIX: Final = 80
"""So much of a panda's name begins the names of its retests, which so are of the same prefixes."""
StudyPrefix = Annotated[str, Field(pattern=rf"^[A-Za-z0-9][A-Za-z0-9._\-]{{0,{LONGEST_PREFIX - 1}}}$")]
MOST_PREFIXES: Final = 100
LONGEST_TOKEN_S: Final = 10 * 366 * 24 * 3600


class TokenRequest(Request):
    """`POST /v1/tokens`: another token, for a person, a program or a worker."""

    name: TokenName
    scopes: Annotated[list[TokenScope], Sized(4, least=1)] = Field(
        description="read: look at everything; write: create, change and steer studies; work: what a worker does; "
        "admin: all of it, and tokens, webhooks, the audit trail and the draining of workers."
    )
    studies: Annotated[list[StudyPrefix], Sized(MOST_PREFIXES, least=1)] | None = Field(
        default=None,
        description="It is only for studies whose names begin with one of these, letter for letter; null: for all. "
        "Not with admin.",
    )
    lasts_s: Annotated[int, Field(ge=1, le=LONGEST_TOKEN_S)] | None = Field(
        default=None, description="Seconds until it expires; null: it does not."
    )


class Token(Answer):
    name: str
    scopes: list[TokenScope]
    studies: list[str] | None = Field(
        default=None, description="Prefixes of the names of its studies; null: it is for all."
    )
    state: Literal["active", "expired", "revoked"]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    revoked_at: AwareDatetime | None
    last_used_at: AwareDatetime | None = Field(description="To the minute; null: it was never used.")


class NewToken(Token):
    """The answer to its creation: the only one with the token itself."""

    token: str = Field(description="What is sent as `Authorization: Bearer TOKEN`; it is not shown again.", repr=False)
