"""The routes of named tokens, and of the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

from sturgeon import messages as m
from sturgeon.client.connected import Connected
from sturgeon.client.requests import given, paged
from sturgeon.values import Json


class TokenRoutes(Connected):
    """Who may use the server, and for what; and who has changed what."""

    def create_token(
        self,
        name: str,
        scopes: Sequence[m.TokenScope],
        lasts_s: int | None = None,
        studies: Sequence[str] | None = None,
    ) -> m.NewToken:
        """Make a token for a person, a program or a worker; only for studies whose names begin with one of `studies`,
        if any are given. The token in the answer is shown only once: where the answer is lost, revoke it and create it
        again."""
        body: Json = {"name": name, "scopes": list(scopes)} | given(lasts_s=lasts_s)
        if studies is not None:
            body["studies"] = list(studies)
        return self._wire.ask(m.NewToken, "POST", "/v1/tokens", body)

    def tokens(self, page_size: int | None = None, page_token: str | None = None) -> m.Page[m.Token]:
        return self._wire.ask(m.Page[m.Token], "GET", "/v1/tokens", query=paged(page_size, page_token))

    def revoke_token(self, name: str) -> None:
        """Let nobody in by this token any more."""
        self._wire.send("DELETE", f"/v1/tokens/{quote(name, safe='', errors='replace')}")

    def audit(
        self,
        page_size: int | None = None,
        page_token: str | None = None,
        *,
        actor: str | None = None,
        action: str | None = None,
        study: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> m.Page[m.AuditEntry]:
        """What people and programs have changed, the newest first. since, until: with a time zone."""
        begins = None if since is None else since.isoformat()
        ends = None if until is None else until.isoformat()
        wanted = given(actor=actor, action=action, study=study, since=begins, until=ends) | paged(page_size, page_token)
        return self._wire.ask(m.Page[m.AuditEntry], "GET", "/v1/audit", query=wanted)
