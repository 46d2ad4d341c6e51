"""Servers that want a token, and clients that send one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import httpx
from pydantic import SecretStr

from server.settings import Settings
from tests.processes import DEADLINE_S

if TYPE_CHECKING:
    from pathlib import Path

    from tests.running import RunningServer

SHARED_TOKEN: Final = "open-sesame-4f9a"


def guarded_server(url: str, folder: Path, serve: Callable[[Settings], RunningServer], **options: Any) -> RunningServer:
    """A server on this database that wants the shared token; its own client sends it. options: further settings."""
    usual: dict[str, Any] = {"token": SecretStr(SHARED_TOKEN), "reap_every_s": 600}
    return serve(Settings(database_url=url, checkpoints=folder / "checkpoints", **(usual | options)))


def with_token(server: RunningServer, token: str) -> httpx.Client:
    """The server as curl sees it, with this token."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=server.url, headers=headers, trust_env=False, verify=False, timeout=DEADLINE_S)
