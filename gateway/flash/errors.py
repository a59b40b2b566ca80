"""What can go wrong while a board is flashed, in words of one kind for all protocols."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from boardtalk.sdk.errors import BoardtalkError


class Code(StrEnum):
    """For programs."""

    BAD_IMAGE = "bad-image"
    """The file is damaged, or firmware for another chip. Nothing was touched."""
    WRONG_CHIP = "wrong-chip"
    """Another chip is there than the definition says. Nothing was touched."""
    PORT_MISSING = "port-missing"
    PORT_BUSY = "port-busy"
    NO_LOADER = "no-loader"
    """Nobody answers who speaks the protocol."""
    LINK = "link"
    """The line or the power failed in the middle."""
    VERIFY = "verify"
    """What is read back is not what was written."""
    DISK = "disk"
    """A backup can't be read or written."""
    NAME = "name"
    """The address can't be this board's. Nothing was touched."""
    PROGRAM = "program"
    """The robot's program has ended: what it printed is the reason."""
    NO_HELLO = "no-hello"
    """The client is on the board, and does not get in touch."""
    UNSUPPORTED = "unsupported"
    CANCELLED = "cancelled"
    FAULT = "fault"
    """Ours."""


RETRIED: Final = frozenset({Code.LINK, Code.VERIFY})
"""What another attempt may mend."""


class FlashError(BoardtalkError):
    """Flashing failed.

    Args:
        code: which kind of failure.
        reason: what failed, on what.
        cure: what to do next.
    """

    def __init__(self, code: Code, reason: str, cure: str = "") -> None:
        self.code = code
        self.reason = reason
        self.cure = cure
        super().__init__(f"{reason}; {cure}" if cure else reason)
