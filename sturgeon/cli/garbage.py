"""When Python looks for garbage: hardly ever while a command imports what it needs, and as usual in what runs long.

Imports leave thousands of objects and no garbage, and the search for it took a tenth of the time of a short command.
"""

from __future__ import annotations

import gc
from typing import Final

_AS_USUAL: Final = gc.get_threshold()
_SELDOM: Final = 100_000


def collect_seldom() -> None:
    """A command begins."""
    gc.set_threshold(_SELDOM)


def collect_as_usual() -> None:
    """What runs long begins: a server or a worker. All that there is by now stays, and is never looked at again."""
    gc.freeze()
    gc.set_threshold(*_AS_USUAL)
