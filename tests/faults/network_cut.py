"""A connection that a test cuts: a relay on a loopback port before a server."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Cable:
    """Relays connections to a port; `cut` breaks those that are open, and all new ones until `mend`.

    answers_to_lose: of so many connections the next answer does not arrive, and they end.
    """

    def __init__(self, port: int) -> None:
        self._port, self._whole = port, True
        self.answers_to_lose = 0
        self._open: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._whole = False
        for one in list(self._open):
            self._close(one)

    def mend(self) -> None:
        self._whole = True

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                self._open.add(near)
                try:
                    if not self._whole:
                        raise OSError
                    far = socket.create_connection(("127.0.0.1", self._port))
                except OSError:
                    self._close(near)
                    continue
                self._open.add(far)
                threading.Thread(target=self._relay, args=(near, far), daemon=True).start()
                threading.Thread(target=self._relay, args=(far, near), kwargs={"answers": True}, daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket, *, answers: bool = False) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if answers and self.answers_to_lose:
                    self.answers_to_lose -= 1
                    break
                target.sendall(data)
        self._close(source)
        self._close(target)

    def _close(self, one: socket.socket) -> None:
        self._open.discard(one)
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
