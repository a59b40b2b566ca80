"""Help on a board's commands, made from its dictionary: usage, examples, lists. Pure."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge.dictionary import MAX_FLOAT
from boardtalk.modules.iot_bridge.language import units
from boardtalk.modules.iot_bridge.language.words import exact, limits, line, quoted, unit_suffix, value_text
from boardtalk.sdk import ArgumentInfo, CommandInfo, SeriesInfo

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.dictionary import Channel, Command, Control, Dictionary, Value

COLUMNS: Final = 80
CALL_COLUMNS: Final = 30
"""Room for commands in the list; longer ones push their explanation aside."""
MAX_USAGE_CHARS: Final = 500
MAX_ARGUMENTS: Final = 30
"""Explained in one help."""
CLASSES: Final = ("motion", "action", "query", "config", "stop")
"""In the order in which help lists them."""
EVENT: Final = "event."
"""So begin the names of series that are a board's events."""
LOGS: Final = {0: "console", 10: "debug", 20: "info", 30: "warning", 40: "error"}
"""Levels of log lines, and what their series are called behind `log.`."""
OWN_SERIES: Final = (
    *(SeriesInfo(name=f"log.{name}", help=f"log of the board: {name}", text=True) for name in LOGS.values()),
    SeriesInfo(name="link.rtt", help="from a question to the board to its answer", unit="ms", min=0),
    SeriesInfo(name="link.loss", help="frames that were lost in a second, of all", unit="%", min=0, max=100),
    SeriesInfo(name="link.resent", help="frames sent again in a second", unit="1/s", min=0),
)
"""What the bridge itself tells of every robot; of the line while somebody watches."""
ALWAYS: Final = "always: help [COMMAND], stop, rearm, cancel, watch CHANNEL, unwatch CHANNEL"
"""What the bridge itself understands, for every robot."""


def usage(command: Command | Control) -> str:
    """How a command is typed: ``usage: forward DISTANCE(1 to 500 cm) [SPEED(1 to 100 %, 50)]``."""
    return line(" ".join(("usage:", command.name, *map(_placeholder, command.args))), MAX_USAGE_CHARS)


def example(command: Command | Control) -> str:
    """A line that works: ``example: forward 50 cm speed=50 %``."""
    required = [place for place, spec in enumerate(command.args, 1) if spec.default is None]
    first, further = command.args[: max(required, default=0)], command.args[max(required, default=0) :]
    words = ["example:", command.name, *map(_sample, first)]
    words += [f"{spec.name}={_sample(spec)}" for spec in further[:1]]
    return line(" ".join(words), MAX_USAGE_CHARS)


def hint(spec: Value) -> str:
    """An argument in a few words, for completion."""
    return "; ".join(filter(None, (line(spec.help), limits(spec), _default(spec))))


def overview(dictionary: Dictionary) -> str:
    """All commands by class, at most 80 columns wide."""
    lines = textwrap.wrap(line(dictionary.about), COLUMNS)
    width = max((len(_call(command)) for command in dictionary.commands), default=0)
    for cls in CLASSES:
        members = [command for command in dictionary.commands if command.cls == cls]
        lines += [f"{cls}:"] if members else []
        for command in members:
            row = f"  {_call(command):<{min(width, CALL_COLUMNS)}}  {line(command.help)}"
            lines.append(line(row.rstrip(), COLUMNS))
    return "\n".join((*lines, ALWAYS))


def details(command: Command) -> str:
    """One command: usage, arguments, answer and an example, at most 80 columns wide."""
    width = max((len(spec.name) for spec in command.args), default=0)
    lines = _wrap(f"{command.name}: {line(command.help)}".rstrip(": "), "")
    lines += _wrap(usage(command), "  ")
    for spec in command.args[:MAX_ARGUMENTS]:
        lines += _wrap(f"  {spec.name:<{width}}  {_explanation(spec)}", " " * (width + 4))
    if command.returns:
        answer = ", ".join(
            spec.name + (f" in {line(spec.unit)}" if spec.unit else "") for spec in command.returns
        )
        lines += _wrap(line(f"answers: {answer}", MAX_USAGE_CHARS), "  ")
    return "\n".join((*lines, *_wrap(example(command), "  ")))


def infos(dictionary: Dictionary) -> tuple[CommandInfo, ...]:
    """The commands for the directory."""
    return tuple(
        CommandInfo(
            name=command.name,
            help=line(command.help),
            cls=command.cls,
            args=tuple(map(_info, command.args)),
        )
        for command in dictionary.commands
    )


def controls(dictionary: Dictionary) -> tuple[CommandInfo, ...]:
    """What can be controlled live, for the directory."""
    return tuple(
        CommandInfo(
            name=control.name, help=line(control.help), cls="motion", args=tuple(map(_info, control.args))
        )
        for control in dictionary.controls
    )


def series(dictionary: Dictionary) -> tuple[SeriesInfo, ...]:
    """What is measured there, for the directory."""
    measured = (
        SeriesInfo(
            name=series_name(channel, value),
            help=line(value.help or channel.help),
            unit=line(value.unit),
            min=value.min,
            max=value.max,
            text=value.type in ("str", "choice"),
        )
        for channel in dictionary.telemetry
        for value in channel.values
    )
    events = (
        SeriesInfo(name=f"{EVENT}{event.name}", help=line(event.help), text=True)
        for event in dictionary.events
    )
    return (*measured, *events, *OWN_SERIES)


def log_series(level: int) -> str:
    """What the series of log lines of a level is called."""
    return f"log.{LOGS[max(known for known in LOGS if known <= level)]}"


def series_name(channel: Channel, value: Value) -> str:
    """What a value of a telemetry channel is called among the series."""
    return channel.name if len(channel.values) == 1 else f"{channel.name}.{value.name}"


def _info(spec: Value) -> ArgumentInfo:
    return ArgumentInfo(
        name=spec.name,
        type=spec.type,
        unit=line(spec.unit),
        min=spec.min,
        max=spec.max,
        default=line(spec.default) if isinstance(spec.default, str) else spec.default,
        choices=tuple(map(line, spec.choices)),
    )


def _wrap(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, COLUMNS, subsequent_indent=indent, break_on_hyphens=False)


def _explanation(spec: Value) -> str:
    others = units.alternatives(spec.unit) if spec.type in ("int", "float") else ()
    also = f"also in {', '.join(others)}" if others else ""
    return "; ".join(filter(None, (line(spec.help), limits(spec) or spec.type, _default(spec), also)))


def _default(spec: Value) -> str:
    return "" if spec.default is None else f"default {line(value_text(spec, spec.default))}"


def _call(command: Command) -> str:
    """``forward distance [speed]``."""
    return " ".join((command.name, *(s.name if s.default is None else f"[{s.name}]" for s in command.args)))


def _placeholder(spec: Value) -> str:
    """``DISTANCE(1 to 500 cm)``, ``[SPEED(1 to 100 %, 50)]``."""
    default = "" if spec.default is None else value_text(spec, spec.default).removesuffix(unit_suffix(spec))
    about = ", ".join(filter(None, (limits(spec), default)))
    word = spec.name.upper() + (f"({about})" if about else "")
    return word if spec.default is None else f"[{word}]"


def _sample(spec: Value) -> str:
    """A value that the argument takes, as it is typed."""
    match spec.type:
        case "bool":
            return value_text(spec, spec.default if spec.default is not None else True)
        case "choice":
            return quoted(str(spec.default or spec.choices[0]))
        case "str":
            return quoted(str(spec.default or "some text"))
    chosen = spec.default if isinstance(spec.default, int | float) else _sample_number(spec)
    return exact(spec, chosen)


def _sample_number(spec: Value) -> float:
    """A round number within the limits, rather small: it may be tried on a real robot."""
    low = spec.min if spec.min is not None else min(0.0, spec.max or 0.0)
    high = spec.max if spec.max is not None else max(0.0, low) + 200
    low, high = (max(-MAX_FLOAT, min(limit, MAX_FLOAT)) for limit in (low, high))
    start = max(low, 0.0) if high > 0 else low
    value = float(f"{start + (high - start) / 10:.1g}")
    value = round(value) if spec.type == "int" else value
    if low <= value <= high:
        return value
    return math.ceil(low) if spec.type == "int" else low
