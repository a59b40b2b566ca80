"""What the report of a failed test tells beside the test's own error."""

from __future__ import annotations

import time
import zlib
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Final, TypeVar

from boardtalk.hil.plugin import lanes, picture
from boardtalk.modules.iot_bridge.frames import Kind
from boardtalk.modules.iot_bridge.sniff.decoder import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from boardtalk.hil.plugin.boards import Board
    from boardtalk.hil.plugin.gateways import Gateway
    from boardtalk.hil.plugin.lines import Line
    from boardtalk.hil.plugin.pins import Pin
    from boardtalk.hil.plugin.talk import Note
    from boardtalk.hil.plugin.traffic import Passed, Traffic

L = TypeVar("L", bound="Line")

FRAMES, CHAT = 30, 100
"""The last ones, in words."""
SILENT: Final = frozenset({"time", "renew"})
"""Types of frames that come again and again, and tell little."""
NEXT: Final = "\n" + " " * 14
"""Between the lines of what was said."""
OUTPUTS: Final = 10
"""Of the simulated robot, likewise."""
PINS: Final = 64


class Story:
    """Of one test.

    Args:
        run: the seed of the whole run.
        test: the test's id: each has random numbers of its own, whatever runs before it.
    """

    def __init__(self, run: int, test: str) -> None:
        self.seed = zlib.crc32(test.encode(), run)
        self.gateway: Gateway | None = None
        self.recording: Path | None = None
        self.traffic: Traffic | None = None
        self._run = run
        self._test = test
        self._began = time.monotonic()
        self._boards: list[Board] = []
        self._lines: list[Line] = []

    def add_line(self, line: L) -> L:
        """A line to tell of."""
        self._lines.append(line)
        return line

    def add_board(self, board: Board) -> Board:
        """A board to tell of."""
        self._boards.append(board)
        return board

    def passed(self) -> list[Passed]:
        """What went over the lines between gateway and boards."""
        return list(self.traffic.passed()) if self.traffic else []

    def told(self, passed: Sequence[Passed]) -> str:
        """All of it in words."""
        return "\n".join(self._paragraphs(passed))

    def drawn(self, passed: Sequence[Passed]) -> str:
        """All of it over time, as SVG; "" if there is nothing."""
        told = self.gateway.told if self.gateway else []
        end = time.monotonic() - self._began
        rows = lanes.of_test(self._began, list(told), passed, self._boards)
        return picture.draw(self._test, rows, lanes.span(rows, end), f"failed at {end:.3f} s") if rows else ""

    def _paragraphs(self, passed: Sequence[Passed]) -> Iterator[str]:
        for board in self._boards:
            yield f"board {board.name} at {board.port}"
        for line in self._lines:
            fired = ", ".join(f"{name} {count}" for name, count in line.fired.items() if count) or "none"
            yield f"faults: {fired}; the same again with --seed {self._run}"
        if self.recording is not None:
            yield f"recording: {self.recording}; `boardtalk replay` plays it"
        if self.gateway is not None:
            chat = list(self._chat(list(self.gateway.told)))
            cut = f", the last {CHAT} of {len(chat)}" if len(chat) > CHAT else ""
            yield f"chat, seconds since the test began{cut}:"
            yield from chat[-CHAT:]
        yield from self._frames(passed)
        for board in self._boards:
            yield from self._pins(board)
            yield from self._outputs(board)
        if self.gateway is not None:
            yield "log:"
            yield from (f"  {each}" for each in self.gateway.log.split("\n") if each)

    def _chat(self, told: list[Note]) -> Iterator[str]:
        """What was said, each with what became of it; the same again and again is told once."""
        for _, turns in groupby(_turns(told), lambda turn: [str(note) for note in turn]):
            first, *again = turns
            yield from (f"  {self._clock(note.at)} {note}".replace("\n", NEXT) for note in first)
            if again:
                yield f"  {self._clock(again[-1][-1].at)} … and so again, {len(again)} times"

    def _frames(self, passed: Sequence[Passed]) -> Iterator[str]:
        if not passed:
            return
        telling = [
            each for each in passed if each.seen.kind is not Kind.ACK and each.seen.type_name not in SILENT
        ]
        yield f"frames, the last of {len(passed)}, without acknowledgements, renewals and clocks:"
        for board, seen, _ in telling[-FRAMES:]:
            arrow = {True: f"→ {board}", False: f"← {board}", None: board}[seen.down]
            check = "" if seen.check is Check.GOOD else f" [{seen.check.value}]"
            yield f"  {self._clock(seen.at)} {arrow} {seen.label}: {seen.words}{check}"

    def _pins(self, board: Board) -> Iterator[str]:
        if not board.shows_pins:
            return
        used = [(number, pin) for number in range(PINS) if (pin := board.pins[number]).mode != "unused"]
        if used:
            yield f"pins of {board.name}:"
        yield from (f"  {number}: {_state(pin)}" for number, pin in used)

    def _outputs(self, board: Board) -> Iterator[str]:
        outputs = [moment for moment in board.moments if lanes.HEARD not in moment.state][-OUTPUTS:]
        if outputs:
            yield f"outputs of the simulated {board.name}, the last:"
        for moment in outputs:
            state = ", ".join(f"{name} {lanes.shown(value)}" for name, value in moment.state.items())
            yield f"  {self._clock(moment.at)} {state}"

    def _clock(self, at: float) -> str:
        return f"{at - self._began:7.3f}"


def _turns(told: list[Note]) -> Iterator[list[Note]]:
    """From what somebody said to what somebody said next."""
    begins = [index for index, note in enumerate(told) if note.sign == ">"]
    for begin, end in pairwise([*({0} - {*begins}), *begins, len(told)]):
        yield told[begin:end]


def _state(pin: Pin) -> str:
    match pin.mode:
        case "pwm":
            return f"pwm, {100 * pin.duty / 65535:.3g} % of {pin.frequency} Hz"
        case "analog":
            return f"analog, reads {pin.reading}"
        case mode:
            return f"{mode}, {pin.value}"
