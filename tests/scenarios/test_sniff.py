"""Looking on at a robot's line while people work with it."""

from __future__ import annotations

import itertools
import os
import pty
import signal
import subprocess
from pathlib import Path
from typing import Self

from boardtalk.modules.iot_bridge.frames import Kind, Type
from boardtalk.modules.iot_bridge.link import framing

from .people import Person
from .rig import PROGRAM, Gateway, environment, until


class Sniffer:
    """`boardtalk sniff` in the background, until Ctrl-C."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._out = folder / "sniff.out"
        with self._out.open("wb") as out:
            self._child = subprocess.Popen([*PROGRAM, "sniff", *arguments], stdout=out, env=environment())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()

    def sees(self, text: str) -> str:
        """The first line with such a text."""
        return until(lambda: next((line for line in self.lines() if text in line), ""), f"{text} on the line")

    def lines(self) -> list[str]:
        """What it has shown."""
        return self._out.read_text().splitlines()

    def end(self) -> int:
        """Ctrl-C; its exit code."""
        self._child.send_signal(signal.SIGINT)
        return self._child.wait(10)


def test_a_robots_line_is_watched_while_it_is_used(demo: Gateway, alice: Person, tmp_path: Path) -> None:
    with Sniffer(tmp_path, "rover", "--state", str(demo.state)) as sniffer:
        sniffer.sees("TELEMETRY position x ")
        alice.do("forward 0.1 m")
        assert "→ DATA" in sniffer.sees("COMMAND forward distance 10 cm, speed 50 %")
        assert "← DATA" in sniffer.sees("RESULT x ")
        assert sniffer.end() == 0
    assert not [line for line in sniffer.lines() if "damaged" in line]


def test_a_second_adapter_may_listen_to_one_wire(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    numbers = itertools.count()
    try:
        with Sniffer(tmp_path, os.ttyname(slave)) as sniffer:
            until(lambda: _speak(master, next(numbers)) and sniffer.lines(), "something on the wire")
            for _ in range(3):
                _speak(master, next(numbers))
            assert "← DATA" in sniffer.sees("STARTED (id 7)")
            assert sniffer.sees("· text                  hello >")
            assert sniffer.end() == 0
    finally:
        os.close(master)
        os.close(slave)


def _speak(master: int, seq: int) -> bool:
    """A frame and a prompt, as a board sends them."""
    frame = framing.encode(Kind.DATA, Type.STARTED, b"\7\0\0\0", seq=seq & 0xFF, ack=0, retry=False, seed=1)
    return os.write(master, frame + b"hello > ") > 0


def test_a_board_that_nobody_knows_is_named(demo: Gateway) -> None:
    told = demo.cli("sniff", "nobody")
    assert told.code != 0
    assert "there is no board 'nobody'" in told.text
