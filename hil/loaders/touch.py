"""The 1200-baud touch: a tool opens and closes a port at that rate, and the board goes into its loader."""

from __future__ import annotations

import os
import termios
from typing import Final

from boardtalk.hil.loaders.closings import Closings

TOUCH: Final = termios.B1200


async def touched(port: str) -> None:
    """Wait until a program has set 1200 baud on an emulated board's port, and closed it.

    The port may be of any board; it stays as it is. Then it is for the caller to unplug the board and
    to let its loader appear.

    Raises:
        OSError: there is no such port.
    """
    fd = os.open(port, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)  # before the watch: ours does not count
    try:
        with Closings(port) as closings:
            await closings.next()
            while termios.tcgetattr(fd)[4] != TOUCH:
                await closings.next()
    finally:
        os.close(fd)
