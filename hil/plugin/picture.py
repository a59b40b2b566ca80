"""Draws what happened over time, as SVG: lanes below each other, with one axis. Pure."""

from __future__ import annotations

import math
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from boardtalk.modules.iot_bridge.language.words import line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LEFT, RIGHT, PLOT = 160, 145, 715
"""Widths of the names of lanes, of what was last, and of what lies between."""
TOP, BOTTOM, GAP = 44, 34, 10
HIGH, LOW, FLAT = 44, 20, 12
"""Heights of curves, of what is on or off, and of what never changes."""
ROW, ROWS, CHAR = 15, 10, 6.3
"""Of words: height, so many below each other at most, width of a letter."""
MAX_WORDS: Final = 46
"""Letters of what somebody says."""
MAX_LANES: Final = 24
MAX_STEPS: Final = 10
"""Of the axis."""
DOTS: Final = 60
"""A curve of fewer values shows each."""
BLUE, ORANGE, RED, GREY, GRID = "#0b6e99", "#b5521b", "#a02040", "#777777", "#dddddd"
STYLE: Final = (
    "text{font:11px 'DejaVu Sans',Verdana,sans-serif;fill:#222222}"
    f".faint{{font-size:9px;fill:{GREY}}}.title{{font-size:13px;font-weight:bold}}"
    f".curve{{fill:none;stroke:{BLUE};stroke-width:1.6;stroke-linejoin:round}}"
)


class Curve(NamedTuple):
    """A value over time."""

    label: str
    points: Sequence[tuple[float, float]]
    """Seconds and value, oldest first."""
    unit: str = ""
    """As it follows a number: ` cm`, `°`."""
    holds: bool = True
    """Whether each value holds until the next one; else it was looked at now and then."""
    is_level: bool = False
    """Whether it is on or off."""


class Marks(NamedTuple):
    """Moments."""

    label: str
    moments: Sequence[tuple[float, str]]
    """Seconds, and their colour."""
    counts: str
    """How many, in words."""


class Words(NamedTuple):
    """What was said when."""

    label: str
    said: Sequence[tuple[float, str, str]]
    """Seconds, words, and their colour, oldest first."""


class Span(NamedTuple):
    """What the axis shows."""

    begin: float
    """Seconds."""
    end: float

    def x(self, moment: float) -> float:
        """Where it is."""
        return LEFT + (moment - self.begin) * PLOT / max(self.end - self.begin, 1e-3)


Lane = Curve | Marks | Words


def draw(title: str, lanes: Sequence[Lane], span: Span, last: str) -> str:
    """The picture.

    Args:
        title: above it.
        lanes: from top to bottom; there is room for 24, the names of more stand below.
        span: from the left edge to the right one.
        last: what happened there.
    """
    parts: list[str] = []
    at = float(TOP)
    for lane in lanes[:MAX_LANES]:
        height = _height(lane, span)
        parts += [_text(LEFT - 34, at + height / 2 + 4, _cut(lane.label, 21), anchor="end")]
        parts += _lane(lane, at, height, span)
        at += height + GAP
    left_out = ", ".join(lane.label for lane in lanes[MAX_LANES:])
    if left_out:
        parts += [_text(10, at + 46, _cut(f"not shown: {left_out}", 150), "faint")]
    whole = at + BOTTOM + (20 if left_out else 0)
    width = LEFT + PLOT + RIGHT
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {whole:.0f}" width="{width}">',
            f"<style>{STYLE}</style>",
            f'<rect width="{width}" height="{whole:.0f}" fill="white"/>',
            _text(10, 20, title, "title"),
            *_axis(at, span),
            *parts,
            _stroke(LEFT + PLOT, TOP - 8, LEFT + PLOT, at, RED, 1.4),
            _text(LEFT + PLOT, TOP - 14, last, anchor="end", colour=RED),
            "</svg>\n",
        )
    )


def _height(lane: Lane, span: Span) -> float:
    match lane:
        case Words():
            return ROW * (1 + max((row for *_, row in _placed(lane, span)), default=0))
        case Curve(is_level=True) | Marks():
            return LOW
        case Curve(points=points):
            return HIGH if len({value for _, value in points}) > 1 else FLAT


def _lane(lane: Lane, top: float, height: float, span: Span) -> Iterator[str]:
    match lane:
        case Words():
            yield from _words(lane, top, height, span)
        case Marks(_, moments, counts):
            for x, colour in dict.fromkeys((round(span.x(moment), 1), colour) for moment, colour in moments):
                yield _stroke(x, top + 2, x, top + height - 2, colour, 1.2)
            yield _text(LEFT + PLOT + 8, top + height / 2 + 4, counts, "faint")
        case Curve():
            yield from _curve(lane, top, height, span)


def _curve(lane: Curve, top: float, height: float, span: Span) -> Iterator[str]:
    values = [value for _, value in lane.points]
    low, high = (0.0, 1.0) if lane.is_level else (min(values), max(values))
    room = (height - 4) / ((high - low) or 1)
    places = [(span.x(moment), top + height - 2 - (value - low) * room) for moment, value in lane.points]
    yield _stroke(LEFT, top + height, LEFT + PLOT, top + height, GRID, 1)
    path = f"M{places[0][0]:.1f} {places[0][1]:.1f}"
    for x, y in _thinned(places[1:]):
        path += f"H{x:.1f}V{y:.1f}" if lane.holds else f"L{x:.1f} {y:.1f}"
    yield f'<path class="curve" d="{path}{f"H{LEFT + PLOT}" if lane.holds else ""}"/>'
    if not lane.holds and len(places) < DOTS:
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.8" fill="{BLUE}"/>' for x, y in places)
    if high > low and not lane.is_level:
        yield _text(LEFT - 6, top + 8, _number(high), "faint", anchor="end")
        yield _text(LEFT - 6, top + height, _number(low), "faint", anchor="end")
    said = ("off", "on")[bool(values[-1])] if lane.is_level else f"{_number(values[-1])}{lane.unit}"
    yield _text(LEFT + PLOT + 8, min(places[-1][1], top + height - 2) + 4, said)


def _thinned(places: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Of what falls on the same spot the first, the lowest, the highest and the last."""
    for _, group in groupby(places, key=lambda place: round(place[0] * 2)):
        same = list(group)
        by_height = sorted(same, key=lambda place: place[1])
        yield from sorted({same[0], by_height[0], by_height[-1], same[-1]}, key=same.index)


def _words(lane: Words, top: float, height: float, span: Span) -> Iterator[str]:
    for x, text, colour, on_left, row in _placed(lane, span):
        y = top + height - row * ROW - ROW / 2
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour}"/>'
        yield _text(x + (-6 if on_left else 6), y + 4, text, anchor="end" if on_left else "", colour=colour)


def _placed(lane: Words, span: Span) -> list[tuple[float, str, str, bool, int]]:
    """Each with its place, whether the words are left of it, and a row from below where they hide no others.

    What was said last tells most, so it gets its place first. Where there is no row, only the point is left.
    """
    begins = [math.inf] * ROWS
    placed = []
    points = set()
    for moment, words, colour in reversed(lane.said):
        x = span.x(moment)
        text = _cut(words, MAX_WORDS)
        width = len(text) * CHAR + 14
        on_left = x + width > LEFT + PLOT
        begin, end = (x - width, x + 8) if on_left else (x - 4, x + width)
        row = next((row for row, taken in enumerate(begins) if end <= taken), None)
        if row is None:
            if (round(x), colour) not in points:
                placed.append((x, "", colour, on_left, ROWS))
            points.add((round(x), colour))
            continue
        begins[row] = begin
        placed.append((x, text, colour, on_left, row))
    return placed


def _axis(bottom: float, span: Span) -> Iterator[str]:
    step = _step(span.end - span.begin)
    for count in range(math.ceil(span.begin / step), int(span.end / step) + 1):
        x = span.x(count * step)
        yield _stroke(x, TOP - 8, x, bottom, GRID, 1)
        yield _text(x, bottom + 15, f"{_number(count * step)} s", anchor="middle")


def _step(length: float) -> float:
    """Between two marks of the axis: 1, 2 or 5 of some power of ten."""
    power = 10.0 ** math.floor(math.log10(max(length, 1e-3)) - 1)
    return next(power * each for each in (1, 2, 5, 10) if length / (power * each) <= MAX_STEPS)


def _number(value: float) -> str:
    return f"{value:.4g}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _stroke(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> str:  # noqa: PLR0917
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "", colour: str = "") -> str:
    how = f' class="{kind}"' * bool(kind) + f' text-anchor="{anchor}"' * bool(anchor)
    how += f' style="fill:{colour}"' * bool(colour)
    return f'<text x="{x:.1f}" y="{y:.1f}"{how}>{escape(line(text))}</text>'
