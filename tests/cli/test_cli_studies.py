"""`sturgeon study create | list | show | pause | resume | stop | cancel | delete`, and `workers`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sturgeon.cli.following import Follower
from tests.cli.command import BOWL, Command
from tests.processes import DEADLINE_S

if TYPE_CHECKING:
    from tests.running import RunningServer


def words(text: str) -> list[list[str]]:
    """The cells of a table: columns stand two spaces apart."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.strip().splitlines()]


def test_a_study_is_created_from_a_file(sturgeon: Command, server: RunningServer, tmp_path: Path) -> None:
    file = tmp_path / "bowl.json"
    file.write_text(json.dumps(BOWL))
    ran = sturgeon("study", "create", file)
    assert (ran.code, ran.err) == (0, "")
    assert ["state", "active"] in words(ran.out)
    assert server.client.study("bowl").budget.max_trials == 4


def test_a_study_is_created_from_standard_input(sturgeon: Command, server: RunningServer) -> None:
    made = sturgeon("study", "create", "-", "-o", "json", stdin=json.dumps(BOWL)).json
    assert made == server.client.study("bowl").model_dump(mode="json")


@pytest.mark.usefixtures("new_study")
def test_what_the_server_refuses_is_its_sentence_and_exit_code_1(sturgeon: Command) -> None:
    ran = sturgeon("study", "create", "-", stdin=json.dumps(BOWL))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "sturgeon: A study named bowl exists already; choose another name.\n"


@pytest.mark.usefixtures("server")
def test_several_bad_fields_are_listed_below_the_sentence(sturgeon: Command) -> None:
    wrong = {
        **BOWL,
        "space": {"x": {"type": "float", "low": 1, "high": 0}, "y": {"type": "int", "low": 5, "high": 5}},
    }
    ran = sturgeon("study", "create", "-", stdin=json.dumps(wrong))
    assert ran.code == 1
    lines = ran.err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("sturgeon: ")
    assert [line.split(":")[0] for line in lines[1:]] == ["  /space/x", "  /space/y"]
    assert all("low must be less than high" in line for line in lines[1:])


@pytest.mark.usefixtures("server")
def test_a_study_that_is_not_there_is_one_sentence_and_exit_code_1(sturgeon: Command) -> None:
    for command in ("show", "pause", "best", "trials", "export", "watch", "delete"):
        ran = sturgeon("study", command, "nothing")
        assert (command, ran.code, ran.out) == (command, 1, "")
        assert ran.err == "sturgeon: There is no study named nothing.\n"


def test_the_list_has_a_row_for_each_study(sturgeon: Command, half_searched: RunningServer) -> None:
    half_searched.client.create_study({**BOWL, "name": "other"})
    header, bowl, other = words(sturgeon("study", "list").out)
    assert header == ["study", "state", "trials", "running", "best", "metric", "created"]
    assert bowl[:6] == ["bowl", "active", "4/4", "1", "0.25", "loss"]
    assert other[:6] == ["other", "active", "0/4", "0", "-", "loss"]
    listed = sturgeon("study", "list", "-o", "json").json
    assert [(study["name"], study["counts"].get("running", 0)) for study in listed] == [
        ("bowl", 1),
        ("other", 0),
    ]


def test_every_study_is_listed_however_many_pages_there_are(
    sturgeon: Command, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sturgeon.cli.paging.PAGE_SIZE", 2)
    for number in range(5):
        server.client.create_study({**BOWL, "name": f"s{number}"})
    assert [study["name"] for study in sturgeon("study", "list", "-o", "json").json] == [
        f"s{number}" for number in range(5)
    ]


@pytest.mark.usefixtures("half_searched")
def test_show_tells_state_space_and_best(sturgeon: Command) -> None:
    facts = {row[0]: row[1:] for row in words(sturgeon("study", "show", "bowl").out)}
    assert facts["state"] == ["active"]
    assert facts["goal"] == ["minimize loss"]
    assert facts["trials"] == ["4 of at most 4"]
    assert facts["x"] == ["type=float, low=-1, high=1"]
    assert facts["best"] == ["0.25 (trial 1), recommended"]


def test_show_and_budget_tell_what_limits_a_study_and_what_it_has_used(
    sturgeon: Command, server: RunningServer
) -> None:
    limits = {"max_trials": 9, "max_epochs": 3, "stop_when": {"below": 0.1}}
    server.client.create_study(BOWL | {"budget": limits, "pruning": {"rule": "curve", "epochs": 9}})
    server.client.ask("bowl")
    server.client.report("bowl", 0, 1, [{"step": 3, "metrics": {"loss": 0.5}}])

    facts = {row[0]: row[1:] for row in words(sturgeon("study", "show", "bowl").out)}
    shown = sturgeon("study", "budget", "bowl").out
    raised = sturgeon("study", "budget", "bowl", "--max-epochs", "none", "--max-seconds", "60", "-o", "json").json

    assert facts["pruning"] == ["curve, epochs 9"]
    assert facts["budget"] == ["3 of 3 epochs, until below=0.1, spent (max_epochs)"]
    assert words(shown)[1:5] == [
        ["trials", "9", "1"],
        ["epochs", "3", "3"],
        ["seconds", "-", "0"],
        ["stop when", "below=0.1", "-"],
    ]
    assert shown.splitlines()[-1].startswith("max_epochs is reached: ")
    assert raised["budget"] == limits | {
        "max_epochs": None,
        "max_seconds": 60.0,
        "stop_when": {"metric": None, "below": 0.1, "above": None},
    }
    assert raised["spent"]["limit"] is None
    assert sturgeon("study", "budget", "bowl", "--max-epochs", "many").code == 2


@pytest.mark.usefixtures("half_searched")
def test_text_of_strangers_is_printed_as_it_is_and_moves_no_cursor(sturgeon: Command) -> None:
    assert "a bowl, by [bold]own[/bold] code" in sturgeon("study", "show", "bowl").out
    shown = sturgeon("study", "trials", "bowl").out
    assert "ValueError: no disk\\x1b[31m" in shown
    assert "\x1b" not in shown


def test_pause_resume_stop_and_cancel_move_the_study(sturgeon: Command, half_searched: RunningServer) -> None:
    for command, state in [
        ("pause", "paused"),
        ("resume", "active"),
        ("stop", "stopped"),
        ("resume", "active"),
    ]:
        ran = sturgeon("study", command, "bowl")
        assert (ran.code, ran.out) == (0, f"bowl is {state}; 1 trials are running.\n")
        assert half_searched.client.study("bowl").state == state
    assert sturgeon("study", "cancel", "bowl", "-o", "json").json["state"] == "cancelled"
    refused = sturgeon("study", "resume", "bowl")
    assert (refused.code, len(refused.err.splitlines())) == (1, 1)


@pytest.mark.usefixtures("half_searched")
def test_a_study_with_running_trials_is_deleted_by_force_only(sturgeon: Command) -> None:
    asked = sturgeon("study", "delete", "bowl")
    assert asked.code == 2
    assert "say --yes" in asked.err
    refused = sturgeon("study", "delete", "bowl", "--yes")
    assert refused.code == 1
    assert "1 trial is running in bowl; wait, or delete it all the same (--force" in refused.err
    assert sturgeon("study", "delete", "bowl", "--force", "--yes", "-o", "json").json == {"deleted": "bowl"}
    assert sturgeon("study", "list", "-o", "json").json == []


def test_workers_are_listed_with_what_they_run(sturgeon: Command, new_study: RunningServer) -> None:
    assert sturgeon("workers", "-o", "json").json == []
    new_study.client.lease("rig-1", slots=2)
    assert sturgeon("workers", "-o", "json").json[0]["name"] == "rig-1"
    header, row = words(sturgeon("workers").out)
    assert (header[0], row[0]) == ("worker", "rig-1")


@pytest.mark.fault("N")
def test_workers_are_listed_with_all_their_slots_and_without_those_that_are_gone(
    sturgeon: Command, server: RunningServer
) -> None:
    task = {"kind": "train", "dataset": "iris", "epochs": 1}
    space = {"learning_rate": {"type": "float", "low": 0.01, "high": 0.1}}
    server.client.create_study({**BOWL, "name": "iris", "metric": "dev_error", "space": space, "task": task})
    server.client.lease("dead", slots=1, total_slots=1)
    server.advance(seconds=61)
    server.client.lease("rig-1", slots=3, total_slots=4)
    server.client.lease("rig-1", slots=1, total_slots=4)

    header, row, note = [line for line in sturgeon("workers").out.splitlines() if line]

    assert header.split() == ["worker", "running", "slots", "seen", "gpus", "memory", "labels", "runs"]
    assert row.split()[:3] == ["rig-1", "3", "4"]
    assert note == "Not shown: 1 that have not called for a minute (--all shows them)."
    assert [worker["name"] for worker in sturgeon("workers", "-o", "json").json] == ["rig-1"]
    assert [line.split()[0] for line in sturgeon("workers", "--all").out.splitlines()] == ["worker", "dead", "rig-1"]
    assert "gone" in sturgeon("workers", "--all").out.splitlines()[1]
    server.client.lease("dead", slots=1, total_slots=1)
    assert "Not shown" not in sturgeon("workers").out


@pytest.mark.usefixtures("secured")
def test_a_wrong_token_is_told_and_the_right_one_is_taken_from_its_file(
    sturgeon: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = sturgeon("study", "list")
    assert (refused.code, len(refused.err.splitlines())) == (1, 1)
    assert "token" in refused.err
    file = tmp_path / "token"
    file.write_text("sesame\n")
    assert sturgeon("study", "list", "--token-file", file, "-o", "json").json == []
    monkeypatch.setenv("STURGEON_TOKEN_FILE", str(file))
    assert sturgeon("study", "list", "-o", "json").json == []
    monkeypatch.delenv("STURGEON_TOKEN_FILE")
    monkeypatch.setenv("STURGEON_TOKEN", "sesame")
    assert sturgeon("study", "list", "-o", "json").json == []


def test_the_shell_is_offered_the_names_of_studies(new_study: RunningServer) -> None:
    new_study.client.create_study({**BOWL, "name": "boat"})
    new_study.client.create_study({**BOWL, "name": "cup"})
    assert offered("sturgeon study show bo", STURGEON_SERVER=new_study.url) == ["bowl", "boat"]
    assert offered(f"sturgeon --server {new_study.url} study show c") == ["cup"]
    assert offered("sturgeon --server http://127.0.0.1:1 study show c") == []


def offered(line: str, **env: str) -> list[str]:
    """What bash would offer for the last word of the line."""
    script = Path(sys.executable).with_name("sturgeon")
    asked = {"_STURGEON_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    ran = subprocess.run([str(script)], env={**asked, **env}, capture_output=True, text=True, timeout=DEADLINE_S)
    assert ran.stderr == ""
    return ran.stdout.split()


def test_who_cannot_run_a_study_is_named_wherever_people_look(
    sturgeon: Command, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = {"kind": "command", "argv": ["train"]}
    server.client.create_study({**BOWL, "name": "own", "task": task, "needs": {"labels": ["a100"]}})
    offer = {"kinds": ["command"], "gpus": 2, "total_gpus": 2, "memory_gb": 64, "labels": ["a100"]}
    for _ in range(2):
        [lease] = server.client.lease("rig-1", offer=offer).leases
        server.client.release("own", lease.number, lease.fence, unable="there is no program train\x1b[31m")
    cancel = partial(server.client.patch_study, "own", {"state": "cancelled"})
    monkeypatch.setattr("sturgeon.cli.watch.Follower", partial(Follower, sleep=lambda _seconds: cancel()))

    header, row, why = sturgeon("workers").out.splitlines()
    shown, watched = sturgeon("study", "show", "own").out, sturgeon("study", "watch", "own").out.splitlines()

    assert header.split()[4:] == ["gpus", "memory", "labels", "runs"]
    assert row.split()[-5:] == ["2", "64", "GB", "a100", "command"]
    sentence = "rig-1 cannot run own: there is no program train\\x1b[31m"
    assert why == sentence
    assert watched[1:3] == [sentence, "No worker can run it. rig-1: there is no program train\\x1b[31m"]
    told = [line.split() for line in shown.splitlines() if "rig-1" in line]
    assert [line[0] for line in told] == ["waits", "not"]
