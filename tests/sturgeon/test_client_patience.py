"""The client while the server is away: what is tried again, for how long, and what is said at the end."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import httpx
import pytest

from sturgeon import Client, errors

TOO_LARGE = httpx.Response(413, html="<h1>413 Request Entity Too Large</h1>")
OK = httpx.Response(200, json={"status": "ok"})
LEASES = httpx.Response(200, json={"leases": [], "reason": "waiting"})


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


def client_of(
    answer: Callable[[httpx.Request], httpx.Response],
    time: FakeTime,
    uniform: float = 1.0,
    patience_s: float = 30,
) -> Client:
    return Client(
        "http://server.test",
        transport=httpx.MockTransport(answer),
        patience_s=patience_s,
        sleep=time.sleep,
        clock=time.clock,
        uniform=lambda: uniform,
    )


def in_turn(
    *answers: httpx.Response | Exception,
) -> tuple[list[httpx.Request], Callable[..., httpx.Response]]:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        now = answers[min(len(seen), len(answers)) - 1]
        if isinstance(now, Exception):
            raise now
        return now

    return seen, answer


def test_a_call_is_tried_again_until_the_server_is_back(time: FakeTime) -> None:
    seen, answer = in_turn(httpx.ConnectError("refused"), httpx.Response(503), httpx.ReadTimeout("late"), OK)

    assert client_of(answer, time).health().status == "ok"

    assert len(seen) == 4
    assert time.slept == [0.2, 0.4, 0.8]


def test_half_of_each_wait_is_random(time: FakeTime) -> None:
    _, answer = in_turn(httpx.ConnectError("refused"), OK)

    client_of(answer, time, uniform=0.0).health()

    assert time.slept == [0.1]


def test_no_wait_is_longer_than_five_seconds(time: FakeTime) -> None:
    _, answer = in_turn(*[httpx.ConnectError("refused")] * 40, OK)

    client_of(answer, time, patience_s=3600).health()

    assert max(time.slept) == 5.0


def test_retry_after_is_honoured(time: FakeTime) -> None:
    _, answer = in_turn(httpx.Response(503, headers={"Retry-After": "7"}), OK)

    client_of(answer, time).health()

    assert time.slept == [7.0]


def test_when_patience_ends_one_sentence_says_so(time: FakeTime) -> None:
    seen, answer = in_turn(httpx.ConnectError("Connection refused"))

    with pytest.raises(errors.ServerUnreachable) as caught:
        client_of(answer, time, patience_s=30).health()

    assert time.now <= 30
    assert time.now + 5 > 30
    assert str(caught.value) == (
        f"The server at http://server.test did not answer (Connection refused), tried {len(seen)} times "
        f"in {time.now:.0f} s: is it running, and is the address right?"
    )


def test_a_server_that_stays_unready_is_told_from_one_that_is_gone(time: FakeTime) -> None:
    _, answer = in_turn(httpx.Response(503))

    with pytest.raises(errors.ServerUnreachable, match=r"is not ready \(it answers 503\)"):
        client_of(answer, time).ready()


def test_a_server_that_says_why_it_is_not_ready_is_quoted(time: FakeTime) -> None:
    problem = {"title": "Busy", "status": 503, "code": "unavailable", "detail": "The disk takes nothing."}
    _, answer = in_turn(httpx.Response(503, json=problem))

    with pytest.raises(errors.ServerUnreachable) as caught:
        client_of(answer, time, patience_s=0).ready()

    assert str(caught.value) == (
        "The server at http://server.test is not ready (it answers 503): The disk takes nothing."
    )


def test_without_patience_a_call_is_tried_once(time: FakeTime) -> None:
    seen, answer = in_turn(httpx.ConnectError("refused"))

    with pytest.raises(errors.ServerUnreachable):
        client_of(answer, time, patience_s=0).health()

    assert (len(seen), time.slept) == (1, [])


def test_a_refusal_is_not_tried_again(time: FakeTime) -> None:
    problem = {"title": "Conflict", "status": 409, "code": "lease_lost", "detail": "Gone."}
    seen, answer = in_turn(httpx.Response(409, json=problem))

    with pytest.raises(errors.LeaseLost):
        client_of(answer, time).tell("s", 0, 1)

    assert len(seen) == 1


def test_the_tries_of_one_call_share_an_idempotency_key_and_two_calls_do_not(time: FakeTime) -> None:
    seen, answer = in_turn(httpx.ReadError("cut"), LEASES)
    client = client_of(answer, time)

    client.lease("w")
    client.lease("w")

    first, again, other = (request.headers["Idempotency-Key"] for request in seen)
    assert first == again != other


def test_an_export_that_breaks_off_is_not_taken_for_a_whole_one(time: FakeTime) -> None:
    class Broken(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"number,value\n0,"
            raise httpx.ReadError("cut")

    _, answer = in_turn(httpx.Response(200, stream=Broken()))

    with pytest.raises(errors.ServerUnreachable, match="in mid-answer"):
        list(client_of(answer, time).export("s"))


@pytest.mark.parametrize("address", ["localhost:8000", "", "http://", "http://a:port", "ftp://server.test"])
def test_what_is_no_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(errors.ServerUnreachable, match="write one like http://127"):
        Client(address)


def test_another_patience_shares_the_connections(time: FakeTime) -> None:
    class Enough(Exception):
        pass

    def no_more(seconds: float) -> None:
        raise Enough(seconds)

    seen, answer = in_turn(httpx.ConnectError("refused"))

    with pytest.raises(Enough):
        client_of(answer, time, patience_s=0).with_patience(float("inf"), no_more).health()

    assert len(seen) == 1


def test_a_closed_client_says_so(time: FakeTime) -> None:
    _, answer = in_turn(OK)
    client = client_of(answer, time)
    client.close()

    with pytest.raises(errors.ServerUnreachable, match="is closed"):
        client.health()


@pytest.mark.parametrize("token", ["two words", "line\n", "\u00fcmlaut"])
def test_a_token_that_no_header_carries_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(errors.Unauthorized) as caught:
        Client("http://server.test", token)

    assert token not in str(caught.value)


class Torn(httpx.SyncByteStream):
    """A body that breaks off."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"half of "
        raise httpx.ReadError("the connection broke")


@pytest.mark.fault("L8")
def test_a_checkpoint_that_breaks_off_is_read_again_from_its_start(time: FakeTime) -> None:
    torn = httpx.Response(200, stream=Torn())
    whole = httpx.Response(200, content=b"a whole checkpoint")
    _, answer = in_turn(torn, whole)
    assert client_of(answer, time).checkpoint("digits", 0, 7) == b"a whole checkpoint"

    file = io.BytesIO()
    _, answer = in_turn(httpx.Response(200, stream=Torn()), httpx.Response(200, content=b"half"))
    client_of(answer, time).download_checkpoint("digits", 0, "best", file)
    assert file.getvalue() == b"half", "nothing is left of what was longer"


@pytest.mark.fault("L8")
def test_no_more_of_a_checkpoint_is_read_than_may_be(time: FakeTime) -> None:
    read = []

    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                read.append(bytes(1000))
                yield read[-1]

    client = client_of(lambda _request: httpx.Response(200, stream=Endless()), time)
    with pytest.raises(errors.TooLarge, match="more than the 5,000 bytes"):
        client.checkpoint("digits", 0, 7, most_bytes=5000)
    assert len(read) == 6


def test_a_body_that_a_proxy_refuses_is_too_large_and_not_sent_again(time: FakeTime) -> None:
    seen, answer = in_turn(TOO_LARGE)
    with pytest.raises(errors.TooLarge, match=r"The proxy before http://server\.test takes no body"):
        client_of(answer, time).put_checkpoint("bowl", 0, 1, b"x", 1)
    assert len(seen) == 1
