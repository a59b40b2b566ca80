"""Somebody at a terminal: types on a port and reads what comes. The board needs nothing of us meanwhile."""

from __future__ import annotations

import os
import select
import time
from typing import Self

WAIT_S = 5.0
PROMPT = b"\r\n>>> "


class Typist:
    """Has the port open, as a terminal program without any line editing of its own."""

    def __init__(self, port: str) -> None:
        self.fd = os.open(port, os.O_RDWR | os.O_NOCTTY)
        self._read = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def type(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def until(self, wanted: bytes, wait_s: float = WAIT_S) -> bytes:
        """What came up to and with this."""
        deadline = time.monotonic() + wait_s
        while wanted not in self._read:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError(f"{wanted!r} did not come; instead: {self._read!r}")
            self._read += os.read(self.fd, 65536)
        end = self._read.index(wanted) + len(wanted)
        found, self._read = self._read[:end], self._read[end:]
        return found

    def says(self, command: str) -> str:
        """What a command prints at the prompt."""
        self.type(command.encode() + b"\r")
        self.until(command.encode() + b"\r\n")
        return self.until(b">>> ").removesuffix(b">>> ").decode().strip()
