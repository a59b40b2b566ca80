"""What people type, as typed commands of a robot. Pure.

::

    forward 20 · forward 20 cm · forward 0.2 m · forward distance=20 speed=80 % · led on · say "hello"

Arguments without names come first and in order, named ones after them in any order; defaults fill
the rest. If all that is missing is a text, it takes the rest of the line. What `read` returns fits
the board's dictionary, in its units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from boardtalk.modules.iot_bridge.language import manual, units
from boardtalk.modules.iot_bridge.language.arguments import NUMERIC, assign, read_arguments
from boardtalk.modules.iot_bridge.language.manual import infos
from boardtalk.modules.iot_bridge.language.values import (
    NUMBER,
    BadArgument,
    CommandError,
    UnknownCommand,
    fold,
    guess,
    said,
)
from boardtalk.modules.iot_bridge.language.words import line, quoted, show
from boardtalk.sdk import Completion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from boardtalk.modules.iot_bridge.dictionary import Command, Dictionary, Value

__all__ = [
    "BadArgument",
    "CommandError",
    "Order",
    "UnknownCommand",
    "complete",
    "complete_channel",
    "help_for",
    "help_text",
    "infos",
    "is_help",
    "read",
    "show",
]

MAX_CHARS: Final = 1000
"""Of a line."""


@dataclass(frozen=True, slots=True)
class Order:
    """A line, understood: every value checked against the dictionary and in its unit."""

    index: int
    """Of the command in the dictionary."""
    command: Command
    args: dict[str, Any]
    """By name, for `Command.args_format`."""

    def __str__(self) -> str:
        """As it was understood: ``forward distance 20 cm, speed 50 %``."""
        return f"{self.command.name} {show(self.args, self.command.args)}".rstrip()


def read(text: str, dictionary: Dictionary) -> Order:
    """Understand a line.

    Raises:
        UnknownCommand: the dictionary has no such command.
        BadArgument: an argument is missing, too much, or does not fit; or the line is too long.
    """
    if len(text) > MAX_CHARS:
        raise BadArgument(f"too long: {len(text)} characters are more than the limit of {MAX_CHARS}")
    name, rest = _split(text)
    index, command = _find(name, dictionary)
    return Order(index, command, read_arguments(command, rest))


def is_help(text: str) -> bool:
    """Whether a line asks for help: `help`, `help forward`, `?`, `forward ?`."""
    words = _help_words(text)
    return words[:1] in (["help"], ["?"]) or words[1:] == ["?"]


def help_for(text: str, dictionary: Dictionary) -> str:
    """The help that a line asks for.

    Raises:
        UnknownCommand: it asks about a command that there is not.
    """
    topics = [word for word in _help_words(text) if word not in ("help", "?")]
    return help_text(dictionary, *topics[:1])


def help_text(dictionary: Dictionary, name: str = "") -> str:
    """Help on one command, or the list of all.

    Raises:
        UnknownCommand: the dictionary has no such command.
    """
    return manual.details(_find(name, dictionary)[1]) if name else manual.overview(dictionary)


def complete(text: str, dictionary: Dictionary) -> list[Completion]:
    """What may follow a half-typed line; each replaces its last word."""
    if len(text) > MAX_CHARS:
        return []
    head, _, last = text.rpartition(" ")
    name, rest = _split(head)
    if name in ("", "help", "?"):
        last = last.removeprefix("/")
        found = [Completion(each.name, line(each.help)) for each in dictionary.commands]
    elif name in dictionary.by_name:
        found = list(_continuations(dictionary.by_name[name][1], rest, last))
    else:
        return []
    return [each for each in found if each.text.lower().startswith(last.lower())]


def complete_channel(begun: str, dictionary: Dictionary) -> list[Completion]:
    """Telemetry whose name begins like this."""
    channels = (channel for channel in dictionary.telemetry if channel.name.startswith(begun))
    return [Completion(channel.name, line(channel.help)) for channel in channels]


def _split(text: str) -> tuple[str, str]:
    """The command's name, and the rest as it was typed."""
    words = text.strip().removeprefix("/").split(maxsplit=1)
    return fold(words[0]).lower() if words else "", words[1] if words[1:] else ""


def _help_words(text: str) -> list[str]:
    return fold(text).removeprefix("/").lower().replace("?", " ? ").split()


def _find(name: str, dictionary: Dictionary) -> tuple[int, Command]:
    found = dictionary.by_name.get(name)
    if found:
        return found
    robot = line(dictionary.name)
    what = f"there is no command {said(name)}" if name else "nothing to do"
    raise UnknownCommand(
        f"{what}; {guess(name, dictionary.by_name) or f'`{robot}: help` lists what it knows'}"
    )


def _continuations(command: Command, before: str, last: str) -> Iterator[Completion]:
    """Units, values and names that may follow; `last` is the word begun already."""
    try:
        given = list(assign(command, before))
    except BadArgument:
        return
    free = [spec for spec in command.args if all(spec is not each.spec for each in given)]
    name, equals, begun = last.partition("=")
    if equals:
        for spec in free:
            if spec.name == name.lower():
                yield from (Completion(f"{name}={text}", manual.hint(spec)) for text in _texts(spec, begun))
        return
    if free and not any(each.named for each in given):
        yield from (Completion(text, manual.hint(free[0])) for text in _texts(free[0], last))
    yield from (Completion(f"{spec.name}=", manual.hint(spec)) for spec in free)
    if given and given[-1].spec.type in NUMERIC:
        number = NUMBER.fullmatch(fold(given[-1].text))
        if number and not number[2]:
            yield from (Completion(unit, f"unit of {given[-1].spec.name}") for unit in _units(given[-1].spec))


def _texts(spec: Value, begun: str) -> list[str]:
    """Values that can be listed; of numbers that are typed already, the units."""
    match spec.type:
        case "choice":
            return [quoted(line(choice)) for choice in spec.choices]
        case "bool":
            return ["on", "off"]
    number = NUMBER.fullmatch(begun)
    return [number[1] + unit for unit in _units(spec)] if number and number[2] else []


def _units(spec: Value) -> tuple[str, ...]:
    return (line(spec.unit), *units.alternatives(spec.unit)) if spec.unit else ()
