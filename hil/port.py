"""A serial port that a test can unplug: a pseudo-terminal behind a stable path."""

from __future__ import annotations

import os
import socket
import tty
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AsyncExitStack, ExitStack
    from pathlib import Path


def socket_pair(stack: ExitStack | AsyncExitStack) -> tuple[socket.socket, socket.socket]:
    """Two joined ends that don't block, closed with the stack: a line inside of this process."""
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
        stack.callback(end.close)
    return ends


class Port:
    """What the gateway opens as `path`; what it writes there is read from `near`, and vice versa.

    `near` does not block.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.near = self._far = -1

    @property
    def plugged(self) -> bool:
        """Whether it is there."""
        return self.near >= 0

    def plug(self) -> None:
        """Let it appear."""
        self.near, self._far = os.openpty()
        os.set_blocking(self.near, False)
        tty.setraw(self._far)
        # `_far` stays open: else the board's end fails whenever no gateway has the port open.
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self._far))

    def unplug(self) -> None:
        """Let it vanish: whoever has it open gets errors from now on, if no other process holds it."""
        if not self.plugged:
            return
        self.path.unlink(missing_ok=True)
        os.close(self.near)
        os.close(self._far)
        self.near = self._far = -1
