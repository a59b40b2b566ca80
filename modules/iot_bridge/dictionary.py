"""The data dictionary: what a board declares about itself, and how its values are packed.

A board sends it as JSON, once per hash; help, completion, validation and the binary codec all
follow from it. The types here are its schema.
"""

from __future__ import annotations

import hashlib
import math
from functools import cached_property
from typing import Any, Final, Literal

import msgspec
from construct import Compiled, Construct, ConstructError, Struct

from boardtalk.modules.iot_bridge.frames import VALUE_FORMATS
from boardtalk.sdk import BoardtalkError

MAX_BYTES: Final = 32 * 1024
"""Largest dictionary that is fetched: a hostile board must not fill the gateway's memory."""

CommandClass = Literal["stop", "motion", "action", "config", "query"]
ValueType = Literal["int", "float", "bool", "str", "choice"]
Name = msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")

INT_RANGE: Final = (-(2**31), 2**31 - 1)
MAX_STR_BYTES: Final = 120


class DictionaryError(BoardtalkError):
    """A board's dictionary makes no sense, or a value does not fit it."""


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """An argument, a returned value or a telemetry channel's value.

    `min` and `max` are inclusive and in `unit`. For a `choice`, `choices` are its words.
    """

    name: str
    type: ValueType
    unit: str = ""
    min: float | None = None
    max: float | None = None
    default: int | float | bool | str | None = None
    choices: tuple[str, ...] = ()
    help: str = ""

    def __post_init__(self) -> None:
        if (self.type == "choice") != bool(self.choices):
            raise ValueError(f"{self.name}: choices go with the type 'choice', and it needs them")


class Command(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One command: `name` and `args` as people type them."""

    name: str
    cls: CommandClass = msgspec.field(name="class", default="action")
    help: str = ""
    args: tuple[Value, ...] = ()
    returns: tuple[Value, ...] = ()
    limit: float = 10.0
    """Longest time that it may run, seconds; motion: at most 10."""

    @cached_property
    def args_format(self) -> Packing:
        """How the arguments are packed."""
        return Packing(self.args)

    @cached_property
    def returns_format(self) -> Packing:
        """How the returned values are packed."""
        return Packing(self.returns)


class Channel(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Telemetry or an event: a name and the values that come with it."""

    name: str
    values: tuple[Value, ...] = ()
    rate: float = 0.0
    """Reports per second; 0 = on change."""
    help: str = ""

    @cached_property
    def format(self) -> Packing:
        """How the values are packed."""
        return Packing(self.values)


class Control(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A live control channel: set-points under a lease."""

    name: str
    args: tuple[Value, ...] = ()
    lease: int = 500
    """Milliseconds, 200 … 2,000."""
    help: str = ""

    @cached_property
    def args_format(self) -> Packing:
        """How a set-point is packed."""
        return Packing(self.args)


class Dictionary(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All that a board declares."""

    name: str
    about: str = ""
    commands: tuple[Command, ...] = ()
    telemetry: tuple[Channel, ...] = ()
    events: tuple[Channel, ...] = ()
    controls: tuple[Control, ...] = ()

    @cached_property
    def by_name(self) -> dict[str, tuple[int, Command]]:
        """Commands with their index, by name."""
        return {command.name: (index, command) for index, command in enumerate(self.commands)}


def parse(data: bytes) -> Dictionary:
    """Read a dictionary as it came from a board.

    Raises:
        DictionaryError: it is not one; the text names the place.
    """
    try:
        dictionary = msgspec.json.decode(data, type=Dictionary)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DictionaryError(f"the board's dictionary is not valid: {error}") from error
    for command in dictionary.commands:
        if command.cls == "motion" and not 0 < command.limit <= 10:
            raise DictionaryError(
                f"motion command {command.name!r} may run {command.limit:g} s: motion must end by itself "
                "within 10 s"
            )
    return dictionary


def digest(data: bytes) -> bytes:
    """The 8 bytes by which a dictionary is known: the beginning of its SHA-256."""
    return hashlib.sha256(data).digest()[:8]


class Packing:
    """Packs and unpacks a row of values, compiled once from the dictionary."""

    def __init__(self, values: tuple[Value, ...]) -> None:
        self._values = values
        struct = Struct(*(value.name / VALUE_FORMATS[value.type] for value in values))
        self._format: Construct[Any, Any] | Compiled = struct.compile() if values else struct

    def pack(self, row: dict[str, Any]) -> bytes:
        """Bytes of a row; choices as their words.

        Raises:
            DictionaryError: a value is missing or does not fit.
        """
        try:
            plain = {value.name: self._to_wire(value, row[value.name]) for value in self._values}
            return bytes(self._format.build(plain))
        except (KeyError, ConstructError, UnicodeError, OverflowError) as error:
            raise DictionaryError(f"does not fit the board's dictionary: {error}") from error

    def unpack(self, data: bytes) -> dict[str, Any]:
        """The row in `data`. Floats that are not finite come as None.

        Raises:
            DictionaryError: too short, or not text where text should be.
        """
        try:
            row = self._format.parse(data)
        except (ConstructError, UnicodeError) as error:
            raise DictionaryError(
                f"the board sent values that do not fit its dictionary: {error}"
            ) from error
        return {value.name: self._from_wire(value, row[value.name]) for value in self._values}

    @staticmethod
    def _to_wire(value: Value, given: Any) -> Any:
        return value.choices.index(given) if value.type == "choice" else given

    @staticmethod
    def _from_wire(value: Value, got: Any) -> Any:
        if value.type == "choice":
            return value.choices[got] if got < len(value.choices) else None
        if value.type == "float":
            return float(f"{got:.6g}") if math.isfinite(got) else None
        return got
