"""Whom the gate takes for whom: how a token is sent, by which address, and what happens at the same moment."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest

from server.background import end_with_tokens
from server.services.changes.streams import Of, Streams
from server.store import tokens
from server.store.engine import Transaction
from server.store.tokens import TokenRow
from sturgeon.errors import Conflict, NotFound, Unavailable
from tests.server.studies import refusal
from tests.server.tokens import with_token

if TYPE_CHECKING:
    from server.services.tokens.verification import TokenMemo
    from sturgeon.messages import NewToken
    from tests.running import RunningServer


@pytest.fixture
def ada(guarded: RunningServer) -> NewToken:
    """A token for reading, which ends in a minute."""
    return guarded.client.create_token("ada", ["read"], lasts_s=60)


def sha256_of(token: NewToken) -> str:
    return hashlib.sha256(token.token.encode()).hexdigest()


def test_a_token_is_sent_in_one_form_alone(guarded: RunningServer, ada: NewToken) -> None:
    with with_token(guarded, "") as http:
        for form in ("{}", "bearer {}", "Token {}", "Bearer  {}", "Bearer Bearer {}"):
            answer = http.get("/v1/studies", headers={"Authorization": form.format(ada.token)})
            assert refusal(answer) == (401, "unauthorized"), form
        assert http.get("/v1/studies", headers={"Authorization": f"Bearer {ada.token}"}).is_success


def test_a_token_in_the_place_of_its_name_is_not_repeated(guarded: RunningServer, ada: NewToken) -> None:
    with pytest.raises(NotFound, match="has the form of a token") as refused:
        guarded.client.revoke_token(ada.token)
    with pytest.raises(Conflict, match="has the form of a token") as taken:
        guarded.client.create_token(ada.token, ["read"])

    assert ada.token not in str(refused.value) + str(taken.value)


def test_below_a_prefix_a_token_may_do_no_more(guarded: RunningServer, ada: NewToken) -> None:
    memo: TokenMemo = guarded.app.state.token_memo
    memo.keep_s = 60.0
    assert memo.look_up(sha256_of(ada)) is not None

    async def asked(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=guarded.app, root_path="/tuning")
        headers = {"Authorization": f"Bearer {ada.token}"}
        async with httpx.AsyncClient(transport=transport, base_url=guarded.url, headers=headers) as http:
            return await http.post(path, json={"name": "eve", "scopes": ["admin"]})

    for path in ("/tuning/v1/tokens", "/v1/tokens"):
        assert refusal(asyncio.run(asked(path))) == (403, "forbidden"), path
    assert [one.name for one in guarded.client.tokens().items] == ["ada"]


def test_a_look_up_that_a_revocation_overtakes_is_not_believed(
    guarded: RunningServer, ada: NewToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    memo: TokenMemo = guarded.app.state.token_memo

    found = tokens.by_sha256

    def overtaken(tx: Transaction, sha256: str) -> TokenRow | None:
        row = found(tx, sha256)
        guarded.client.revoke_token("ada")
        return row

    with monkeypatch.context() as patched:
        patched.setattr(tokens, "by_sha256", overtaken)
        assert memo.look_up(sha256_of(ada)) is not None  # this request had begun

    assert memo.kept(sha256_of(ada)) is None
    with with_token(guarded, ada.token) as http:
        assert refusal(http.get("/v1/studies")) == (401, "unauthorized")


def test_streams_of_ended_tokens_end_also_where_nothing_can_be_written(
    guarded: RunningServer, ada: NewToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    class OfAda(Streams):
        def tokens(self) -> set[str]:
            return {sha256_of(ada)}

        def end_of(self, tokens: Collection[str]) -> None:
            ended.extend(tokens)

    def full() -> None:
        raise Unavailable

    guarded.advance(seconds=60)
    memo: TokenMemo = guarded.app.state.token_memo
    monkeypatch.setattr(memo, "note_use", full)

    with pytest.raises(Unavailable):
        end_with_tokens(memo, OfAda(lambda: None))

    assert ended == [sha256_of(ada)]


def test_a_stream_whose_reader_is_slow_ends_with_its_token_too() -> None:
    async def told() -> list[bytes]:
        streams = Streams(lambda: None)
        pushes = streams.pushes(stream := streams.begin(Of(None), "machine", "", token="ada"))
        taken = []
        for body in (b"one", b"two"):
            push = asyncio.ensure_future(anext(pushes, b"the end"))
            await asyncio.sleep(0)
            streams.give(stream, body)
            taken.append(await push)
            streams.end_of({"ada"})  # while it is sent what it was given
        return taken

    assert asyncio.run(told()) == [b"one", b"the end"]


def test_servers_note_uses_in_one_order() -> None:
    """Two that lock rows in different orders wait for each other, and PostgreSQL ends one of them."""

    class Noted:
        def __init__(self) -> None:
            self.ids: list[int] = []

        def execute(self, statement: Any) -> None:
            self.ids.append(statement.compile().params["id_1"])

    noted = Noted()
    tokens.note_use(cast(Transaction, noted), {7: 1, 3: 2, 5: 3})

    assert noted.ids == [3, 5, 7]
