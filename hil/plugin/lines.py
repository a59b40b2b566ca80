"""The fixtures `line` and `pty_pair`, and lines to TCP ports: `FaultyLine` from the thread of a test."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from boardtalk.hil.line import TO_BOARD, FaultyLine
from boardtalk.hil.plugin.rig import Done, done

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from boardtalk.hil.line import HasPort
    from boardtalk.hil.plugin.rig import Rig
    from boardtalk.hil.wires import PtyPair, TcpWire


class Line(FaultyLine):
    """A line with faults; see `FaultyLine`. What is awaited in an async test just waits in a plain one."""

    def __init__(self, rig: Rig, seed: int) -> None:
        super().__init__(seed)
        self._rig = rig

    def freeze(self) -> None:
        """Hold everything; what comes waits."""
        self._rig.now(super().freeze)

    def thaw(self) -> None:
        """Let it go on."""
        self._rig.now(super().thaw)

    def clear(self) -> None:
        """End all faults, and forget those that were to come. A plug that is out stays out."""
        self._rig.now(super().clear)

    def at(self, seconds: float, fault: Callable[..., Awaitable[object] | None], *args: Any) -> None:
        """Let a fault begin (or end) after a time: `line.at(1.5, line.drop, 0.1)`."""
        self._rig.now(partial(super().at, seconds, fault, *args))

    def after(
        self,
        count: int,
        fault: Callable[..., Awaitable[object] | None],
        *args: Any,
        direction: str = TO_BOARD,
    ) -> None:
        """Let a fault begin (or end) after so many more bytes, exactly: `line.after(700, line.unplug)`."""
        self._rig.now(partial(super().after, count, fault, *args, direction=direction))

    def unplug(self) -> Done:  # type: ignore[override] # a plain test does not await it
        """Pull the plug: the gateway's port vanishes."""
        return self._rig.run(done(super().unplug))

    def plug(self) -> Done:  # type: ignore[override]
        """Plug it in again."""
        return self._rig.run(done(super().plug))

    def swap(self, other: HasPort) -> Done:  # type: ignore[override]
        """Put another board in its place, by a line of its own; `plug` brings back the old one."""
        return self._rig.run(done(super().swap, other))


class Pair:
    """Two linked serial ports: `left, right = pty_pair`, and `pty_pair.line` for faults."""

    def __init__(self, line: Line, pair: PtyPair) -> None:
        self.line = line
        self.left = pair.left
        self.right = pair.right

    def __iter__(self) -> Iterator[str]:
        return iter((self.left, self.right))


class TcpLine(Line):
    """A line to a TCP port: connect to `host` and `port` instead."""

    host: str
    port: int

    def leads(self, wire: TcpWire) -> None:
        """Say where it begins."""
        self.host, self.port = wire.host, wire.number
