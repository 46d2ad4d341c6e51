"""Webhooks: what happens is told at least once, signed, and to addresses that may be reached."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa

from server.services.webhooks import best_watch, delivery
from server.services.webhooks.addresses import networks_of
from server.services.webhooks.delivery import GIVE_UP_US, TAKEN_US, Courier
from server.store import events, outbox
from sturgeon.errors import Conflict, Forbidden, Invalid, NotFound
from tests.server.receivers import Receiver
from tests.server.studies import BOWL, refusal

if TYPE_CHECKING:
    from sturgeon.messages import NewWebhook
    from tests.running import RunningServer

HERE = networks_of("127.0.0.1")


@pytest.fixture
def make_courier(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Courier]]:
    """Makes what delivers, and may reach this machine. The server's own does nothing meanwhile."""
    state = server.app.state
    monkeypatch.setattr(state.courier, "networks", HERE)
    monkeypatch.setattr(state.courier, "step", lambda: None)
    state.courier.settle()
    made: list[Courier] = []

    def make() -> Courier:
        made.append(Courier(state.database, state.counters, HERE))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def courier(make_courier: Callable[[], Courier]) -> Courier:
    """That of a server."""
    return make_courier()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as one:
        yield one


@pytest.fixture
def told(server: RunningServer, make_courier: object, receiver: Receiver) -> NewWebhook:
    """A webhook of all studies that the receiver gets."""
    assert make_courier
    return server.client.create_webhook(receiver.url)


def deliver(courier: Courier) -> None:
    """What the server does twice a second, to its end."""
    courier.step()
    courier.settle()


def finish(server: RunningServer, *losses: float, name: str = "bowl") -> None:
    """Run a study of so many trials to its end."""
    server.client.create_study(BOWL | {"name": name, "budget": {"max_trials": len(losses)}})
    for loss in losses:
        tell(server, loss, name)


def tell(server: RunningServer, loss: float, name: str = "bowl") -> None:
    [lease] = server.client.ask(name).leases
    server.client.tell(name, lease.number, lease.fence, {"loss": loss})


def look_for_best(server: RunningServer) -> None:
    best_watch.watch(server.app.state.transactions, server.app.state.asks.sampler_pool)


def states(server: RunningServer, webhook: int) -> list[tuple[str, str, int]]:
    """The newest delivery first."""
    return [(one.event, one.state, one.attempts) for one in server.client.deliveries(webhook).items]


def documented_verification() -> Callable[..., bool]:
    """The function that docs/webhooks.md gives to receivers."""
    text = (Path(__file__).parents[2] / "docs/webhooks.md").read_text(encoding="utf-8")
    [code] = re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(code, names)  # it is ours
    verified: Callable[..., bool] = names["verified"]
    return verified


def test_the_end_of_a_study_is_told_under_a_signature_that_holds(
    server: RunningServer, courier: Courier, receiver: Receiver, http: httpx.Client
) -> None:
    webhook = server.client.create_webhook(receiver.url, events=["study_done"])

    finish(server, 0.5)
    deliver(courier)

    got = receiver.next()
    verified, now = documented_verification(), server.clock.microseconds / 1e6
    assert verified(webhook.secret, got.headers, got.body, now)
    assert not verified(webhook.secret, got.headers, got.body + b" ", now)
    assert not verified(webhook.secret, got.headers | {"webhook-id": "another"}, got.body, now)
    assert not verified(webhook.secret, got.headers, got.body, now + 301)
    body = json.loads(got.body)
    assert (body["id"], body["type"]) == (got.headers["webhook-id"], "study_done")
    assert body["data"] == {
        "study": "bowl",
        "trial": None,
        "detail": {"state": "completed", "was": "active", "why": "max_trials"},
        "actor": "server",
    }
    assert states(server, webhook.id) == [("study_done", "delivered", 1)]
    assert 'sturgeon_webhook_deliveries_total{event="study_done",outcome="delivered"} 1.0' in http.get("/metrics").text


def test_what_was_rolled_back_is_told_to_nobody(server: RunningServer, told: NewWebhook) -> None:
    server.client.create_study(BOWL)

    def in_vain() -> None:
        with server.app.state.transactions.on_study("bowl") as scope:
            events.insert(scope.tx, scope.study.id, "drift", scope.now)
            assert outbox.count_waiting(scope.tx) == 1
            raise KeyError("no luck")

    with pytest.raises(KeyError):
        in_vain()

    assert states(server, told.id) == []


def test_what_one_server_stored_another_one_sends(
    server: RunningServer, make_courier: Callable[[], Courier], told: NewWebhook, receiver: Receiver
) -> None:
    finish(server, 0.5)
    assert ("study_done", "waiting", 0) in states(server, told.id)

    deliver(make_courier())

    assert json.loads(receiver.next().body)["type"] == "study_done"


def test_a_message_comes_again_later_and_later_under_the_same_id(server: RunningServer, courier: Courier) -> None:
    with Receiver(500, 503, 500, 500, 500, 200) as receiver:
        webhook = server.client.create_webhook(receiver.url, events=["study_done"])
        finish(server, 0.5)
        ids = []
        for seconds in (0, 5.6, 11.2, 22.4, 44.8, 88.8):  # never less than the wait before it, of 5 s, 10 s .. 80 s
            server.advance(seconds=seconds * 0.8)
            if seconds:
                deliver(courier)
                assert receiver.requests.empty()  # it is too early
            server.advance(seconds=seconds * 0.2)
            deliver(courier)
            ids.append(receiver.next().headers["webhook-id"])

        assert len(set(ids)) == 1
        assert receiver.requests.empty()
        assert states(server, webhook.id) == [("study_done", "delivered", 6)]
        assert server.client.webhooks().items[0].failures == 0


def test_what_nobody_takes_within_a_day_is_given_up(server: RunningServer, courier: Courier) -> None:
    with Receiver(500) as receiver:
        webhook = server.client.create_webhook(receiver.url, events=["study_done"])
        finish(server, 0.5)
        deliver(courier)
        server.advance(seconds=GIVE_UP_US / 1e6 + 1)
        deliver(courier)

        assert states(server, webhook.id) == [("study_done", "given_up", 2)]
        [one] = server.client.deliveries(webhook.id).items
        assert (one.status, one.error) == (500, "the answer was 500")


def test_two_servers_do_not_deliver_at_once_unless_one_is_lost(
    server: RunningServer, make_courier: Callable[[], Courier], told: NewWebhook, receiver: Receiver
) -> None:
    courier, other = make_courier(), make_courier()
    receiver.gate.clear()
    server.client.test_webhook(told.id)
    courier.step()
    first = receiver.next()

    with Receiver() as third:
        server.client.test_webhook(server.client.create_webhook(third.url).id)
        other.step()
        third.next()
        other.settle()
    assert receiver.requests.empty()

    server.advance(seconds=TAKEN_US / 1e6)
    other.step()
    second = receiver.next()
    receiver.gate.set()
    courier.settle()
    other.settle()
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert states(server, told.id) == [("test", "delivered", 1)]


@contextmanager
def one_slow_delivery(server: RunningServer, courier: Courier, told: NewWebhook, receiver: Receiver) -> Iterator[None]:
    """Its receiver answers at the end; then it must have come once."""
    receiver.gate.clear()
    server.client.test_webhook(told.id)
    courier.step()
    receiver.next()
    yield
    receiver.gate.set()
    courier.settle()
    assert receiver.requests.empty()
    assert states(server, told.id) == [("test", "delivered", 1)]


def test_a_slow_delivery_is_kept_and_comes_once(
    server: RunningServer,
    make_courier: Callable[[], Courier],
    told: NewWebhook,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "KEPT_EVERY_S", 0.0)
    courier, other = make_courier(), make_courier()
    with one_slow_delivery(server, courier, told, receiver):
        for _ in range(5):  # as long as an attempt may take, and longer than a webhook is taken once
            server.advance(seconds=TAKEN_US / 2e6)
            courier.step()
            other.step()
            other.settle()


def test_a_server_that_was_late_begins_no_second_delivery(
    server: RunningServer, courier: Courier, told: NewWebhook, receiver: Receiver
) -> None:
    with one_slow_delivery(server, courier, told, receiver):
        server.advance(seconds=TAKEN_US / 1e6 + 1)
        courier.step()


def test_a_slow_receiver_delays_no_other(
    server: RunningServer, courier: Courier, told: NewWebhook, receiver: Receiver
) -> None:
    receiver.gate.clear()
    with Receiver() as quick:
        other = server.client.create_webhook(quick.url)
        for webhook in (told.id, told.id, other.id):
            server.client.test_webhook(webhook)

        courier.step()

        receiver.next()
        assert json.loads(quick.next().body)["data"]["detail"] == {"webhook": other.id}
        assert states(server, told.id) == [("test", "waiting", 0)] * 2
        receiver.gate.set()
        courier.settle()
    assert states(server, told.id) == [("test", "delivered", 1)] * 2


def test_a_server_that_stops_waits_for_no_receiver(
    server: RunningServer, courier: Courier, told: NewWebhook, receiver: Receiver
) -> None:
    receiver.gate.clear()
    server.client.test_webhook(told.id)
    courier.step()
    receiver.next()

    courier.stop()

    [one] = server.client.deliveries(told.id).items
    assert (one.state, one.error) == ("waiting", "127.0.0.1: the server has ended meanwhile")


def test_a_redirect_is_not_followed(server: RunningServer, courier: Courier, receiver: Receiver) -> None:
    with Receiver(307, location=receiver.url) as elsewhere:
        webhook = server.client.create_webhook(elsewhere.url)
        server.client.test_webhook(webhook.id)
        deliver(courier)
        elsewhere.next()

    assert receiver.requests.empty()
    [one] = server.client.deliveries(webhook.id).items
    assert (one.status, one.state) == (307, "waiting")
    assert "redirects are not followed" in (one.error or "")


def test_the_connection_goes_to_the_address_that_was_checked(
    server: RunningServer, courier: Courier, receiver: Receiver
) -> None:
    looked_up: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"] if len(looked_up) == 1 else ["127.0.0.9"]

    courier.resolve = resolve
    webhook = server.client.create_webhook(f"http://hooks.invalid:{receiver.port}/a?b=c")
    server.client.test_webhook(webhook.id)
    deliver(courier)

    got = receiver.next()
    assert (got.path, got.headers["Host"]) == ("/a?b=c", f"hooks.invalid:{receiver.port}")
    assert looked_up == ["hooks.invalid"]


@pytest.mark.parametrize("found", [["127.0.0.1"], ["93.184.215.14", "10.0.0.7"], ["93.184.215.14", "fe80::1%lo"]])
def test_a_name_with_one_address_that_is_not_public_is_refused(
    server: RunningServer, courier: Courier, found: list[str]
) -> None:
    courier.networks = ()
    courier.resolve = lambda _host, _port: found
    webhook = server.client.create_webhook("https://hooks.invalid/")
    server.client.test_webhook(webhook.id)
    deliver(courier)

    [one] = server.client.deliveries(webhook.id).items
    assert (one.state, one.attempts, one.status) == ("waiting", 1, None)
    assert "is not a public address" in (one.error or "")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:10.0.0.1]", "localhost", "a.localhost.", "169.254.169.254"],
)
def test_a_url_that_names_a_private_address_is_refused_at_once(server: RunningServer, host: str) -> None:
    with pytest.raises(Forbidden, match="is not a public address") as caught:
        server.client.create_webhook(f"http://{host}:8080/x")

    assert [error.pointer for error in caught.value.errors] == ["/url"]


@pytest.mark.parametrize(
    "host", ["..com", "a..com", ".com", "-a.com", "a-.com", "a" * 64 + ".com", "a.b" * 90, "a,b.com", "."]
)
def test_a_url_without_the_name_of_a_host_is_refused(server: RunningServer, host: str) -> None:
    with pytest.raises((Forbidden, Invalid)) as caught:
        server.client.create_webhook(f"https://{host}/x")

    assert [error.pointer for error in caught.value.errors] == ["/url"]


@pytest.mark.parametrize("host", ["hooks.example", "Hooks.Example.", "x", "1a.example"])
def test_any_name_of_a_host_is_taken(server: RunningServer, host: str) -> None:
    assert server.client.create_webhook(f"https://{host}/x").url == f"https://{host}/x"


def test_the_secret_is_shown_once_and_is_another_each_time(
    server: RunningServer, told: NewWebhook, http: httpx.Client
) -> None:
    server.client.test_webhook(told.id)
    other = server.client.create_webhook("https://hooks.example/x")

    assert other.secret != told.secret
    for path in ("", f"/{told.id}/deliveries"):
        assert told.secret not in http.get(f"/v1/webhooks{path}").text
        assert "secret" not in http.get(f"/v1/webhooks{path}").text


def test_a_study_has_its_own_webhooks_and_takes_them_along(
    server: RunningServer, courier: Courier, receiver: Receiver
) -> None:
    server.client.create_study(BOWL | {"name": "other"})
    webhook = server.client.create_webhook(receiver.url, study="other")
    server.client.create_webhook(receiver.url, events=["drift"])
    finish(server, 0.5)
    deliver(courier)
    assert receiver.requests.empty()

    server.client.delete_study("other")

    assert [one.study for one in server.client.webhooks().items] == [None]
    with pytest.raises(NotFound, match=f"There is no webhook {webhook.id}"):
        server.client.test_webhook(webhook.id)


def test_no_more_than_twenty_and_none_twice(server: RunningServer, http: httpx.Client) -> None:
    for number in range(20):
        server.client.create_webhook(f"https://hooks.example/{number}")

    with pytest.raises(Conflict, match="There are 20 webhooks already"):
        server.client.create_webhook("https://hooks.example/20")
    with pytest.raises(Conflict, match="There is a webhook to this url already"):
        server.client.create_webhook("https://hooks.example/3")
    server.client.delete_webhook(server.client.webhooks().items[3].id)
    server.client.create_webhook("https://hooks.example/3")
    pages = [server.client.webhooks(page_size=15)]
    pages.append(server.client.webhooks(page_size=15, page_token=pages[0].next_page_token))
    assert [len(page.items) for page in pages] == [15, 5]
    assert refusal(http.post("/v1/webhooks", json={"url": "ftp://hooks.example/"})) == (422, "invalid")
    assert refusal(http.post("/v1/webhooks", json={"url": "https://me:pw@hooks.example/"})) == (422, "invalid")


def test_another_recommended_trial_is_told_and_an_old_one_is_not(
    server: RunningServer, courier: Courier, receiver: Receiver
) -> None:
    server.client.create_study(BOWL | {"budget": {"max_trials": 9}})
    tell(server, 0.5)
    webhook = server.client.create_webhook(receiver.url, events=["new_best"])
    tell(server, 0.75)
    look_for_best(server)
    assert states(server, webhook.id) == []

    tell(server, 0.25)
    look_for_best(server)
    look_for_best(server)
    deliver(courier)

    data = json.loads(receiver.next().body)["data"]
    assert (data["trial"], data["detail"]["value"]) == (2, 0.25)
    assert states(server, webhook.id) == [("new_best", "delivered", 1)]
    [event] = [one for one in server.client.events("bowl").items if one.kind == "recommended"]
    assert event.number == 2

    server.client.delete_webhook(webhook.id)
    tell(server, 0.125)
    look_for_best(server)
    assert [one.kind for one in server.client.events("bowl").items].count("recommended") == 1


@pytest.mark.usefixtures("told")
def test_a_trial_that_failed_for_good_and_an_alarm_are_told(server: RunningServer) -> None:
    server.client.create_study(BOWL)
    for attempt in range(3):
        [lease] = server.client.ask("bowl").leases
        alarm = {"kind": "drift", "key": f"p{attempt}", "reason": "the inputs moved", "portion": "7"}
        server.client.report("bowl", lease.number, lease.fence, [], events=[alarm, alarm])
        server.client.tell("bowl", lease.number, lease.fence, state="failed", error="Traceback ..\nValueError: no disk")

    with server.app.state.database.reading() as tx:
        rows = tx.execute(sa.text("SELECT event, body FROM deliveries ORDER BY id")).all()
    assert [row.event for row in rows] == ["drift", "drift", "drift", "failure"]
    assert json.loads(rows[0].body)["data"]["detail"]["reason"] == "the inputs moved"
    assert json.loads(rows[3].body)["data"] == {
        "study": "bowl", "trial": 0, "detail": {"attempts": 3, "reason": "ValueError: no disk"}, "actor": "local",
    }  # fmt: skip
