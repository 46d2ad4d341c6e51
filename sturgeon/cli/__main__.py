"""The console script, and `python -m sturgeon.cli`.

It imports next to nothing, so that Ctrl-C ends the command without a traceback while the rest is being imported.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Final, NoReturn

INTERRUPTED: Final = 130


def main() -> NoReturn:
    """Run the command line and exit with its exit code."""
    # A signal that is ignored, as under `nohup` or in a script's `&`, stays ignored.
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, _end)
    if sys.argv[1:2] == ["report"]:  # a script calls it at each step: it does not wait for what the others import
        from sturgeon.trial_process import report_command

        sys.exit(report_command(sys.argv[2:]))
    import sturgeon.ours_first  # noqa: F401 - before all that it is for
    from sturgeon.cli.garbage import collect_seldom

    collect_seldom()
    # The command line of httpx, which no command of ours needs: it brings Click, Pygments and more of Rich.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    from sturgeon.cli.app import main as run_and_exit

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run_and_exit()
    finally:
        if interruptible:
            signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - a handler's shape
    # No exception: an import may catch it, or wrap it in another. There is nothing to clean up then.
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
