"""Each operation of the server has a command, and each command prints JSON of a documented form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from typer.main import get_command

from server.app import create_app
from server.settings import Settings
from sturgeon.cli.app import app
from sturgeon.cli.forms import FORMS, LINES
from tests.cli.command import Command

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS: Final = {
    "create_study": "study create",
    "list_studies": "study list",
    "read_study": "study show",
    "change_study": "study pause",
    "delete_study": "study delete",
    "best_trials": "study best",
    "study_rounds": "study rounds",
    "study_importance": "study importance",
    "replay_study": "study replay",
    "list_trials": "study trials",
    "import_trials": "import",
    "enqueue_trial": "trial enqueue",
    "ask_trials": "trial ask",
    "read_trial": "trial show",
    "change_trial": "trial describe",
    "trial_metrics": "trial curve",
    "tell_trial": "trial tell",
    "release_trial": "trial release",
    "requeue_trial": "trial requeue",
    "invalidate_trial": "trial invalidate",
    "cancel_trial": "trial cancel",
    "read_log": "trial log",
    "change_params": "panda set",
    "pause_trial": "panda pause",
    "resume_trial": "panda resume",
    "stop_trial": "panda stop",
    "keep_checkpoint_now": "panda checkpoint",
    "roll_trial_back": "panda rollback",
    "fork_trial": "panda fork",
    "promote_trial": "panda promote",
    "read_timeline": "panda timeline",
    "read_lineage": "panda lineage",
    "list_proposals": "panda proposals",
    "accept_proposal": "panda accept",
    "dismiss_proposal": "panda dismiss",
    "list_checkpoints": "trial checkpoints",
    "read_best_checkpoint": "study export",
    "read_checkpoint": "study export",
    "read_diagnosis": "study diagnosis",
    "read_errors": "study errors",
    "tag_errors": "study tag-errors",
    "list_workers": "workers",
    "drain_worker": "drain",
    "list_events": "study events",
    "list_revisions": "study revisions",
    "list_late_results": "study late-results",
    "create_webhook": "webhook add",
    "list_webhooks": "webhook list",
    "delete_webhook": "webhook delete",
    "test_webhook": "webhook test",
    "list_deliveries": "webhook deliveries",
    "create_token": "token create",
    "list_tokens": "token list",
    "revoke_token": "token revoke",
    "list_audit": "audit",
    "overview": "study overview",
    "study_plot": "study plot",
    "trial_plot": "study plot",
    "list_rows": "study rows",
    "list_curves": "study curves",
    "read_trial_curves": "trial curves",
    "export_metrics": "study export",
    "preview_space": "study preview",
    "healthz": "status",
    "readyz": "status",
    "metrics": "status",
}

OF_PROGRAMS: Final = {
    "lease_trials",
    "renew_leases",
    "report_trial",
    "tell_trials",
    "keep_checkpoint",
    "keep_diagnosis",
    "keep_errors",
    "keep_dataset",
    "keep_log",
    "keep_versions",
}
"""What `sturgeon worker`, or a program in a trial, sends while it trains; a person has no curve to send."""


def leaves(command: object, path: tuple[str, ...] = ()) -> Iterator[str]:
    """All commands below a group, by the words that a person types."""
    below: dict[str, object] = getattr(command, "commands", {})
    for name, one in below.items():
        yield from leaves(one, (*path, name))
    if not below:
        yield " ".join(path)


def test_every_operation_of_the_server_has_a_command(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'sturgeon.db'}", checkpoints=tmp_path / "checkpoints")
    paths = create_app(settings).openapi()["paths"]
    operations = {operation["operationId"] for verbs in paths.values() for operation in verbs.values()}

    assert operations == COMMANDS.keys() | OF_PROGRAMS
    assert set(COMMANDS.values()) <= set(leaves(get_command(app)))


def test_every_command_but_programs_has_a_documented_form_of_json(sturgeon: Command) -> None:
    programs = {"serve", "worker", "embedded-server"}
    assert FORMS.keys().isdisjoint(LINES)
    assert set(leaves(get_command(app))) == FORMS.keys() | LINES.keys() | programs

    assert sturgeon("schema", "-o", "json").json.keys() == FORMS.keys() | LINES.keys()
    assert {"recommended", "verdict"} <= sturgeon("schema", "study", "best").json["properties"].keys()
    assert sturgeon("schema", "serve").code == 2
