"""optuna-dashboard as a process, and what it has drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import httpx

from tests.processes import Process, free_port

COMMAND: Final = Path(__file__).parents[1] / ".venv-dashboard" / "bin" / "optuna-dashboard"
"""`make bench-page` installs it there."""
POLLS_EVERY_S: Final = 10
"""Unless a person chooses another interval."""


class Dashboard(Process):
    """It shows the only study of a storage."""

    def __init__(self, storage: str, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/dashboard/studies/1"
        super().__init__([COMMAND, storage, "--host", "127.0.0.1", "--port", str(port)], folder, {}, "dashboard")

    def start(self) -> None:
        super().start()
        self.wait_until(self._answers, "it answered")

    def _answers(self) -> bool:
        try:
            return httpx.get(self.url, trust_env=False).is_success
        except httpx.TransportError:
            return False

    @staticmethod
    def drawn(trials: int) -> str:
        """In the page: whether the history has so many points."""
        return f"document.querySelectorAll('#plot-history path.point').length >= {trials}"
