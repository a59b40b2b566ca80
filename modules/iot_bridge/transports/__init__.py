"""Byte streams to boards: one file per kind of port.

The interface is `Transport`; a session over it is :mod:`boardtalk.modules.iot_bridge.device`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType


class Transport(Protocol):
    """A line to a board. Open inside `async with`, used once."""

    @property
    def name(self) -> str:
        """What people call the port."""
        ...

    @property
    def ahead_bytes(self) -> int:
        """What the line carries within 20 ms: so much may be under way unacknowledged."""
        ...

    @property
    def busy(self) -> bool:
        """Whether the line still has enough to do; then `drain` waits until it has not."""
        ...

    async def __aenter__(self) -> Self:
        """Open it.

        Raises:
            PortError: it can't be opened; the text says why and what to do.
        """
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """Close it; what was not sent yet is dropped."""
        ...

    async def read(self) -> bytes:
        """What has come, as soon as something has; b"" when the port is gone. One reader only."""
        ...

    def write(self, data: bytes) -> None:
        """Send; never blocks. Call only while not `busy`, except for what can't wait."""
        ...

    async def drain(self) -> None:
        """Wait until the line has little left to send, or is gone."""
        ...

    async def appears(self) -> None:
        """After `PortMissing` or `PortDenied`: wait until it is worth another attempt, if anybody tells."""
        ...
