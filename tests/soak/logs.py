"""What servers and workers logged that no fault explains."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from tests.errors import errors_of_process
from tests.soak.system import Member

UNAVAILABLE: Final = 503
GONE_BACK: Final = re.compile("has gone back to step .* does not count any more")
"""What a worker is told whose checkpoint crossed with a rollback that a person asked for."""


def errors_in_logs(members: Iterable[Member]) -> list[str]:
    """Each kind of logged error and of traceback, with how often it came. An answer of 503 is judged by the history."""
    found: Counter[str] = Counter()
    for one in members:
        found.update(said for error in errors_of_process(one.process.output) if (said := _shortened(error)) is not None)
    return [f"{count} times: {said}" for said, count in found.items()]


def _shortened(error: str) -> str | None:
    """An error without its times and numbers; None for what is no error."""
    if not error.startswith("{"):
        return error[-800:]
    told = json.loads(error)
    reason = re.sub("[0-9]+", "N", str(told.get("reason", "")))
    if told.get("status") == UNAVAILABLE or GONE_BACK.search(reason):
        return None
    parts = [str(told.get(name, "")) for name in ("level", "event", "duty", "part", "error", "status", "path")]
    return " ".join([*filter(None, parts), reason, str(told.get("exception", ""))[-600:]]).strip()
