"""Serial servers, as people put them between a network and a board: plain TCP, and RFC 2217."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import serial
from serial.rfc2217 import PortManager

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@asynccontextmanager
async def listening(serve: Serve, port: int = 0) -> AsyncIterator[int]:
    """A TCP server on this port, or a free one; it cuts everybody off when it ends."""
    writers = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await serve(reader, writer)  # type: ignore[misc]

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


@asynccontextmanager
async def tcp_server(device: str, port: int = 0) -> AsyncIterator[int]:
    """What comes by TCP goes to a device, and back."""
    loop = asyncio.get_running_loop()
    fd = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    clients: list[asyncio.StreamWriter] = []

    def on_readable() -> None:
        with suppress(BlockingIOError):
            data = os.read(fd, 4096)
            for client in clients:
                client.write(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.append(writer)
        with suppress(OSError):
            while data := await reader.read(4096):
                os.write(fd, data)
        clients.remove(writer)

    loop.add_reader(fd, on_readable)
    try:
        async with listening(serve, port) as found:
            yield found
    finally:
        loop.remove_reader(fd)
        os.close(fd)


class Wires(serial.Serial):
    """A pseudo-terminal has no control lines; what is done to them is counted."""

    cts = dsr = ri = cd = False
    touched = 0

    def _update_dtr_state(self) -> None:
        self.touched += self.is_open

    def _update_rts_state(self) -> None:
        self.touched += self.is_open


class Rfc2217Server:
    """pyserial's server, in threads. One client at a time."""

    def __init__(self, device: str, port: int = 0) -> None:
        self.device = Wires(device, timeout=0.02)
        self.device.touched = 0
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        self._client: socket.socket | None = None
        self._ended = False

    @contextmanager
    def serving(self) -> Iterator[Rfc2217Server]:
        thread = threading.Thread(target=self._accept)
        thread.start()
        try:
            yield self
        finally:
            self._ended = True
            for each in (self._listener, self._client):
                if each:
                    with suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)
                    each.close()
            thread.join()
            self.device.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._ended:
                self._client, _ = self._listener.accept()
                self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._serve(self._client)

    def _serve(self, client: socket.socket) -> None:
        lock = threading.Lock()

        class Connection:
            def write(self, data: bytes) -> None:
                with lock, suppress(OSError):
                    client.sendall(data)

        connection = Connection()
        manager = PortManager(self.device, connection)
        gone = threading.Event()

        def to_network() -> None:
            while not gone.is_set():
                if data := self.device.read(self.device.in_waiting or 1):
                    connection.write(b"".join(manager.escape(data)))

        thread = threading.Thread(target=to_network)
        thread.start()
        with suppress(OSError):
            while data := client.recv(1024):
                self.device.write(b"".join(manager.filter(data)))
        gone.set()
        thread.join()
        client.close()
