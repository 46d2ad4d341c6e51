"""Connections to a server that faults cut, and on which they lose answers."""

from __future__ import annotations

import socket
from contextlib import suppress

from tests.faults.network_cut import Cable


class LossyCable(Cable):
    """While `loses_answers`, requests arrive, and instead of their answers the connection ends."""

    loses_answers = False

    def _relay(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            if source.getpeername()[1] != self._port:
                return super()._relay(source, target)
            while (data := source.recv(65_536)) and not self.loses_answers:
                target.sendall(data)
        self._close(source)
        self._close(target)
        return None
