"""Takes the picture of the README: `boardtalk demo` on a pseudo-terminal, with real keys pressed.

``python docs/picture.py docs/chat.svg`` (or ``make picture``) writes it anew.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import sys
import tempfile
import termios
import time
from io import StringIO
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:
    from pyte.screens import Char

COLUMNS: Final = 96
ROWS: Final = 60
"""More than the session needs: nothing scrolls away."""
DEADLINE_S: Final = 30.0
"""For each step; they take a second."""
TITLE: Final = "make run"
FIRST: Final = "Type `rover"
"""How the first row of the picture begins; those above name this machine's ports."""
SESSION: Final = (
    ("rover: help", ("always:",)),
    ("forward 20", ("done", "heading")),
    ("fowrard 20", ("did you mean",)),
    ("forward 9 m", ("limit",)),
    ("battery", ("done", " V\n")),
    ("forward 5 m", ("started",)),
    ("stop", ("confirmed", "cancelled", "rover: stopped")),
)
"""What is typed, and what has to be shown before the next line is."""
LAST: Final = ("turn ", ("angle=", "speed="))
"""Typed at the end, and not sent: the picture shows what may follow."""
PROMPT: Final = "rover>"
SVG: Final = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: {char_height}px/{line_height}px "DejaVu Sans Mono", Menlo, Consolas, monospace }}
.{unique_id}-title {{ font: bold 18px sans-serif }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""Rich's own template fetches its font from the network; this one takes what the reader has."""


class Screen(pyte.Screen):
    """A terminal that answers when a program asks where the cursor is."""

    def __init__(self, fd: int) -> None:
        super().__init__(COLUMNS, ROWS)
        self._fd = fd

    def write_process_input(self, data: str) -> None:
        """What a terminal says to its program."""
        os.write(self._fd, data.encode())


class Session:
    """The program at the other end of a pseudo-terminal."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.screen = Screen(fd)
        self._stream = pyte.ByteStream(self.screen)

    def type(self, line: str) -> None:
        """Press keys."""
        os.write(self._fd, line.encode())

    def sees(self, *words: str, ready: bool = True) -> None:
        """Read until all these words stand below the line that was typed last, and a new prompt if `ready`.

        Raises:
            TimeoutError: they never do.
        """
        deadline = time.monotonic() + DEADLINE_S
        while not (all(word in self._news() for word in words) and (self._prompted() or not ready)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{words} are not shown:\n" + "\n".join(self.screen.display))
            if select.select([self._fd], [], [], 0.1)[0]:
                self._stream.feed(os.read(self._fd, 65536))

    def _news(self) -> str:
        rows = [row.rstrip() for row in self.screen.display]
        typed = max((number for number, row in enumerate(rows) if row.startswith(f"{PROMPT} ")), default=0)
        return "\n".join(rows[typed:]).rstrip()

    def _prompted(self) -> bool:
        return self._news().endswith(f"\n{PROMPT}")


def main(target: Path) -> None:
    """Run the session and write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        child, fd = pty.fork()
        if child == 0:
            os.environ |= {"TERM": "xterm-256color", "LOGNAME": "anna", "COLUMNS": str(COLUMNS)}
            os.execv(sys.executable, [sys.executable, "-m", "boardtalk", "demo", "--state", folder])  # noqa: S606 - no shell, on purpose
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        session = Session(fd)
        try:
            session.sees()
            for line, answer in SESSION:
                session.type(line)
                session.sees(f"{PROMPT} {line}", ready=False)
                session.type("\r")
                session.sees(*answer)
            line, answer = LAST
            session.type(line)
            session.sees(*answer, ready=False)
            picture = draw(session.screen)
        finally:
            session.type("\x15\x04")
            os.waitpid(child, 0)
    target.write_text(picture)


def draw(screen: pyte.Screen) -> str:
    """A screen as SVG, from `FIRST` to the last row with text."""
    used = [number for number, row in enumerate(screen.display) if row.strip()]
    first = next(number for number in used if screen.display[number].startswith(FIRST))
    console = Console(
        record=True, width=COLUMNS, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    for number in range(first, used[-1] + 1):
        row = screen.buffer[number]
        text = Text(no_wrap=True)
        for look, run in groupby((row[column] for column in range(COLUMNS)), style):
            text.append("".join(char.data for char in run), look)
        console.print(text)
    return console.export_svg(title=TITLE, code_format=SVG, unique_id="chat")


def style(char: Char) -> Style:
    """A character's look."""
    return Style(
        color=colour(char.fg),
        bgcolor=colour(char.bg),
        bold=char.bold,
        underline=char.underscore,
        reverse=char.reverse,
    )


def colour(name: str) -> str | None:
    """A colour in rich's words."""
    if name == "default":
        return None
    if re.fullmatch("[0-9a-f]{6}", name):
        return f"#{name}"
    return name.replace("brown", "yellow").replace("bright", "bright_")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
