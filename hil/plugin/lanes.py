"""What a test's board and line did, as lanes of a picture."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from boardtalk.hil.micropython.registers import CHANGED_DUTY, VALUE
from boardtalk.hil.plugin.picture import BLUE, ORANGE, RED, Curve, Lane, Marks, Span, Words
from boardtalk.modules.iot_bridge.sniff.decoder import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from boardtalk.hil.plugin.boards import Board
    from boardtalk.hil.plugin.talk import Note
    from boardtalk.hil.plugin.traffic import Passed

HEARD: Final = "heard"
"""The simulated robot's word for a change of its world."""
FULL: Final = 65535
MARGIN: Final = 0.02
"""Of the time that is shown, before the first thing."""
STOP: Final = "stop"


def of_test(
    began: float, told: Sequence[Note], passed: Sequence[Passed], boards: Sequence[Board]
) -> list[Lane]:
    """Chat, frames, what the robot told, what its pins and outputs did.

    Args:
        began: when the test did; 0 of the picture.
        told: the chat.
        passed: what went over the lines.
        boards: the test's.
    """
    lanes: list[Lane] = []
    if told:
        lanes.append(_chat(began, told))
    lanes += _frames(began, passed)
    telemetry = list(_telemetry(began, passed))
    lanes += telemetry
    known = {lane.label.rpartition(" ")[2] for lane in telemetry}
    for board in boards:
        of = f"{board.name} " if len(boards) > 1 else ""
        lanes += _outputs(began, board, of, known)
        lanes += _pins(began, board, of)
    return lanes


def span(lanes: Sequence[Lane], end: float) -> Span:
    """From where there is something to be seen."""
    moments = [moment for lane in lanes for moment in _moments(lane)]
    begin = min([end, *moments])
    return Span(max(0.0, begin - (end - begin) * MARGIN), end)


def shown(value: Any) -> str:
    """A value of an output, short."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _moments(lane: Lane) -> Iterator[float]:
    match lane:
        case Curve(points=points):
            yield from (moment for moment, _ in points)
        case Marks(moments=moments):
            yield from (moment for moment, _ in moments)
        case Words(said=said):
            yield from (moment for moment, *_ in said)


def _chat(began: float, told: Sequence[Note]) -> Words:
    said = []
    for note in told:
        if note.sign == " ":
            continue
        colour = ORANGE if note.sign == "<" else RED if note.words.startswith(STOP) else BLUE
        said.append((note.at - began, f"{note.sign} {note.words}".replace("\n", " "), colour))
    return Words("chat", said)


def _frames(began: float, passed: Sequence[Passed]) -> Iterator[Marks]:
    """One lane for each board and direction."""
    moments: dict[tuple[str, bool], list[tuple[float, str]]] = defaultdict(list)
    for board, seen, _ in passed:
        colour = RED if seen.check is Check.BAD else ORANGE if seen.retry else BLUE
        moments[board, bool(seen.down)].append((seen.at - began, colour))
    for board, down in sorted(moments, key=lambda key: (key[0], not key[1])):
        each = moments[board, down]
        colours = [colour for _, colour in each]
        words = [f"{len(each)}"]
        words += [
            f"{count} {what}"
            for colour, what in ((ORANGE, "repeated"), (RED, "damaged"))
            if (count := colours.count(colour))
        ]
        yield Marks(f"frames {'to' if down else 'from'} {board}", each, ", ".join(words))


def _telemetry(began: float, passed: Sequence[Passed]) -> Iterator[Curve]:
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    units: dict[str, str] = {}
    levels: set[str] = set()
    several = len({each.board for each in passed}) > 1
    for board, seen, readings in passed:
        for name, value, unit in readings:
            label = f"{board} {name}" if several else name
            if isinstance(value, int | float):  # True and False too
                points[label].append((seen.at - began, float(value)))
                units[label] = unit
            if isinstance(value, bool):
                levels.add(label)
    for label, each in points.items():
        yield Curve(label, each, units[label], holds=label in levels, is_level=label in levels)


def _outputs(began: float, board: Board, of: str, known: set[str]) -> Iterator[Curve]:
    """What the simulated robot did that its telemetry does not tell."""
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    levels: set[str] = set()
    for moment in board.moments:
        for name, value in moment.state.items():
            if name in known or HEARD in moment.state or not isinstance(value, int | float):
                continue
            points[name].append((moment.at - began, float(value)))
            if isinstance(value, bool):
                levels.add(name)
    for name, each in sorted(points.items()):
        yield Curve(of + name, each, is_level=name in levels)


def _pins(began: float, board: Board, of: str) -> Iterator[Curve]:
    if not board.shows_pins:
        return
    values: dict[int, list[tuple[float, float]]] = defaultdict(list)
    duties: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for change in board.pins.history:
        if change.kind == VALUE:
            values[change.pin].append((change.at - began, float(change.value)))
        elif change.kind == CHANGED_DUTY:
            duties[change.pin].append((change.at - began, 100 * change.value / FULL))
    for pin in sorted({*values, *duties}):
        if pin in values:
            yield Curve(f"{of}pin {pin}", values[pin], is_level=True)
        if pin in duties:
            yield Curve(f"{of}pin {pin}, duty", duties[pin], " %")
