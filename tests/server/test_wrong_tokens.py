"""Who tries many tokens is slowed down; nobody else is, and the database does not feel it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from server.sessions import COOKIE, SHARED, new_session
from server.settings import Settings
from server.token_check import LOOKED_UP_A_MINUTE
from server.wrong_tokens import MOST_ADDRESSES, Budgets, WrongTokens, neighbourhood
from sturgeon.client import Client
from sturgeon.errors import SturgeonError, TooManyWrongTokens, Unavailable
from tests.processes import DEADLINE_S
from tests.server.studies import refusal
from tests.server.tokens import SHARED_TOKEN

if TYPE_CHECKING:
    from pathlib import Path

    from server.token_check import TokenCheck
    from tests.running import RunningServer

MOST: Final = 5
LONG_TOKEN: Final = secrets.token_urlsafe(32)
TOO_MANY: Final = (429, "too_many_wrong_tokens")
WRONG: Final = (401, "unauthorized")


class Guarded:
    """A server that takes MOST wrong tokens a minute from an address, whose time only the test moves, and that believes
    what the client says of its address, as if the tests were a proxy."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.seconds = 1000.0
        self.check: TokenCheck = server.app.state.token_check
        self.check.wrong.clock = lambda: self.seconds
        self.statements = 0
        for engine in {server.app.state.database.engine, server.app.state.database.reader}:
            sa.event.listen(engine, "before_cursor_execute", self._count)
        self.http = httpx.Client(base_url=server.url, trust_env=False, verify=False, timeout=DEADLINE_S)

    def _count(self, _connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        self.statements += "FROM tokens" in statement

    def get(self, token: str, address: str = "203.0.113.1") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": address}
        return self.http.get("/v1/studies", headers=headers)

    def attempt(self, address: str = "203.0.113.1") -> tuple[int, str]:
        """What a token is answered that has the form of ours, and that nobody has."""
        return refusal(self.get(f"sturgeon_{secrets.token_urlsafe(32)}", address))

    def open_with(self, token: str, address: str = "203.0.113.1", whose: str = SHARED) -> httpx.Response:
        """What a cookie opens that is sealed with this token. whose: the hash of a named token."""
        headers = {"Cookie": f"{COOKIE}={new_session(token, whose)}", "X-Forwarded-For": address}
        return self.http.get("/v1/studies", headers=headers)

    def guess_until_refused(self, address: str = "203.0.113.1") -> None:
        for _ in range(MOST):
            assert self.attempt(address) == WRONG
        assert self.attempt(address) == TOO_MANY

    def log_in(self, token: str, address: str = "203.0.113.1") -> httpx.Response:
        headers = {"X-Forwarded-For": address, "Accept": "text/html"}
        return self.http.post("/login", data={"token": token}, headers=headers)


@pytest.fixture
def make_guarded(
    tmp_path: Path, serve: Callable[[Settings], RunningServer], request: pytest.FixtureRequest
) -> Iterator[Callable[..., Guarded]]:
    made: list[Guarded] = []

    def make(token: str, url: str | None = None, proxies: str = "127.0.0.0/8") -> Guarded:
        settings = Settings(
            database_url=url or request.getfixturevalue("migrated_sqlite_url"),
            checkpoints=tmp_path / "checkpoints",
            token=SecretStr(token),
            max_wrong_tokens=MOST,
            trusted_proxies=proxies,
            reap_every_s=600,
        )
        made.append(Guarded(serve(settings)))
        return made[-1]

    yield make
    for one in made:
        one.http.close()


@pytest.fixture
def guarded(make_guarded: Callable[..., Guarded]) -> Guarded:
    """On SQLite alone: all but the statements is the same on both."""
    return make_guarded(LONG_TOKEN)


@pytest.fixture
def on_both(make_guarded: Callable[..., Guarded], migrated_url: str) -> Guarded:
    """Once on each kind of database."""
    return make_guarded(LONG_TOKEN, migrated_url)


def test_an_address_that_guesses_has_to_wait_as_long_as_it_is_told(guarded: Guarded) -> None:
    guarded.guess_until_refused()
    answer = guarded.get("sturgeon_" + "x" * 43)
    wait_s = int(answer.headers["Retry-After"])

    assert answer.headers["Content-Type"] == "application/problem+json"
    assert 1 <= wait_s <= 60 / MOST
    guarded.seconds += wait_s
    assert guarded.attempt() == WRONG
    assert guarded.attempt() == TOO_MANY
    guarded.seconds += 60
    guarded.guess_until_refused()


def test_other_addresses_do_not_wait_for_one_that_guesses(guarded: Guarded) -> None:
    guarded.guess_until_refused()

    assert guarded.attempt("203.0.113.2") == WRONG
    assert guarded.get(LONG_TOKEN, "203.0.113.2").is_success


def test_right_tokens_pass_from_an_address_that_guesses(on_both: Guarded) -> None:
    ada = on_both.server.client.create_token("ada", ["read"]).token
    on_both.guess_until_refused()
    bob = on_both.server.client.create_token("bob", ["read"]).token
    on_both.seconds += 2  # on another server, a token is found within these

    for token in (ada, bob, LONG_TOKEN):
        assert on_both.get(token).is_success
    assert on_both.attempt() == TOO_MANY
    assert on_both.log_in(bob).status_code == 303


def test_a_token_that_was_revoked_is_a_wrong_one(on_both: Guarded) -> None:
    ada = on_both.server.client.create_token("ada", ["read"]).token
    assert on_both.get(ada).is_success
    on_both.guess_until_refused()
    on_both.server.client.revoke_token("ada")
    on_both.seconds += 2

    assert refusal(on_both.get(ada)) == TOO_MANY


def test_guesses_that_are_refused_cost_the_database_nothing(guarded: Guarded) -> None:
    guarded.guess_until_refused()
    before = guarded.statements

    assert {guarded.attempt() for _ in range(50)} == {TOO_MANY}

    assert guarded.statements == before


def test_guesses_of_all_addresses_cost_a_bounded_number_of_statements(guarded: Guarded) -> None:
    lookups = guarded.check._lookups
    assert lookups.spend("everybody", LOOKED_UP_A_MINUTE - 2)
    ada = guarded.server.client.create_token("ada", ["read"]).token
    before = guarded.statements

    answers = [guarded.attempt(f"203.0.113.{last}") for last in range(100)]

    assert answers == [WRONG] * 2 + [TOO_MANY] * 98
    assert guarded.statements - before == 3  # two guesses were looked up, and then all tokens that there are
    assert guarded.get(ada).is_success


def test_a_wrong_token_that_is_sent_again_and_again_is_no_attempt(guarded: Guarded) -> None:
    wrong = "sturgeon_" + "y" * 43
    before = guarded.statements

    answers = [refusal(guarded.get(wrong)) for _ in range(10 * MOST)]

    assert answers.count(WRONG) > 5 * MOST
    assert answers[-1] == TOO_MANY
    assert guarded.statements - before == 2  # once itself, and then all tokens that there are


def test_a_short_shared_token_is_not_found_by_going_on(make_guarded: Callable[..., Guarded]) -> None:
    guarded = make_guarded(SHARED_TOKEN)
    assert guarded.get(SHARED_TOKEN, "198.51.100.7").is_success
    for address in ("203.0.113.1", "198.51.100.7"):
        guarded.guess_until_refused(address)

    assert refusal(guarded.get(SHARED_TOKEN)) == TOO_MANY
    assert guarded.log_in(SHARED_TOKEN).status_code == 429
    assert guarded.get(SHARED_TOKEN, "198.51.100.7").is_success  # it has known it before
    guarded.seconds += 60
    assert guarded.get(SHARED_TOKEN).is_success


def test_a_short_shared_token_is_not_found_by_sealing_cookies(make_guarded: Callable[..., Guarded]) -> None:
    guarded = make_guarded(SHARED_TOKEN)
    seals = [f"attempt {number}" for number in range(MOST)]
    assert [refusal(guarded.open_with(seal)) for seal in seals] == [WRONG] * MOST

    assert refusal(guarded.open_with(SHARED_TOKEN)) == TOO_MANY
    assert guarded.open_with(SHARED_TOKEN, "198.51.100.7").is_success
    guarded.seconds += 60
    assert guarded.open_with(SHARED_TOKEN).is_success
    assert {guarded.open_with("attempt").status_code for _ in range(2 * MOST)} == {401}  # of an earlier token, say


def test_a_session_of_a_named_token_lets_nobody_try_more_shared_tokens(make_guarded: Callable[..., Guarded]) -> None:
    guarded = make_guarded(SHARED_TOKEN)
    named = guarded.server.client.create_token("ada", ["read"]).token
    whose = hashlib.sha256(named.encode()).hexdigest()
    assert guarded.open_with(SHARED_TOKEN, whose=whose).is_success
    guarded.guess_until_refused()

    assert refusal(guarded.get(SHARED_TOKEN)) == TOO_MANY
    assert refusal(guarded.open_with(SHARED_TOKEN, whose=whose)) == TOO_MANY
    assert guarded.open_with(SHARED_TOKEN, "198.51.100.7").is_success


@pytest.mark.expects_errors("503 answered to GET /v1/studies")
def test_a_database_that_is_away_uses_up_no_attempts(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    named = guarded.server.client.create_token("ada", ["read"]).token

    def away(_sha256: str) -> None:
        raise Unavailable

    with monkeypatch.context() as patched:
        patched.setattr(guarded.server.app.state.token_memo, "look_up", away)
        assert {guarded.get(named).status_code for _ in range(2 * MOST)} == {503}

    assert guarded.get(named).is_success
    guarded.guess_until_refused()


def test_the_login_has_the_same_limit(guarded: Guarded) -> None:
    answers = [guarded.log_in(f"attempt {number}") for number in range(MOST + 1)]

    assert [answer.status_code for answer in answers] == [401] * MOST + [429]
    assert "Too many wrong tokens" in answers[-1].text
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert guarded.attempt() == TOO_MANY
    assert guarded.log_in(LONG_TOKEN).status_code == 303


def test_who_sends_no_token_is_not_counted(guarded: Guarded) -> None:
    for _ in range(2 * MOST):
        assert guarded.http.get("/v1/studies", headers={"X-Forwarded-For": "203.0.113.1"}).status_code == 401
        assert guarded.http.get("/healthz", headers={"X-Forwarded-For": "203.0.113.1"}).is_success

    assert guarded.attempt() == WRONG


def test_an_address_is_not_believed_that_a_client_invents(guarded: Guarded) -> None:
    """The proxy adds its client's address at the end, where it sends on what came before."""
    forms = ["198.51.100.{}", "127.0.0.1, 198.51.100.{}", "{}", "x{}", "", "::{}, 127.0.0.1"]
    for last, form in enumerate(forms):
        answers = [guarded.attempt(f"{form.format(number)}, 203.0.113.{last}") for number in range(MOST + 1)]
        assert answers == [WRONG] * MOST + [TOO_MANY], form


def test_nobody_is_believed_who_is_no_trusted_proxy(make_guarded: Callable[..., Guarded]) -> None:
    """Also not who asks from the server's own machine."""
    guarded = make_guarded(LONG_TOKEN, proxies="192.0.2.1, 10.0.0.0/8")

    answers = [guarded.attempt(f"198.51.100.{number}") for number in range(MOST + 1)]
    assert answers[-1] == TOO_MANY
    headers = {"X-Forwarded-Proto": "https", "Accept": "text/html"}
    answer = guarded.http.post("/login", data={"token": LONG_TOKEN}, headers=headers)
    assert answer.status_code == 303
    assert "secure" not in answer.headers["Set-Cookie"].lower()


@pytest.mark.parametrize("proxies", ["*", "proxy.lan", "10.0.0.0/40", "10.0.0.1;10.0.0.2"])
def test_a_trusted_proxy_is_an_address_or_a_network(proxies: str) -> None:
    with pytest.raises(SturgeonError, match="write addresses and networks such as"):
        Settings(trusted_proxies=proxies).proxies()
    assert Settings(trusted_proxies=" 10.0.0.9/8 , ::1,").proxies() == ["10.0.0.0/8", "::1/128"]


def test_a_network_of_ipv6_has_one_budget(guarded: Guarded) -> None:
    answers = [guarded.attempt(f"2001:db8:1:2:{number:x}::1") for number in range(MOST + 1)]

    assert answers[-1] == TOO_MANY
    assert guarded.attempt("2001:db8:1:3::1") == WRONG


@pytest.mark.parametrize(
    ("host", "whose"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0:ffff::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("x" * 9000, "x" * 64),
    ],
)
def test_addresses_of_one_client_share_a_budget(host: str, whose: str) -> None:
    assert neighbourhood(host) == whose


def test_the_table_of_addresses_is_bounded() -> None:
    now = 0.0
    budgets = Budgets(5, lambda: now)
    for number in range(MOST_ADDRESSES + 100):
        budgets.spend(str(number), 1)
    assert len(budgets) == MOST_ADDRESSES

    wrong = WrongTokens(5, lambda: now)
    for number in range(MOST_ADDRESSES + 100):
        wrong.note(str(number))
        wrong.trust(str(number))
    assert wrong.is_known(str(MOST_ADDRESSES + 99))
    assert not wrong.is_known("0")
    assert not wrong.is_trusted("0")


def test_a_client_waits_where_others_have_guessed_and_then_says_why(make_guarded: Callable[..., Guarded]) -> None:
    guarded = make_guarded(SHARED_TOKEN)
    guarded.guess_until_refused("127.0.0.1")
    slept: list[float] = []

    with Client(guarded.server.url, SHARED_TOKEN, patience_s=0) as client, pytest.raises(TooManyWrongTokens):
        client.studies()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        guarded.seconds += seconds

    with Client(guarded.server.url, SHARED_TOKEN) as client:
        assert client.with_patience(60, sleep).studies().items == []
    assert sum(slept) >= 60 / MOST
