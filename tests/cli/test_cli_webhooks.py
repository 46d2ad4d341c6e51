"""`sturgeon webhook add | list | delete | test | deliveries`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from server.services.webhooks.addresses import networks_of
from tests.cli.command import Command
from tests.server.receivers import Receiver

if TYPE_CHECKING:
    from tests.running import RunningServer


@pytest.fixture
def reaches_here(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> RunningServer:
    """A server whose webhooks may reach this machine."""
    monkeypatch.setattr(server.app.state.courier, "networks", networks_of("127.0.0.1"))
    return server


@pytest.mark.usefixtures("reaches_here")
def test_a_webhook_is_added_tested_listed_and_deleted(sturgeon: Command) -> None:
    with Receiver(204, 500) as receiver:
        added = sturgeon("webhook", "add", receiver.url, "--on", "failure", "--on", "drift")
        assert added.out.splitlines()[0] == f"Webhook 1: {receiver.url} is told of drift, failure of all studies."
        secret = added.out.split()[-1]
        assert secret.startswith("whsec_")

        assert sturgeon("webhook", "test", "1").out == "Delivered: the answer was 204.\n"
        refused = sturgeon("webhook", "test", "1")
        assert (refused.code, refused.err) == (1, "sturgeon: Not delivered: the answer was 500.\n")

        assert [one["events"] for one in sturgeon("webhook", "list", "-o", "json").json] == [["drift", "failure"]]
        assert secret not in sturgeon("webhook", "list", "-o", "json").out
        listed = sturgeon("webhook", "deliveries", "1", "-o", "json").json
        assert [(one["state"], one["status"]) for one in listed] == [("waiting", 500), ("delivered", 204)]
        assert "the answer was 500" in sturgeon("webhook", "deliveries", "1").out

        assert sturgeon("webhook", "delete", "1", "-o", "json").json == {"deleted": "1"}
        assert sturgeon("webhook", "list", "-o", "json").json == []


@pytest.mark.usefixtures("server")
def test_what_cannot_be_told_is_refused_in_a_sentence(sturgeon: Command) -> None:
    private = sturgeon("webhook", "add", "http://127.0.0.1:9/")
    assert private.code == 1
    assert "is not a public address; STURGEON_WEBHOOK_NETWORKS of the server can allow its network" in private.err
    assert "study_done" in sturgeon("webhook", "add", "https://hooks.example/", "--on", "lunch").err
    assert sturgeon("webhook", "add", "https://hooks.example/", "--study", "nobody").code == 1
    assert sturgeon("webhook", "test", "7").err == (
        "sturgeon: There is no webhook 7; `sturgeon webhook list` lists them.\n"
    )
