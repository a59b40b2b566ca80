"""The data dictionary: what a board declares about itself, and how its values are packed.

A board sends it as JSON, once per hash; help, completion, validation and the binary codec all
follow from it. The types here are its schema.
"""

from __future__ import annotations

import hashlib
import math
import struct
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from construct import Compiled, Construct, ConstructError, Struct, Terminated

from boardtalk.modules.iot_bridge.errors import DictionaryError
from boardtalk.modules.iot_bridge.frames import VALUE_FORMATS

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES: Final = 32 * 1024
"""Largest dictionary that is fetched: a hostile board must not fill the gateway's memory."""
MAX_ENTRIES: Final = 256
"""Commands, channels and events each: their index is one byte in a frame's type."""
MAX_CONTROLS: Final = 128
"""Control channels: their types lie between SETPOINT and COMMAND."""

CommandClass = Literal["stop", "motion", "action", "config", "query"]
ValueType = Literal["int", "float", "bool", "str", "choice"]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}\Z")]
MAX_MOTION_S: Final = 10.0
"""Longest motion: nothing may go on until further notice."""
INT_RANGE: Final = (-(2**31), 2**31 - 1)
MAX_FLOAT: Final = 3.4e38
"""Floats have 32 bits on the line."""
MAX_STR_BYTES: Final = 120
MAX_REASON_CHARS: Final = 300
"""Of what is wrong with a dictionary."""


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """An argument, a returned value or a telemetry channel's value.

    `min` and `max` are inclusive and in `unit`. For a `choice`, `choices` are its words.
    """

    name: Name
    type: ValueType
    unit: str = ""
    min: float | None = None
    max: float | None = None
    default: int | float | bool | str | None = None
    choices: Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_ENTRIES)] = ()
    help: str = ""

    def __post_init__(self) -> None:
        if (self.type == "choice") != bool(self.choices):
            raise ValueError(f"{self.name}: choices go with the type 'choice', and it needs them")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"{self.name}: nothing is between {self.min:g} and {self.max:g}")


class Command(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One command: `name` and `args` as people type them."""

    name: Name
    cls: CommandClass = msgspec.field(name="class", default="action")
    help: str = ""
    args: tuple[Value, ...] = ()
    returns: tuple[Value, ...] = ()
    limit: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 10.0
    """Longest time that it may run, seconds; motion: at most 10."""

    def __post_init__(self) -> None:
        _check_unique(self.args)
        _check_unique(self.returns)
        if self.cls == "motion" and self.limit > MAX_MOTION_S:
            raise ValueError(
                f"motion {self.name!r} may run {self.limit:g} s: motion must end by itself "
                f"within {MAX_MOTION_S:g} s"
            )

    @property
    def unattended(self) -> bool:
        """Whether it acts for longer than anything may that nobody renews."""
        return self.cls == "action" and self.limit > MAX_MOTION_S

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

    name: Name
    values: tuple[Value, ...] = ()
    rate: float = 0.0
    """Reports per second; 0 = on change."""
    help: str = ""

    def __post_init__(self) -> None:
        _check_unique(self.values)

    @cached_property
    def format(self) -> Packing:
        """How the values are packed."""
        return Packing(self.values)


class Control(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A live control channel: set-points under a lease."""

    name: Name
    args: tuple[Value, ...] = ()
    lease: Annotated[int, msgspec.Meta(ge=200, le=2000)] = 500
    """Milliseconds, 200 … 2,000."""
    help: str = ""

    def __post_init__(self) -> None:
        _check_unique(self.args)

    @cached_property
    def args_format(self) -> Packing:
        """How a set-point is packed."""
        return Packing(self.args)


class Dictionary(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All that a board declares."""

    name: str
    about: str = ""
    commands: Annotated[tuple[Command, ...], msgspec.Meta(max_length=MAX_ENTRIES)] = ()
    telemetry: Annotated[tuple[Channel, ...], msgspec.Meta(max_length=MAX_ENTRIES)] = ()
    events: Annotated[tuple[Channel, ...], msgspec.Meta(max_length=MAX_ENTRIES)] = ()
    controls: Annotated[tuple[Control, ...], msgspec.Meta(max_length=MAX_CONTROLS)] = ()

    def __post_init__(self) -> None:
        for kind in (self.commands, self.telemetry, self.events, self.controls):
            _check_unique(kind)

    @cached_property
    def by_name(self) -> dict[str, tuple[int, Command]]:
        """Commands with their index, by name."""
        return {command.name: (index, command) for index, command in enumerate(self.commands)}


def parse(data: bytes) -> Dictionary:
    """Read a dictionary as it came from a board.

    Texts for people are as the board sent them: who shows them takes care of control characters.

    Raises:
        DictionaryError: it is not one; the text names the place.
    """
    try:
        return msgspec.json.decode(data, type=Dictionary)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # The reason may quote what the board sent, and stands on people's terminals.
        reason = "".join(char for char in str(error)[:MAX_REASON_CHARS] if char.isprintable())
        raise DictionaryError(f"the board's dictionary is not valid: {reason}") from error


def digest(data: bytes) -> bytes:
    """The 8 bytes by which a dictionary is known: the beginning of its SHA-256."""
    return hashlib.sha256(data).digest()[:8]


class Packing:
    """Packs and unpacks a row of values, made once from the dictionary.

    construct warns that what it compiles may misread malformed data: a string that is cut off comes
    back shorter, a missing boolean as true. So rows of fixed size are compiled (3 × as fast) and
    checked by their size, after which no byte can be wrong; rows with strings are interpreted.
    """

    def __init__(self, values: tuple[Value, ...]) -> None:
        self._values = values
        self._fixed = all(value.type != "str" for value in values)
        row = Struct(*(value.name / VALUE_FORMATS[value.type] for value in values))
        self._size = row.sizeof() if self._fixed else None
        whole = row if self._fixed else Struct(*row.subcons, Terminated)
        self._format: Construct[Any, Any] | Compiled = row.compile() if values else row
        self._strict: Construct[Any, Any] | Compiled = self._format if self._fixed else whole

    @property
    def size(self) -> int:
        """Bytes of a row, but for what is in its texts."""
        return self._size or 0

    def pack(self, row: dict[str, Any]) -> bytes:
        """Bytes of a row; choices as their words.

        Raises:
            DictionaryError: a value is missing or does not fit.
        """
        try:
            plain = {value.name: _to_wire(value, row[value.name]) for value in self._values}
            return bytes(self._format.build(plain))
        except KeyError as error:
            raise DictionaryError(f"{error.args[0]} is missing") from error
        except (ConstructError, struct.error, ValueError, TypeError, OverflowError) as error:
            raise DictionaryError(f"does not fit the board's dictionary: {error}") from error

    def unpack(self, data: bytes) -> dict[str, Any]:
        """The row in `data`. Floats that are not finite and unknown choices come as None.

        Raises:
            DictionaryError: too short, too long, or not text where text should be.
        """
        if self._fixed and len(data) != self._size:
            raise DictionaryError(f"the board sent {len(data)} bytes of values instead of {self._size}")
        try:
            row = self._strict.parse(data)
        except (ConstructError, UnicodeError) as error:
            raise DictionaryError(f"the board sent values that do not fit its dictionary: {error}") from error
        return {value.name: _from_wire(value, row[value.name]) for value in self._values}


def _to_wire(value: Value, given: Any) -> Any:
    return value.choices.index(given) if value.type == "choice" else given


def _from_wire(value: Value, got: Any) -> Any:
    if value.type == "choice":
        return value.choices[got] if got < len(value.choices) else None
    if value.type == "float":
        return float(f"{got:.6g}") if math.isfinite(got) else None
    return got


def _check_unique(entries: Sequence[Value | Command | Channel | Control]) -> None:
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name!r} is there twice")
