"""What the routes of all nouns stand on."""

from __future__ import annotations

from sturgeon.client.wire import Wire


class Connected:
    """Has the connections to a server."""

    _wire: Wire
