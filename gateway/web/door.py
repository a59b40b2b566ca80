"""Where the page's processes accept: whoever only occupies a connection makes room for others."""

from __future__ import annotations

import socket
import time
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_WAITING: Final = 256
"""Connections that have not asked anything yet; a browser has up to six."""
ASK_WITHIN_S: Final = 20.0
"""So long one may take for a question, with TLS and all that belongs to it."""

Client: TypeAlias = tuple[str, int]
"""Address and port, by which a server tells its connections apart."""


class Door(socket.socket):
    """A listening socket that knows who keeps it waiting: for TLS, a request, its body, or the next one.

    A byte a minute costs its sender nothing, and us a connection. So there are 256 such connections at most.
    If one more comes, the address that has most of them loses its oldest: who asks at once gets in, whatever
    others hold. Connections that are served do not count.

    Args:
        number: the file descriptor of a socket that listens.
    """

    def __init__(self, number: int) -> None:
        super().__init__(fileno=number)
        self._waiting: dict[Client, tuple[float, socket.socket]] = {}
        """Since when; oldest first."""

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection, as for any socket."""
        connection, peer = super().accept()
        self._wait(peer[:2], connection)
        if len(self._waiting) > MAX_WAITING:
            self._make_room()
        return connection, peer

    @contextmanager
    def served(self, client: Client | None) -> Iterator[None]:
        """Do not count this connection, as long as the context lasts."""
        _, connection = self._waiting.pop(client, (0.0, None)) if client else (0.0, None)
        try:
            yield
        finally:
            if client and connection:
                self._wait(client, connection)

    def sweep(self) -> None:
        """Hang up on those that have kept us waiting for too long. To be called now and then."""
        late = time.monotonic() - ASK_WITHIN_S
        for client, (since, connection) in list(self._waiting.items()):
            if since > late and connection.fileno() >= 0:
                continue
            _hang_up(connection)
            del self._waiting[client]

    def _wait(self, client: Client, connection: socket.socket) -> None:
        self._waiting[client] = time.monotonic(), connection

    def _make_room(self) -> None:
        self.sweep()
        while len(self._waiting) > MAX_WAITING:
            counts = Counter(host for host, _ in self._waiting)
            most = max(counts.values())
            oldest = next(client for client in self._waiting if counts[client[0]] == most)
            _hang_up(self._waiting.pop(oldest)[1])


def _hang_up(connection: socket.socket) -> None:
    """Whoever serves it sees its end, and closes it."""
    with suppress(OSError):  # closed already
        connection.shutdown(socket.SHUT_RDWR)
