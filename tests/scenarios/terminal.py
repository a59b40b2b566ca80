"""A person at a terminal: a child process on a pty of its own."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import termios
import time
from pathlib import Path
from typing import Self

from .rig import DEADLINE_S, END_S, PROGRAM, environment

ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[ -/]*[0-~])")
"""Control sequences of ECMA-48 and xterm's titles."""
PROMPT = b"\x1b[?2004h"
"""Bracketed paste is switched on: what a line editor sends when it waits for a line."""
WHERE, HERE = b"\x1b[6n", b"\x1b[1;1R"
"""A line editor asks where the cursor is; what a terminal answers."""
ENTER, TAB, CTRL_C, CTRL_D = "\r", "\t", "\x03", "\x04"


class Terminal:
    """`boardtalk …` on a controlling terminal of 40 lines and 160 columns."""

    def __init__(self, *arguments: str, state: Path) -> None:
        self._command = [*PROGRAM, *arguments, "--state", str(state)]
        self._environment = {**environment(state), "TERM": "xterm"}
        self._raw = b""
        self._seen = 0
        self._prompts = 0

    def __enter__(self) -> Self:
        self._master, slave = os.openpty()
        termios.tcsetwinsize(slave, (40, 160))
        # setsid makes the pty the controlling terminal, so that Ctrl-C works before a prompt is up
        self._child = subprocess.Popen(
            ["setsid", "--ctty", *self._command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=self._environment,
        )
        os.close(slave)
        return self

    def __exit__(self, *_: object) -> None:
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGKILL)
            self._child.wait()
        os.close(self._master)

    @property
    def screen(self) -> str:
        """Everything shown so far, control sequences left out."""
        return ESCAPES.sub("", self._raw.decode(errors="replace"))

    def _read(self, within: float) -> bool:
        if not select.select([self._master], [], [], within)[0]:
            return False
        try:
            piece = os.read(self._master, 65536)
        except OSError:  # EIO: nobody has the other side open any more
            time.sleep(0.02)
            return False
        self._raw += piece
        if WHERE in piece:
            os.write(self._master, HERE)
        return True

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def sees(self, pattern: str, within: float = DEADLINE_S) -> str:
        """Wait until what is shown after the last hit fits a pattern; the hit."""
        deadline = time.monotonic() + within
        while not (found := re.compile(pattern, re.DOTALL).search(self.screen, self._seen)):
            if time.monotonic() > deadline:
                raise AssertionError(f"not shown within {within} s: {pattern!r}; but\n{self.screen}")
            self._read(0.1)
        self._seen = found.end()
        return found.group()

    def prompted(self, within: float = DEADLINE_S) -> None:
        """Wait for the next prompt."""
        deadline = time.monotonic() + within
        while self._raw.count(PROMPT) <= self._prompts:
            if time.monotonic() > deadline:
                raise AssertionError(f"no prompt within {within} s, but\n{self.screen}")
            self._read(0.1)
        self._prompts = self._raw.count(PROMPT)

    def ends(self, within: float = END_S) -> int:
        """Wait for the end; the exit code."""
        deadline = time.monotonic() + within
        while self._child.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"still runs after {within} s:\n{self.screen}")
            self._read(0.1)
        while self._read(0):
            pass
        return self._child.returncode
