"""A serial line in virtual time: it has a speed, takes its time, and loses or spoils frames."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from boardtalk.modules.iot_bridge.frames import CTL_KIND_MASK, CTL_RETRY
from boardtalk.modules.iot_bridge.transports.pace import BITS_PER_BYTE, Pace

if TYPE_CHECKING:
    from collections.abc import Callable

UART_BYTES: Final = 256
"""What a board's UART takes beyond what is on the line: `txbuf`."""
TOGETHER_S: Final = 1e-6
"""Between frames that come at once, so that their order is kept."""
_FRAME: Final = re.compile(rb"\0[^\0]+\0")


@dataclass(frozen=True, kw_only=True)
class Line:
    """What a line is like.

    Args:
        baud: bits per second, ten for each byte.
        loss: probability that a frame is lost, either way.
        flip: probability that a byte of a frame is wrong, either way.
        turnaround_s: how much later than its last byte a frame's answer begins, at both ends together.
        seed: of the random numbers.
    """

    baud: int
    loss: float = 0.0
    flip: float = 0.0
    turnaround_s: float = 0.001
    seed: int = 1

    @property
    def byte_s(self) -> float:
        """How long a byte takes."""
        return BITS_PER_BYTE / self.baud


class Wire:
    """One direction of a line.

    Args:
        line: what it is like.
        salt: makes the random numbers of the two directions differ.
    """

    deliver: Callable[[bytes], None]
    """Gets each frame when it has arrived."""

    def __init__(self, line: Line, salt: int) -> None:
        self.fired: Counter[str] = Counter()
        """How often each fault has happened."""
        self.repeated = 0
        """Frames that were sent again."""
        self._line = line
        self._random = random.Random(line.seed * 2 + salt)  # noqa: S311 - repeatable, not secret
        self._idle_at = 0.0
        self._held_until = self._through = 0.0
        self._rest = b""

    def hold(self, seconds: float) -> None:
        """Hold back for so long what is put on it from now on; then it comes, in order."""
        self.fired["hold"] += 1
        self._held_until = asyncio.get_running_loop().time() + seconds

    def backlog_s(self) -> float:
        """How long what was put on it takes until it is through."""
        return max(0.0, self._idle_at - asyncio.get_running_loop().time())

    def put(self, data: bytes) -> None:
        """Send; what is unfinished waits for its rest, on the line."""
        loop = asyncio.get_running_loop()
        began = max(self._idle_at, loop.time()) - len(self._rest) * self._line.byte_s
        data = self._rest + data
        end = 0
        for frame in _FRAME.finditer(data):
            end = frame.end()
            at = began + end * self._line.byte_s + self._line.turnaround_s / 2
            self._through = at = max(at, self._held_until, self._through + TOGETHER_S)
            if spoilt := self._spoil(frame.group()):
                loop.call_at(at, self._arrive, spoilt)
        self._rest = data[end:]
        self._idle_at = began + len(data) * self._line.byte_s

    def _arrive(self, frame: bytes) -> None:
        self.deliver(frame)

    def _spoil(self, frame: bytes) -> bytes:
        self.repeated += _is_repeated(frame)
        lost, wrong = (self._random.random() < chance for chance in (self._line.loss, self._line.flip))
        self.fired["data"] += (lost or wrong) and not frame[2] & CTL_KIND_MASK
        if lost:
            self.fired["loss"] += 1
            return b""
        if wrong:
            self.fired["flip"] += 1
            at = self._random.randrange(1, len(frame) - 1)
            byte = frame[at] ^ 1 << self._random.randrange(8)
            return frame[:at] + bytes((byte,)) + frame[at + 1 :]
        return frame


def _is_repeated(frame: bytes) -> bool:
    """The flag stands in the first byte that COBS covers, which is never 0."""
    return frame[2] & CTL_RETRY != 0


class VirtualPort:
    """The gateway's end: a `Transport` with the pace of a serial port."""

    name = "virtual"

    def __init__(self, line: Line, out: Wire, back: Wire) -> None:
        self._out = out
        self._pace = Pace(line.baud)
        self._input: asyncio.Queue[bytes] = asyncio.Queue()
        back.deliver = self._input.put_nowait

    @property
    def frame_bytes(self) -> int:
        """See `Transport.frame_bytes`."""
        return self._pace.frame_bytes

    @property
    def room(self) -> int:
        """See `Transport.room`."""
        return self._pace.room(0, asyncio.get_running_loop().time())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def read(self) -> bytes:
        """See `Transport.read`."""
        return await self._input.get()

    def write(self, data: bytes) -> None:
        """See `Transport.write`."""
        self._pace.wrote(len(data), asyncio.get_running_loop().time())
        self._out.put(data)

    def when_room(self, callback: Callable[[], None]) -> None:
        """See `Transport.when_room`."""
        loop = asyncio.get_running_loop()
        loop.call_later(self._pace.wait_s(0, loop.time()), callback)


class Uart:
    """The board's end: a stream as the firmware's `hal.open_stream` makes them."""

    interrupt_ms = 50
    tasks = ()

    def __init__(self, line: Line, out: Wire, back: Wire) -> None:
        self._out = out
        self._byte_s = line.byte_s
        self._coming = b""
        self._came = asyncio.Event()
        back.deliver = self._on_frame

    async def readable(self) -> None:
        """Wait until there is something to read."""
        await self._came.wait()

    def readinto(self, view: memoryview) -> int | None:
        """Read what is there."""
        count = min(len(view), len(self._coming))
        view[:count] = self._coming[:count]
        self._coming = self._coming[count:]
        if not self._coming:
            self._came.clear()
        return count or None

    def write(self, data: bytes, size: int) -> int | None:
        """Write what there is room for."""
        count = min(size, UART_BYTES - round(self._out.backlog_s() / self._byte_s))
        if count <= 0:
            return None
        self._out.put(bytes(memoryview(data)[:count]))
        return count

    def close(self) -> None:
        """There is nothing to give back."""

    def _on_frame(self, frame: bytes) -> None:
        self._coming += frame
        self._came.set()


def connect(line: Line) -> tuple[VirtualPort, Uart, tuple[Wire, Wire]]:
    """A line's two ends, and what is between them: to the board, to the gateway."""
    down, up = Wire(line, 0), Wire(line, 1)
    return VirtualPort(line, down, up), Uart(line, up, down), (down, up)
