"""What a board says on its port: text with the line ends of a board, bytes as they are."""

from __future__ import annotations

import re
from typing import Final

SOFT_REBOOT: Final = b"MPY: soft reboot\r\n"
RAW_PROMPT: Final = b"raw REPL; CTRL-B to exit\r\n"
FRIENDLY_PROMPT: Final = b'Type "help()" for more information.\r\n'
"""Each is written in one piece, by the interpreter alone."""
PROMPT_NEXT: Final = b"\0prompt\0"
"""Written by `sim/rom/_boot.py` when it has done its part of a soft reset from the prompt for programs."""
_LINE_END: Final = re.compile(rb"(?<!\r)\n")


class Console:
    """Follows which prompt the interpreter shows."""

    def __init__(self) -> None:
        self.raw = False
        """Whether it is the one for programs. A soft reset comes back to the same."""
        self._hushed = False
        self._after_return = False

    def text(self, piece: bytes) -> bytes:
        """A piece of text, as it goes over the line."""
        if piece == RAW_PROMPT:
            self.raw, self._hushed = True, False
        elif piece == FRIENDLY_PROMPT:
            self.raw = False
        if self._hushed or not piece:
            return b""
        begun, self._after_return = self._after_return, piece.endswith(b"\r")
        if begun and piece.startswith(b"\n"):
            return b"\n" + _LINE_END.sub(b"\r\n", piece[1:])
        return _LINE_END.sub(b"\r\n", piece)

    def hush(self) -> None:
        """Say nothing until the prompt for programs is there.

        The interpreter always begins with the other prompt.
        """
        self._hushed = True
