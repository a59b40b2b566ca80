"""Wires over TCP, as serial servers offer them: raw, and with rate and control lines (RFC 2217)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Self

from serial.rfc2217 import IAC, IAC_DOUBLED, PortManager

from boardtalk.hil.loaders.wire import READ_BYTES, Signals

HOST: Final = "127.0.0.1"


class TcpWire:
    """Plain TCP on loopback: bytes, and nothing else. One client at a time; a new one ousts the old one."""

    scheme = "socket"

    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes | Signals] = asyncio.Queue()
        self._client: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        if self._client is not None:
            self._client.transport.abort()

    @property
    def port(self) -> str:
        """Its URL, as pyserial knows it."""
        return f"{self.scheme}://{HOST}:{self._server.sockets[0].getsockname()[1]}"

    @property
    def baud(self) -> int:
        """Unknown."""
        return 0

    async def send(self, data: bytes) -> None:
        """Send to who is connected."""
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.write(data)
                await self._client.drain()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._client is not None:
            self._client.transport.abort()
        self._client = writer
        self._welcome(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(READ_BYTES):
                if data := self._filter(data):
                    self.received.put_nowait(data)
        writer.transport.abort()
        if self._client is writer:
            self._client = None

    def _welcome(self, writer: asyncio.StreamWriter) -> None:
        """Somebody has connected."""

    def _filter(self, data: bytes) -> bytes:
        """What is for the board."""
        return data


class Rfc2217Wire(TcpWire):
    """The protocol itself is pyserial's."""

    scheme = "rfc2217"

    def __init__(self) -> None:
        super().__init__()
        self._uart = _Uart(self.received)

    @property
    def baud(self) -> int:
        """The rate that the tool has set."""
        return self._uart.baudrate

    async def send(self, data: bytes) -> None:
        """Send to who is connected."""
        await super().send(data.replace(IAC, IAC_DOUBLED))

    def _welcome(self, writer: asyncio.StreamWriter) -> None:
        self._manager = PortManager(self._uart, writer)  # type: ignore[arg-type] # it needs no more of either

    def _filter(self, data: bytes) -> bytes:
        return b"".join(self._manager.filter(data))


class _Uart:
    """What pyserial's server side knows of a serial port: attributes. The control lines do something."""

    cts = dsr = cd = True
    ri = xonxoff = rtscts = break_condition = False
    bytesize, parity, stopbits = 8, "N", 1
    baudrate = 115200

    def __init__(self, received: asyncio.Queue[bytes | Signals]) -> None:
        self._received = received
        self._signals = Signals(dtr=False, rts=False)

    @property
    def dtr(self) -> bool:
        return self._signals.dtr

    @dtr.setter
    def dtr(self, value: bool) -> None:
        self._set(self._signals._replace(dtr=value))

    @property
    def rts(self) -> bool:
        return self._signals.rts

    @rts.setter
    def rts(self, value: bool) -> None:
        self._set(self._signals._replace(rts=value))

    def reset_input_buffer(self) -> None:
        """Nothing is held here."""

    def reset_output_buffer(self) -> None:
        """Nothing is held here."""

    def _set(self, signals: Signals) -> None:
        if signals != self._signals:
            self._signals = signals
            self._received.put_nowait(signals)
