"""docker-compose.yml and the Dockerfile hold what they promise, as far as that can be seen without Docker."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sturgeon.client import Client
from sturgeon.errors import Unauthorized
from tests.processes import wait_until
from tests.system.compose import ROOT, LocalCompose, LocalImage, compose_file, dockerfile, make_secrets

DIGITS = {
    "name": "digits",
    "metric": "dev_error",
    "space": {"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1, "scale": "log"}},
    "search": {"sampler": "random", "seed": 1},
    "budget": {"max_trials": 4},
    "task": {"kind": "train", "dataset": "digits", "epochs": 2, "fixed": {"hidden_units": 16}},
}


@pytest.fixture
def compose(tmp_path: Path) -> Iterator[LocalCompose]:
    running = LocalCompose(tmp_path, LocalImage(tmp_path / "image"))
    yield running
    running.down()


def test_services_come_up_in_order_and_two_workers_complete_a_study(
    compose: LocalCompose,
) -> None:
    compose.up(worker=2)
    assert compose.started == ["database", "migrate", "server", "worker"]
    assert compose.door.startswith("http://127.0.0.1:")
    with Client(compose.door, token="wrong") as stranger, pytest.raises(Unauthorized):
        stranger.studies()
    with Client(compose.door, token=compose.secret("token").read_text().strip()) as client:
        client.create_study(DIGITS)
        wait_until(lambda: client.study("digits").state == "completed", "the study completed")
        assert client.study("digits").counts == {"complete": 4}, compose.output
        assert len(client.workers().items) == 2


@pytest.mark.fault("N")
def test_workers_have_data_folders_and_a_health_check() -> None:
    worker = compose_file()["services"]["worker"]
    folders = {volume.split(":")[1] for volume in worker["volumes"]}
    assert worker["environment"]["STURGEON_DATA"] in folders
    check = worker["healthcheck"]["test"]
    assert check[0] == "CMD"
    assert worker["environment"]["STURGEON_ALIVE_FILE"] in check[-1], "it is the worker's own health"
    assert "server" not in check[-1]


@pytest.mark.fault("L5")
def test_what_waits_for_the_server_outlives_a_container() -> None:
    worker = compose_file()["services"]["worker"]
    volumes = dict(volume.split(":") for volume in worker["volumes"])
    [kept] = [folder for source, folder in volumes.items() if source in compose_file()["volumes"]]
    assert Path(worker["environment"]["STURGEON_SPOOL"]).is_relative_to(kept)


@pytest.mark.fault("N")
def test_all_services_of_ours_have_one_image_which_is_built_once() -> None:
    services = compose_file()["services"]
    ours = {name: service for name, service in services.items() if name != "database"}
    assert len({service["image"] for service in ours.values()}) == 1
    assert [name for name, service in services.items() if "build" in service] == ["migrate"]
    assert all(service["pull_policy"] == "never" for name, service in ours.items() if name != "migrate")


@pytest.mark.fault("N")
def test_images_are_pinned_to_a_release() -> None:
    images = [service["image"] for service in compose_file()["services"].values()]
    images += [arguments for step, arguments in dockerfile() if step == "FROM"]
    assert [image for image in images if not re.search(r":\d+\.\d+", image)] == []


def test_workers_can_be_scaled() -> None:
    """A fixed name or port would allow only one container."""
    assert not {"container_name", "ports", "hostname"} & set(compose_file()["services"]["worker"])


def test_no_password_or_token_is_written_in_the_compose_file() -> None:
    names = [name for service in compose_file()["services"].values() for name in service["environment"]]
    assert {"POSTGRES_PASSWORD_FILE", "STURGEON_TOKEN_FILE"} <= set(names)
    for name in names:
        assert name.endswith("_FILE") or not ("PASSWORD" in name or "TOKEN" in name)


def test_secrets_are_closed_to_other_people_and_open_to_a_containers_user(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    files = list((tmp_path / "secrets").iterdir())
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in files} == {0o644}
    assert len({file.read_text() for file in files}) == len(compose_file()["secrets"]) == 2


def test_secrets_once_made_stay(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    token = (tmp_path / "secrets" / "token").read_text()
    make_secrets(tmp_path)
    assert (tmp_path / "secrets" / "token").read_text() == token


def test_the_image_does_not_run_as_root() -> None:
    steps = [step for step, _ in dockerfile()]
    assert ("USER", "10001") in dockerfile()
    assert "RUN" not in steps[steps.index("USER") :]


def test_all_that_the_image_copies_is_let_through_by_dockerignore() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for step, names in dockerfile() if step == "COPY" for name in names.split()[:-1]}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
