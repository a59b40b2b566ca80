"""What people type, as typed commands of a robot, and what the robot answers, as text. Pure.

::

    forward 20 · forward 20 cm · forward 0.2 m · forward distance=20 speed=80 % · led on · mode fast

Positional arguments come first and in order, named ones after them in any order; defaults fill the
rest. The dictionary comes from a board and may be hostile: its texts pass `clean` before they are
shown.
"""

from __future__ import annotations

import math
import re
import shlex
import unicodedata
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from boardtalk.modules.iot_bridge import units
from boardtalk.modules.iot_bridge.dictionary import INT_RANGE, MAX_STR_BYTES, Command, Dictionary, Value
from boardtalk.sdk import ArgumentInfo, BoardtalkError, CommandInfo, Completion

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_LINE_CHARS: Final = 1000
MAX_HELP_CHARS: Final = 200
"""Of one text that a board declares."""
MAX_FLOAT: Final = 3.4e38
"""Largest float on the wire (32 bit)."""
TRUE: Final = frozenset({"on", "yes", "true", "1"})
FALSE: Final = frozenset({"off", "no", "false", "0"})
CLASSES: Final = ("motion", "action", "query", "config", "stop")
"""In the order in which help lists them."""

_NUMBER: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(.*)", re.IGNORECASE | re.DOTALL)
_MINUS: Final = str.maketrans("−–—", "---")


class CommandError(BoardtalkError):
    """A line can't be carried out; the text says why and what would do, for its author."""


class UnknownCommand(CommandError):
    """The robot has no such command."""


class BadArgument(CommandError):
    """An argument is missing, too much, or does not fit."""


@dataclass(frozen=True, slots=True)
class Order:
    """A line, understood: every value checked against the dictionary and in its unit."""

    index: int
    command: Command
    args: dict[str, Any]


def clean(text: str) -> str:
    """A board's text without control characters, at most `MAX_HELP_CHARS` long."""
    kept = (char for char in text[: 4 * MAX_HELP_CHARS] if unicodedata.category(char)[0] != "C")
    return "".join(kept)[:MAX_HELP_CHARS]


# Reading ----------------------------------------------------------------------------------------


def read(line: str, dictionary: Dictionary) -> Order:
    """Understand a line.

    Raises:
        UnknownCommand: the dictionary has no such command.
        BadArgument: an argument is missing, too much, or does not fit.
    """
    words = _words(line)
    if not words:
        raise UnknownCommand(f"nothing to do; `{dictionary.name}: help` lists the commands")
    index, command = _command(words[0], dictionary)
    return Order(index, command, _arguments(command, words[1:]))


def is_help(line: str) -> bool:
    """Whether a line asks for help: `help`, `help forward`, `?`, `forward ?`."""
    words = line.strip().lstrip("/").lower().split()
    return bool(words) and (words[0] in {"help", "?"} or words[-1] == "?")


def help_for(line: str, dictionary: Dictionary) -> str:
    """The help that a line asks for.

    Raises:
        UnknownCommand: it asks about a command that there is not.
    """
    topics = [word for word in line.strip().lstrip("/").lower().split() if word not in {"help", "?"}]
    if not topics:
        return help_text(dictionary)
    return _help_on(_command(topics[0], dictionary)[1])


def _words(line: str) -> list[str]:
    if len(line) > MAX_LINE_CHARS:
        raise BadArgument(f"too long: {len(line)} characters, {MAX_LINE_CHARS} at most")
    folded = unicodedata.normalize("NFKC", line).translate(_MINUS).strip().removeprefix("/")
    try:
        return shlex.split(folded)
    except ValueError:  # an unpaired quote: take it literally
        return folded.split()


def _command(word: str, dictionary: Dictionary) -> tuple[int, Command]:
    found = dictionary.by_name.get(word.lower())
    if found:
        return found
    near = get_close_matches(word.lower(), dictionary.by_name, n=1)
    robot = clean(dictionary.name)
    hint = f"did you mean {near[0]}?" if near else f"`{robot}: help` lists what it knows"
    raise UnknownCommand(f"{robot} knows no {clean(word)[:40]!r}; {hint}")


def _arguments(command: Command, words: list[str]) -> dict[str, Any]:
    specs = {spec.name: spec for spec in command.args}
    args: dict[str, Any] = {}
    named = False
    waiting = list(command.args)
    groups = _join_units(words, command)
    while groups:
        group = groups.pop(0)
        name, equals, text = group.partition("=")
        if equals and name.isidentifier():
            named = True
            spec = _named(command, specs, name.lower())
        elif named:
            raise BadArgument(
                f"{clean(group)!r} stands after a named argument: name it too; {usage(command)}"
            )
        elif not waiting:
            raise BadArgument(f"{clean(group)!r} is too much; {usage(command)}")
        else:
            spec, text = waiting[0], group
            if spec.type == "str" and len(waiting) == 1:
                text, groups = " ".join([group, *groups]), []
        if spec.name in args:
            raise BadArgument(f"{spec.name} is given twice; {usage(command)}")
        args[spec.name] = _value(spec, text)
        waiting = [each for each in waiting if each.name != spec.name]
    for spec in waiting:
        if spec.default is None:
            raise BadArgument(f"{spec.name} is missing; {usage(command)}")
        args[spec.name] = _default(spec)
    return args


def _join_units(words: list[str], command: Command) -> list[str]:
    """Put units that stand apart (`20 cm`) to their numbers."""
    declared = {spec.unit for spec in command.args if spec.unit}
    joined: list[str] = []
    for word in words:
        apart = units.known(word) is not None or word in declared
        number = _NUMBER.fullmatch(joined[-1].rpartition("=")[2]) if joined else None
        if apart and number and not number[2]:
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _named(command: Command, specs: dict[str, Value], name: str) -> Value:
    if name in specs:
        return specs[name]
    near = get_close_matches(name, specs, n=1)
    hint = f"did you mean {near[0]}?" if near else usage(command)
    raise BadArgument(f"{command.name} has no argument {clean(name)!r}; {hint}")


def _default(spec: Value) -> Any:
    return float(spec.default) if spec.type == "float" and spec.default is not None else spec.default


def _value(spec: Value, text: str) -> Any:
    """One typed value, checked."""
    match spec.type:
        case "int" | "float":
            return _number(spec, text)
        case "bool":
            if text.lower() in TRUE | FALSE:
                return text.lower() in TRUE
            raise BadArgument(f"{spec.name}: {clean(text)!r} is neither on nor off")
        case "choice":
            return _choice(spec, text)
        case _:
            if len(text.encode()) > MAX_STR_BYTES:
                raise BadArgument(f"{spec.name}: longer than {MAX_STR_BYTES} bytes")
            return text


def _choice(spec: Value, text: str) -> str:
    folded = {choice.lower(): choice for choice in spec.choices}
    if text.lower() in folded:
        return folded[text.lower()]
    near = get_close_matches(text.lower(), folded, n=1)
    words = ", ".join(map(clean, spec.choices))
    hint = f"did you mean {clean(folded[near[0]])}?" if near else f"it is one of: {words}"
    raise BadArgument(f"{spec.name}: there is no {clean(text)[:40]!r}; {hint}")


def _number(spec: Value, text: str) -> int | float:
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise BadArgument(f"{spec.name}: {clean(text)[:40]!r} is not a number{_in_unit(spec)}")
    value = _converted(spec, float(match[1]), match[2].strip())
    if not math.isfinite(value) or abs(value) > MAX_FLOAT:
        raise BadArgument(f"{spec.name}: {clean(text)[:40]} is too large")
    if spec.type == "int":
        if not value.is_integer():
            raise BadArgument(f"{spec.name}: {_short(value)}{_unit(spec)} is not a whole number")
        if not INT_RANGE[0] <= value <= INT_RANGE[1]:
            raise BadArgument(f"{spec.name}: {clean(text)[:40]} is too large")
    _check_range(spec, value)
    return int(value) if spec.type == "int" else value


def _converted(spec: Value, value: float, unit: str) -> float:
    if not unit:
        return value
    converted = units.convert(value, unit, spec.unit) if spec.unit else None
    if converted is not None:
        return converted
    if not spec.unit:
        raise BadArgument(f"{spec.name} has no unit: leave {clean(unit)[:20]!r} away")
    kind = units.quantity(unit)
    what = f"{clean(unit)!r} is a {kind}" if kind else f"{clean(unit)[:20]!r} is no unit that I know"
    others = ", ".join(each for each in units.siblings(spec.unit) if each != spec.unit)
    raise BadArgument(f"{what}; {spec.name} takes {clean(spec.unit)}{f' (or {others})' if others else ''}")


def _check_range(spec: Value, value: float) -> None:
    for limit, beyond, word in ((spec.max, 1, "more"), (spec.min, -1, "less")):
        if limit is not None and (value - limit) * beyond > 0:
            raise BadArgument(
                f"{spec.name}: {_short(value)}{_unit(spec)} is {word} than the limit of "
                f"{_short(limit)}{_unit(spec)} ({_range(spec)})"
            )


# Help and completion ----------------------------------------------------------------------------


def usage(command: Command) -> str:
    """One line that shows how a command is typed."""
    parts = [command.name]
    for spec in command.args:
        about = ", ".join(filter(None, (_range(spec), _shown_default(spec))))
        name = f"{spec.name.upper()}({about})" if about else spec.name.upper()
        parts.append(name if spec.default is None else f"[{name}]")
    return "usage: " + " ".join(parts)


def help_text(dictionary: Dictionary) -> str:
    """All commands, grouped by class."""
    lines = [clean(dictionary.about)] if dictionary.about else []
    width = max((len(_call(command)) for command in dictionary.commands), default=0)
    for cls in CLASSES:
        members = [command for command in dictionary.commands if command.cls == cls]
        if members:
            lines.append(f"{cls}:")
            lines += [f"  {_call(each):<{min(width, 34)}}  {clean(each.help)}".rstrip() for each in members]
    lines.append("always: help [COMMAND], stop, rearm, watch CHANNEL, unwatch CHANNEL")
    return "\n".join(lines)


def _help_on(command: Command) -> str:
    lines = [f"{command.name}: {clean(command.help)}".rstrip(": "), usage(command)]
    lines += [f"  {spec.name}: {clean(spec.help)}" for spec in command.args if spec.help]
    lines.append("example: " + " ".join([command.name, *map(_example, command.args)]))
    return "\n".join(lines)


def _call(command: Command) -> str:
    return " ".join(
        [command.name, *(f"[{s.name}]" if s.default is not None else s.name for s in command.args)]
    )


def _example(spec: Value) -> str:
    if spec.default is not None:
        return _text(spec, spec.default)
    match spec.type:
        case "choice":
            return clean(spec.choices[0])
        case "bool":
            return "on"
        case "str":
            return "text"
        case _:
            low = spec.min if spec.min is not None else 0
            high = spec.max if spec.max is not None else low + 20
            return f"{_short(float(round(low + (high - low) / 10)))}{_unit(spec)}"


def complete(line: str, dictionary: Dictionary) -> list[Completion]:
    """What may follow a half-typed line: each replaces its last word."""
    words = line.split(" ")
    last = words[-1].lower()
    if len(words) == 1:
        found = [Completion(each.name, clean(each.help)) for each in dictionary.commands]
    else:
        known = dictionary.by_name.get(words[0].lower())
        found = _complete_arguments(known[1], words[1:]) if known else []
    return [each for each in found if each.text.lower().startswith(last)]


def _complete_arguments(command: Command, words: Sequence[str]) -> list[Completion]:
    given = {word.partition("=")[0].lower() for word in words[:-1] if "=" in word}
    free = [spec for spec in command.args if spec.name not in given]
    position = sum(1 for word in words[:-1] if word and "=" not in word)
    found = [_completion(spec.name + "=", spec) for spec in free[position:]]
    if position < len(free):
        spec = free[position]
        options = spec.choices if spec.type == "choice" else ("on", "off") if spec.type == "bool" else ()
        found = [_completion(clean(option), spec) for option in options] + found
    return found


def _completion(text: str, spec: Value) -> Completion:
    hint = ", ".join(filter(None, (clean(spec.help), _range(spec), _shown_default(spec))))
    return Completion(text, hint)


def infos(dictionary: Dictionary) -> tuple[CommandInfo, ...]:
    """The commands for the directory."""
    return tuple(
        CommandInfo(
            name=command.name,
            help=clean(command.help),
            cls=command.cls,
            args=tuple(
                ArgumentInfo(
                    name=spec.name,
                    type=spec.type,
                    unit=clean(spec.unit),
                    min=spec.min,
                    max=spec.max,
                    default=spec.default,
                    choices=tuple(map(clean, spec.choices)),
                )
                for spec in command.args
            ),
        )
        for command in dictionary.commands
    )


# Showing ----------------------------------------------------------------------------------------


def show(values: dict[str, Any], specs: Iterable[Value]) -> str:
    """Values that a board sent, as text: ``x 20 cm, y 0 cm``; a value alone needs no name."""
    rows = [(spec, _text(spec, values.get(spec.name))) for spec in specs]
    if len(rows) == 1:
        return rows[0][1]
    return ", ".join(f"{spec.name} {text}" for spec, text in rows)


def _text(spec: Value, value: Any) -> str:
    match value:
        case None:
            return "not available"
        case bool():
            return "on" if value else "off"
        case int() | float():
            return f"{_short(value)}{_unit(spec)}"
        case _:
            return clean(str(value))


def _short(value: float) -> str:
    """Six significant digits at most, no ``-0``, no needless zeros."""
    if isinstance(value, int):
        return str(value)
    text = f"{value:.6g}"
    return "0" if text == "-0" else text


def _unit(spec: Value) -> str:
    unit = clean(spec.unit)
    if unit == "deg":
        return "°"
    return f" {unit}" if unit else ""


def _in_unit(spec: Value) -> str:
    return f" of {clean(spec.unit)}" if spec.unit else ""


def _range(spec: Value) -> str:
    match spec.type, spec.min, spec.max:
        case "choice", _, _:
            return "|".join(map(clean, spec.choices))
        case "bool", _, _:
            return "on|off"
        case "str", _, _:
            return "text"
        case _, None, None:
            return clean(spec.unit)
        case _, low, None:
            return f"from {_short(low)}{_unit(spec)}"  # type: ignore[arg-type]
        case _, None, high:
            return f"up to {_short(high)}{_unit(spec)}"
        case _, low, high:
            return f"{_short(low)} to {_short(high)}{_unit(spec)}"
    return ""


def _shown_default(spec: Value) -> str:
    return "" if spec.default is None else f"else {_text(spec, spec.default)}"
