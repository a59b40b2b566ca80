"""Boards behind a serial server that speaks RFC 2217, through pyserial.

pyserial waits where asyncio must not, so opening, reading and closing happen in threads of its own; what
is written is little, never more than the line takes, and finds room in the socket.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self, TypeVar

from serial import SerialException, rfc2217

from boardtalk.modules.iot_bridge.errors import PortError
from boardtalk.modules.iot_bridge.transports.paced import FedPort
from boardtalk.modules.iot_bridge.transports.tcp import address, explain

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEME: Final = "rfc2217"
UNREAD_BYTES: Final = 1 << 16
"""A board that says more than we read is cut off."""

T = TypeVar("T")


class _Serial(rfc2217.Serial):
    """Leaves DTR and RTS alone: they reset some boards."""

    def _update_dtr_state(self) -> None:
        pass

    def _update_rts_state(self) -> None:
        pass


class Rfc2217Port(FedPort):
    """A `Transport` over RFC 2217.

    Args:
        url: ``rfc2217://HOST:PORT``.
        baud: bits per second; the server is told.
    """

    def __init__(self, url: str, baud: int) -> None:
        super().__init__(baud)
        self.name = url
        self._baud = baud

    async def __aenter__(self) -> Self:
        """Connect and set the speed; see `Transport`."""
        address(self.name)
        self._loop = asyncio.get_running_loop()
        opening = self._in_thread(self._open, "open")
        try:
            self._serial = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._abandon)
            raise
        except SerialException as error:
            reason = error.__context__
            if isinstance(reason, OSError):
                raise explain(self.name, reason) from error
            raise PortError(
                f"{self.name}: a server answers, but not as RFC 2217 has it; is it `tcp://…`? ({error})"
            ) from error
        self._reading = self._in_thread(self._read_on, "read")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        self.lose()
        await self._in_thread(self._serial.close, "close")
        await self._reading

    def write(self, data: bytes) -> None:
        """See `Transport.write`."""
        if self._lost:
            return
        try:
            self._serial.write(data)
        except (SerialException, OSError):
            self.lose()
        self._pace.wrote(len(data), self._loop.time())

    # In threads -----------------------------------------------------------------------------------

    def _open(self) -> _Serial:
        return _Serial(self.name, self._baud)

    def _read_on(self) -> None:
        """Read until the connection ends."""
        with suppress(SerialException, RuntimeError):  # closed; the loop is gone
            while data := self._serial.read(1):
                data += self._serial.read(self._serial.in_waiting)
                self._loop.call_soon_threadsafe(self._take, data)
            self._loop.call_soon_threadsafe(self.lose)

    def _in_thread(self, work: Callable[[], T], name: str) -> asyncio.Future[T]:
        """Do something in a thread that keeps nobody from ending."""
        done: asyncio.Future[T] = self._loop.create_future()

        def settle(set_: Callable[[T], None] | Callable[[BaseException], None], value: object) -> None:
            if not done.done():
                set_(value)  # type: ignore[arg-type]

        def run() -> None:
            with suppress(RuntimeError):  # the loop is gone
                try:
                    result = work()
                except BaseException as error:  # noqa: BLE001 - who waits gets it
                    self._loop.call_soon_threadsafe(settle, done.set_exception, error)
                else:
                    self._loop.call_soon_threadsafe(settle, done.set_result, result)

        threading.Thread(target=run, name=f"{name} {self.name}", daemon=True).start()
        return done

    # What comes ------------------------------------------------------------------------------------

    def _take(self, data: bytes) -> None:
        self._input += data
        self._arrived.set()
        if len(self._input) > UNREAD_BYTES:
            self.lose()

    def _abandon(self, opening: asyncio.Future[_Serial]) -> None:
        """Close what was opened for somebody who has gone."""
        if not opening.cancelled() and opening.exception() is None:
            self._in_thread(opening.result().close, "close")
