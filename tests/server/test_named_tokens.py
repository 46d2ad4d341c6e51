"""Named tokens: made once, kept as a hash, and of no use when they are revoked or expired."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from server.background import end_with_tokens
from server.services.leases import housekeeping
from server.services.tokens import registration, verification
from server.services.tokens.verification import KEEP_S, TokenMemo
from server.store.tables import tokens
from sturgeon.client import Client
from sturgeon.errors import Conflict, Forbidden, Invalid, NotFound, Unauthorized
from sturgeon.messages.tokens import LONGEST_TOKEN_S
from tests.server.studies import BOWL
from tests.server.test_statements import ask_report_and_tell, statements_of
from tests.server.tokens import SHARED_TOKEN, with_token

if TYPE_CHECKING:
    from sturgeon.messages import NewToken
    from tests.running import RunningServer

DAY_S = 24 * 3600


@pytest.fixture
def ada(guarded: RunningServer) -> NewToken:
    """A token for reading, which ends in a day."""
    return guarded.client.create_token("ada", ["read"], lasts_s=DAY_S)


def rows(server: RunningServer) -> list[dict[str, Any]]:
    with server.app.state.database.reading() as tx:
        return [dict(row._mapping) for row in tx.execute(sa.select(tokens).order_by(tokens.c.id))]


def test_a_token_is_shown_once_and_kept_as_a_hash(guarded: RunningServer, ada: NewToken) -> None:
    assert re.fullmatch(r"sturgeon_[A-Za-z0-9_-]{43}", ada.token)
    assert (ada.name, ada.scopes, ada.state, ada.last_used_at) == ("ada", ["read"], "active", None)
    assert ada.expires_at is not None
    assert (ada.expires_at - ada.created_at).total_seconds() == DAY_S

    with with_token(guarded, SHARED_TOKEN) as http:
        listed = http.get("/v1/tokens")
    assert [one["name"] for one in listed.json()["items"]] == ["ada"]
    assert ada.token not in listed.text
    assert ada.token[10:] not in str(rows(guarded))
    assert [row["sha256"] for row in rows(guarded)] == [hashlib.sha256(ada.token.encode()).hexdigest()]


def test_two_tokens_are_never_the_same(guarded: RunningServer, ada: NewToken) -> None:
    assert guarded.client.create_token("bob", ["read"]).token != ada.token


def test_a_revoked_token_opens_nothing_and_its_name_is_free_again(guarded: RunningServer, ada: NewToken) -> None:
    with Client(guarded.url, token=ada.token) as client:
        assert client.studies().items == []
        with pytest.raises(Conflict, match="There is a token ada already"):
            guarded.client.create_token("ada", ["read"])

        guarded.client.revoke_token("ada")
        guarded.client.revoke_token("ada")  # sent again, it is no error

        with pytest.raises(Unauthorized, match="was revoked or has expired"):
            client.studies()
    assert [one.state for one in guarded.client.tokens().items] == ["revoked"]
    again = guarded.client.create_token("ada", ["admin"])
    with Client(guarded.url, token=again.token) as client:
        assert [(one.name, one.state) for one in client.tokens().items] == [("ada", "active")]
    with pytest.raises(NotFound, match="There is no token bob"):
        guarded.client.revoke_token("bob")


def test_a_token_opens_nothing_from_the_moment_at_which_it_expires(
    guarded: RunningServer, ada: NewToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    memo: TokenMemo = guarded.app.state.token_memo
    monkeypatch.setattr(memo, "keep_s", 0.0)
    with Client(guarded.url, token=ada.token) as client:
        guarded.advance(seconds=DAY_S - 0.001)
        assert client.studies().items == []

        guarded.advance(seconds=0.001)

        with pytest.raises(Unauthorized):
            client.studies()
    assert [one.state for one in guarded.client.tokens().items] == ["expired"]
    assert guarded.client.create_token("ada", ["read"]).state == "active"


def test_another_server_knows_of_a_revocation_within_two_seconds(
    guarded: RunningServer, ada: NewToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, now = TokenMemo(guarded.app.state.database), 1000.0
    monkeypatch.setattr(verification.time, "monotonic", lambda: now)
    sha256 = hashlib.sha256(ada.token.encode()).hexdigest()
    assert other.look_up(sha256) is not None
    guarded.client.revoke_token("ada")
    assert other.kept(sha256) is not None  # it is believed for a moment

    now += KEEP_S

    assert KEEP_S == 2
    assert other.kept(sha256) is None
    assert other.look_up(sha256) is None


def test_a_token_is_not_believed_beyond_its_end(
    guarded: RunningServer, ada: NewToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    memo, now = TokenMemo(guarded.app.state.database), 1000.0
    monkeypatch.setattr(verification.time, "monotonic", lambda: now)
    sha256 = hashlib.sha256(ada.token.encode()).hexdigest()
    guarded.advance(seconds=DAY_S - 0.5)
    assert memo.look_up(sha256) is not None

    now += 0.4
    assert memo.kept(sha256) is not None
    now += 0.1
    assert memo.kept(sha256) is None


def test_a_named_token_asks_the_database_nothing_more_than_the_shared_one(guarded: RunningServer) -> None:
    guarded.app.state.token_memo.keep_s = 600.0
    guarded.client.create_study(BOWL | {"budget": {"max_trials": 100}})
    worker = guarded.client.create_token("worker", ["work"], studies=["bow"])
    ask_report_and_tell(guarded)
    with statements_of(guarded) as shared:
        ask_report_and_tell(guarded)
    with Client(guarded.url, token=worker.token) as client:
        client.ask("bowl")  # looks the token up
        guarded.client, own = client, guarded.client
        with statements_of(guarded) as named:
            ask_report_and_tell(guarded)
        guarded.client = own

    assert 5 <= len(shared) <= 13
    assert len(named) == len(shared)


def test_when_a_token_was_used_is_listed_to_the_minute(guarded: RunningServer, ada: NewToken) -> None:
    memo: TokenMemo = guarded.app.state.token_memo
    used = []
    with Client(guarded.url, token=ada.token) as client:
        for seconds in (0, 59, 1):
            guarded.advance(seconds=seconds)
            memo.forget()
            client.studies()
            memo.note_use()
            [listed] = guarded.client.tokens().items
            assert listed.last_used_at is not None
            used.append((listed.last_used_at - ada.created_at).total_seconds())

    assert used == [0, 0, 60]


def test_a_stream_ends_with_the_token_that_opened_it(guarded: RunningServer, ada: NewToken) -> None:
    guarded.client.create_study(BOWL)
    bob = guarded.client.create_token("bob", ["read"])
    state = guarded.app.state
    with (
        with_token(guarded, ada.token) as http,
        with_token(guarded, bob.token) as another,
        http.stream("GET", "/v1/studies/bowl/stream") as ending,
        another.stream("GET", "/v1/studies/bowl/stream") as staying,
    ):
        chunks = ending.iter_text()
        assert "event: study" in next(chunks)
        others = staying.iter_text()  # which is closed when it is let go
        assert "event: study" in next(others)

        guarded.client.revoke_token("ada")
        end_with_tokens(state.token_memo, state.feed.streams)

        assert "event:" not in "".join(chunks)  # and it comes to its end
        assert state.feed.streams.tokens() == {hashlib.sha256(bob.token.encode()).hexdigest()}


@pytest.mark.usefixtures("ada")
def test_an_ended_token_is_forgotten_after_a_month(guarded: RunningServer) -> None:
    guarded.client.create_token("bob", ["read"])
    guarded.client.create_token("eve", ["read"])
    guarded.client.revoke_token("eve")

    def names_after(seconds: float) -> list[str]:
        guarded.advance(seconds=seconds)
        housekeeping.clean_up(guarded.app.state.database, guarded.app.state.blobs)
        return [row["name"] for row in rows(guarded)]

    assert names_after(30 * DAY_S) == ["ada", "bob", "eve"]
    assert names_after(1) == ["ada", "bob"]
    assert names_after(DAY_S) == ["bob"]


@pytest.mark.usefixtures("ada")
def test_there_are_not_any_number_of_tokens(guarded: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "MOST", 2)
    guarded.client.create_token("bob", ["read"])

    with pytest.raises(Conflict, match="There are 2 tokens already"):
        guarded.client.create_token("eve", ["read"])
    guarded.client.revoke_token("bob")
    assert guarded.client.create_token("bob", ["work"]).scopes == ["work"]  # in the place of the old one
    guarded.client.revoke_token("bob")
    assert guarded.client.create_token("eve", ["work"]).scopes == ["work"]
    assert [one.name for one in guarded.client.tokens().items] == ["ada", "eve"]
    guarded.advance(seconds=DAY_S)
    assert guarded.client.create_token("bob", ["work"]).scopes == ["work"]
    assert [one.name for one in guarded.client.tokens().items] == ["eve", "bob"]


@pytest.mark.usefixtures("ada")
def test_the_list_of_tokens_has_pages(guarded: RunningServer) -> None:
    guarded.client.create_token("bob", ["write", "read", "read"])

    first = guarded.client.tokens(page_size=1)
    second = guarded.client.tokens(page_size=1, page_token=first.next_page_token)

    assert [one.name for one in (*first.items, *second.items)] == ["ada", "bob"]
    assert second.items[0].scopes == ["read", "write"]
    assert second.next_page_token is None


@pytest.mark.parametrize(
    ("name", "scopes", "lasts_s"),
    [
        ("", ["read"], None),
        ("a b", ["read"], None),
        ("../x", ["read"], None),
        ("x" * 201, ["read"], None),
        ("ada", [], None),
        ("ada", ["root"], None),
        ("ada", ["read"] * 5, None),
        ("ada", ["read"], 0),
        ("ada", ["read"], -1),
        ("ada", ["read"], LONGEST_TOKEN_S + 1),
        ("ada", ["read"], 2**53),
        ("ada", ["read"], 1e300),
        ("ada", ["read"], 1.5),
        ("ada", ["read"], True),
    ],
)
def test_a_token_that_cannot_be_is_refused(server: RunningServer, name: str, scopes: list[Any], lasts_s: Any) -> None:
    with pytest.raises(Invalid):
        server.client.create_token(name, scopes, lasts_s)


@pytest.mark.parametrize("lasts_s", [1, LONGEST_TOKEN_S])
def test_a_token_lasts_to_the_second_from_a_second_to_ten_years(guarded: RunningServer, lasts_s: int) -> None:
    made = guarded.client.create_token("ada", ["read"], lasts_s)
    assert made.expires_at is not None
    assert (made.expires_at - made.created_at).total_seconds() == lasts_s

    states = []
    for _ in range(2):
        states += [one.state for one in guarded.client.tokens().items]
        guarded.advance(seconds=lasts_s)

    assert states == ["active", "expired"]


def test_a_server_that_asks_nobody_for_a_token_makes_none(server: RunningServer) -> None:
    with pytest.raises(Conflict, match="start it with STURGEON_TOKEN"):
        server.client.create_token("ada", ["read"])
    assert server.client.tokens().items == []


def test_only_an_administrator_makes_tokens(guarded: RunningServer) -> None:
    every = guarded.client.create_token("every", ["read", "write", "work"])
    admin = guarded.client.create_token("root", ["admin"])
    with Client(guarded.url, token=every.token) as client, pytest.raises(Forbidden, match="needs: admin"):
        client.create_token("eve", ["admin"])
    with Client(guarded.url, token=admin.token) as client:
        assert client.create_token("eve", ["read"]).scopes == ["read"]
