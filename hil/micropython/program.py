"""One run of MicroPython on an emulated board, from a reset to the next one.

It is a fork of the supervisor that becomes MicroPython: that takes 5 ms, and the registers are at the
same address in it. Its standard input is a socket, not a terminal: MicroPython throws away what has
been typed whenever it changes a terminal's mode. So it is up to us to make Ctrl-C a signal.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_PR_SET_PDEATHSIG: Final = 1
_SAME_INTERRUPT_S: Final = 0.05
"""MicroPython dies of a second SIGINT before it has noticed the first: two in a row are one."""


class Ends:
    """The program's standard streams; a soft reset leaves them, and what is in them, as they are.

    Text and bytes come from two sockets into one, so that they stay in order and can be told apart.
    """

    def __init__(self) -> None:
        self.input, self._stdin = socket.socketpair()
        self.input.setblocking(False)
        self.output = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.output.bind("")
        self.output.setblocking(False)
        self._text = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._text.connect(self.output.getsockname())
        self.bytes = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.bytes.bind("")
        self.bytes.connect(self.output.getsockname())

    def close(self) -> None:
        """Throw away what is in them."""
        for end in (self.input, self._stdin, self.output, self._text, self.bytes):
            end.close()

    def become_standard(self) -> None:
        """Make them standard input, output and error of this process."""
        os.dup2(self._stdin.fileno(), 0)
        os.dup2(self._text.fileno(), 1)
        os.dup2(self._text.fileno(), 2)


class Program:
    """MicroPython in a process of its own."""

    def __init__(self, ends: Ends, heap: str, environment: Mapping[str, str], wires: tuple[int, ...]) -> None:
        self.control, control = socket.socketpair()
        self._interrupted = 0.0
        self._status: int | None = None
        micropython = importlib.import_module("micropython_module")
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid:
            control.close()
            return
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                return
            numbers = control.fileno(), ends.bytes.fileno(), *wires
            os.environ.update(environment, BOARDTALK_WIRES=",".join(map(str, numbers)))
            os.environ.pop("HOME", None)  # else it keeps a history of what was typed there
            os.chdir("/")  # what it starts with is not on the flash
            ends.become_standard()
            signal.signal(signal.SIGUSR1, lambda *_: None)  # wakes it
            signal.siginterrupt(signal.SIGUSR1, True)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            command = (
                "micropython",
                "-X",
                f"heapsize={heap}",
                "-i",
                "-c",
                "__import__('_boot').run(globals())",
            )
            micropython.run_main(list(command))
        finally:
            os._exit(0)

    def interrupt(self) -> bool:
        """Send it SIGINT if it wants that, as it does while it executes something, unless told not to.

        Else the signal would kill it. So that it does not change its mind meanwhile, it is held.
        """
        if _status_field(self.pid, "State") == "T":
            return False  # it is frozen
        os.kill(self.pid, signal.SIGSTOP)
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self._status = status
            return True
        caught = int(_status_field(self.pid, "SigCgt"), 16) >> (signal.SIGINT - 1) & 1
        now = time.monotonic()
        if caught and now - self._interrupted > _SAME_INTERRUPT_S:
            self._interrupted = now
            # to its main thread: that of interrupts would take it for its own, and end
            ctypes.CDLL(None).tgkill(self.pid, self.pid, signal.SIGINT)
        os.kill(self.pid, signal.SIGCONT)
        return bool(caught)

    def wake(self) -> None:
        """Let it look at its interrupts, if it sleeps."""
        os.kill(self.pid, signal.SIGUSR1)

    def kill(self) -> None:
        """End it at once."""
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> bool:
        """Wait until it has ended. Returns whether it did so in an orderly way."""
        if self._status is None:
            _, self._status = os.waitpid(self.pid, 0)
        self.control.close()
        return os.WIFEXITED(self._status)


def _status_field(pid: int, name: str) -> str:
    text = Path(f"/proc/{pid}/status").read_text()
    return text.split(f"{name}:")[1].split(maxsplit=1)[0]
