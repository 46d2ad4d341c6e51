"""A study that is deleted while a run reports: the report is refused, and nothing is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from server.services import lookup
from server.store import leases
from sturgeon.errors import LeaseLost, NotFound
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from server.settings import Settings
    from tests.running import RunningServer

WATCHED = BOWL | {"budget": {"max_trials": 4, "max_epochs": 100}}


@pytest.mark.parametrize("database_kind", ["postgres"])  # nobody can delete it there while SQLite's lock is held
@pytest.mark.parametrize("made_again", [False, True])
@pytest.mark.parametrize(("study", "module", "step"), [(BOWL, leases, "renew"), (WATCHED, lookup, "lock_study")])
def test_a_report_on_a_study_that_is_deleted_meanwhile_is_refused(
    settings: Settings,
    serve: Callable[[Settings], RunningServer],
    monkeypatch: pytest.MonkeyPatch,
    study: dict[str, Any],
    module: Any,
    step: str,
    made_again: bool,
) -> None:
    server = serve(settings)
    server.client.create_study(study)
    [lease] = server.client.ask("bowl").leases
    go_on = getattr(module, step)

    def delete_and_go_on(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(module, step, go_on)
        server.client.delete_study("bowl", force=True)
        if made_again:
            server.client.create_study(study)
            server.client.ask("bowl")
        return go_on(*args, **options)

    monkeypatch.setattr(module, step, delete_and_go_on)
    with pytest.raises(LeaseLost if made_again else NotFound):
        server.client.report("bowl", 0, lease.fence, [{"step": 1, "epoch": 1.0, "metrics": {"loss": 1.0}}])
    if made_again:
        assert server.client.late_results("bowl").items == []
