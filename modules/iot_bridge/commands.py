"""What people type, as typed commands of a robot. Pure.

::

    forward 20 · forward 20 cm · forward 0.2 m · forward distance=20 speed=80 % · led on · say "hello"

Arguments without names come first and in order, named ones after them in any order; defaults fill
the rest. If all that is missing is a text, it takes the rest of the line. Values are checked against
the dictionary: what `read` returns fits it, in its units.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from boardtalk.modules.iot_bridge import manual, units
from boardtalk.modules.iot_bridge.dictionary import INT_RANGE, MAX_STR_BYTES, Command, Dictionary, Value
from boardtalk.modules.iot_bridge.manual import infos
from boardtalk.modules.iot_bridge.words import exact, limits, line, show
from boardtalk.sdk import BoardtalkError, Completion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "BadArgument",
    "CommandError",
    "Order",
    "UnknownCommand",
    "complete",
    "help_for",
    "help_text",
    "infos",
    "is_help",
    "read",
    "show",
]

MAX_COMMAND_CHARS: Final = 1000
MAX_QUOTED_CHARS: Final = 40
"""Of what somebody typed, in an error."""
MAX_FLOAT: Final = 3.4e38
"""Largest float on the wire (32 bit)."""
BOOLS: Final = {"on": True, "yes": True, "true": True, "1": True,
                "off": False, "no": False, "false": False, "0": False}  # fmt: skip
HELP: Final = frozenset({"help", "?"})

_MINUS: Final = str.maketrans("−–—‐", "----")  # what keyboards and word processors make of a minus
_NUMBER: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(.*)", re.IGNORECASE | re.DOTALL)
_WORD: Final = re.compile(
    r"""\s*(?:(?P<name>[^\W\d]\w*)\s*[=＝]\s*)?
    (?:"(?P<quoted>(?:[^"\\]|\\.)*)"(?!\S) | “(?P<curly>[^”]*)”(?!\S) | (?P<bare>\S*))\s*""",
    re.VERBOSE | re.DOTALL,
)


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
    """Of the command in the dictionary."""
    command: Command
    args: dict[str, Any]
    """By name, for `Command.args_format`."""


def read(text: str, dictionary: Dictionary) -> Order:
    """Understand a line.

    Raises:
        UnknownCommand: the dictionary has no such command.
        BadArgument: an argument is missing, too much, or does not fit; or the line is too long.
    """
    if len(text) > MAX_COMMAND_CHARS:
        raise BadArgument(f"too long: {len(text)} characters, {MAX_COMMAND_CHARS} at most")
    name, rest = _split(text)
    if not name:
        raise UnknownCommand(f"nothing to do; `{line(dictionary.name)}: help` lists the commands")
    index, command = _find(name, dictionary)
    args = {spec.name: _value(spec, words) for spec, words in _assigned(command, rest)}
    for spec in command.args:
        if spec.name not in args:
            args[spec.name] = _default(spec, command)
    return Order(index, command, args)


def is_help(text: str) -> bool:
    """Whether a line asks for help: `help`, `help forward`, `?`, `forward ?`."""
    words = _help_words(text)
    return bool(words) and (words[0] in HELP or (len(words) == 2 and words[1] in HELP - {"help"}))


def help_for(text: str, dictionary: Dictionary) -> str:
    """The help that a line asks for.

    Raises:
        UnknownCommand: it asks about a command that there is not.
    """
    topics = [word for word in _help_words(text) if word not in HELP]
    return help_text(dictionary, *topics[:1])


def help_text(dictionary: Dictionary, name: str = "") -> str:
    """Help on one command, or on all.

    Raises:
        UnknownCommand: the dictionary has no such command.
    """
    return manual.details(_find(name, dictionary)[1]) if name else manual.overview(dictionary)


def complete(text: str, dictionary: Dictionary) -> list[Completion]:
    """What may follow a half-typed line: each replaces its last word."""
    if len(text) > MAX_COMMAND_CHARS:
        return []
    head, _, last = text.rpartition(" ")
    name, rest = _split(head)
    if not name or name in HELP:
        last = last.lstrip().removeprefix("/")
        found: Iterable[Completion] = (Completion(each.name, line(each.help)) for each in dictionary.commands)
    elif name in dictionary.by_name:
        found = _continuations(dictionary.by_name[name][1], rest, last)
    else:
        return []
    return [each for each in found if each.text.lower().startswith(last.lower())]


# Words ------------------------------------------------------------------------------------------


def _fold(text: str) -> str:
    """A word in one spelling, for all but free text: no matter what keyboard it comes from."""
    return units.fold(text).translate(_MINUS)


def _split(text: str) -> tuple[str, str]:
    """The command's name, folded, and the rest as it is."""
    name, _, rest = text.strip().removeprefix("/").lstrip().partition(" ")
    return _fold(name).lower(), rest.strip()


def _help_words(text: str) -> list[str]:
    return _fold(text).removeprefix("/").lower().replace("?", " ? ").split()


def _said(text: str) -> str:
    return f"'{line(text, MAX_QUOTED_CHARS)}'"


def _find(name: str, dictionary: Dictionary) -> tuple[int, Command]:
    found = dictionary.by_name.get(name)
    if found:
        return found
    robot = line(dictionary.name)
    hint = _nearest(name, dictionary.by_name) or f"`{robot}: help` lists what it knows"
    raise UnknownCommand(f"{robot} knows no {_said(name)}; {hint}")


def _nearest(word: str, known: Iterable[str]) -> str:
    """A guess at what was meant, or ""."""
    near = get_close_matches(word[:MAX_QUOTED_CHARS], known, n=1)
    return f"did you mean {line(near[0])}?" if near else ""


# Which word is which argument -------------------------------------------------------------------


def _assigned(command: Command, text: str) -> Iterator[tuple[Value, str]]:
    """Arguments with what was typed for them, in the order of typing."""
    waiting = {spec.name: spec for spec in command.args}
    named = False
    at = 0
    while at < len(text):
        word = _WORD.match(text, at)
        assert word  # noqa: S101 - it matches anything
        ...
