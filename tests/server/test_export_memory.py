"""An export takes as much memory of ten times as many trials."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from benchmarks.scale_rows import SPACE, fill
from server.services.trials.export import export
from server.store.trial_lists import Listing

if TYPE_CHECKING:
    from tests.running import RunningServer


def peak_of(server: RunningServer, name: str, form: str) -> tuple[int, int]:
    """Bytes that were needed at once, and how long the text is."""
    tracemalloc.start()
    try:
        length = sum(len(text) for text in export(server.app.state.database, name, Listing(), form))
        return tracemalloc.get_traced_memory()[1], length
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_an_export_takes_constant_memory(server: RunningServer, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.services.trials.export.EXPORT_PAGE", 50)
    monkeypatch.setattr("server.services.trials.export.IN_MEMORY", 10_000)
    for size in (100, 1000):
        study = {"name": f"s{size}", "metric": "loss", "space": SPACE, "budget": {"max_trials": 1000}}
        server.client.create_study(study)
        fill(server.app.state.database, f"s{size}", size)
    peak_of(server, "s100", form)  # what is imported and compiled at the first one

    (few, short), (many, long) = (peak_of(server, name, form) for name in ("s100", "s1000"))

    assert long > 9 * short
    assert many < 1.5 * few
