"""Byte streams to boards: one file per kind of port.

The interface is `Transport`; a session over it is :mod:`boardtalk.modules.iot_bridge.device`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class Transport(Protocol):
    """A line to a board. Open inside `async with`, used once."""

    @property
    def name(self) -> str:
        """What people call the port."""
        ...

    @property
    def frame_bytes(self) -> int:
        """The longest frame that the line should get, once it is open; 0: any."""
        ...

    @property
    def room(self) -> int:
        """Bytes that the line may get before it has enough to do; from 0 down, see `when_room`.

        The last frame may be longer: so no more than that one, and the rest of the one under way, is
        ahead of stop.
        """
        ...

    async def __aenter__(self) -> Self:
        """Open it.

        Raises:
            PortError: it can't be opened; the text says why and what to do.
        """
        ...

    async def __aexit__(self, *_: object) -> None:
        """Close it; what was not sent yet is dropped."""
        ...

    async def read(self) -> bytes:
        """What has come, as soon as something has; b"" when the port is gone. One reader only."""
        ...

    def write(self, data: bytes) -> None:
        """Send; never blocks. Call only while there is `room`, except for what can't wait."""
        ...

    def when_room(self, callback: Callable[[], None]) -> None:
        """Call back, once, when there may be `room` again. Call only while there is none."""
        ...


class Port(Transport, Protocol):
    """A line that comes and goes."""

    async def appears(self) -> None:
        """After `PortMissing` or `PortDenied`: wait until it is worth another attempt, if anybody tells."""
        ...
