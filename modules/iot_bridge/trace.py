"""Frames as people read them: for `boardtalk why`, `boardtalk sniff` and reports of failed tests. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from construct import ConstructError, GreedyBytes, Struct

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.errors import DictionaryError
from boardtalk.modules.iot_bridge.frames import Kind, Outcome, Type
from boardtalk.modules.iot_bridge.language.words import clean, line, show
from boardtalk.modules.iot_bridge.link.framing import unstuff
from boardtalk.modules.iot_bridge.service.api import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boardtalk.modules.iot_bridge.dictionary import Command, Dictionary, Packing, Value
    from boardtalk.modules.iot_bridge.service.api import Progress

BY_KIND: Final[dict[int, Struct]] = {
    Kind.ACK: frames.AckBody,
    Kind.NAK: frames.AckBody,
    Kind.LOG: frames.LogBody,
}
"""What these carry, whatever their type."""
MAX_CHARS: Final = 400
BASES: Final = (Type.COMMAND, Type.TELEMETRY, Type.EVENT)
CONTROLS: Final = range(Type.SETPOINT, Type.COMMAND)
TYPES: Final = frozenset(map(int, Type))
HELLO_HOST_BYTES: Final[int] = frames.HelloHost.sizeof()
TIME_HOST_BYTES: Final[int] = frames.TimeHost.sizeof()
OUTCOMES: Final = frozenset(map(int, Outcome))


def describe(sent: Progress, command: Command) -> str:
    """What went over the line, byte for byte and in words, how often, and when it was acknowledged."""
    bodies = [unstuff(piece) or b"" for piece in sent.frame.split(b"\0") if piece]
    pieces = [frames.Frame.parse(body[: -frames.CRC_BYTES]) for body in bodies]
    payload = b"".join(piece.payload for piece in pieces)
    said = [_split(frames.CommandHead, each) for each in _commands(pieces[0].header.type, payload)]
    head, rest = next(each for each in said if each[0]["id"] == sent.id)
    values = _values(rest, command.args_format, command.args)
    numbers = ", ".join(str(piece.header.seq) for piece in pieces)
    if pieces[0].header.type == Type.BATCH:
        numbers += ", with others"
    told = f"DATA {numbers}: COMMAND {command.name} {values}".rstrip() + f" ({_fields(head)})"
    times = "once" if sent.tries == 1 else f"{sent.tries} times"
    known = sent.stage is not Stage.UNACKNOWLEDGED
    answered = f"acknowledged after {sent.ms:.1f} ms" if known else "not acknowledged"
    return f"{sent.frame.hex(' ')} = {told}; sent {times}, {answered}"


def _commands(type_: int, payload: bytes) -> list[bytes]:
    """The payloads of the commands in a frame."""
    return [each for type_, each in frames.messages(type_, payload) if base_of(type_) == Type.COMMAND]


def from_host(kind: Kind, type_: int, payload: bytes) -> bool | None:
    """Whether a frame comes from the gateway, as far as it tells; None: it may be from either end."""
    if kind in {Kind.ACK, Kind.NAK} or (type_ == Type.NONE and kind is not Kind.LOG):
        return None
    if kind is Kind.HELLO:
        return len(payload) == HELLO_HOST_BYTES
    if type_ == Type.TIME:
        return len(payload) == TIME_HOST_BYTES
    return base_of(type_) in frames.FROM_HOST


def words(
    kind: Kind,
    type_: int,
    payload: bytes,
    *,
    down: bool | None,
    dictionary: Dictionary | None = None,
    asked: Command | None = None,
) -> str:
    """What a frame says, in one line.

    Args:
        kind: what the link does with it.
        type_: what it means.
        payload: all of it; pieces put together.
        down: whether it comes from the gateway; None: not known.
        dictionary: the board's, for the names of commands and values; they stay numbers without.
        asked: the command that a RESULT answers.
    """
    if type_ == Type.BATCH:
        return _together(kind, payload, dictionary)
    bodies = frames.FROM_HOST if down else frames.FROM_BOARD
    body = BY_KIND.get(kind) or bodies.get(base_of(type_))
    try:
        head, rest = _split(body, payload) if body is not None else ({}, payload)
    except ConstructError:
        return f"{_name(type_, dictionary)} with a payload that is too short: {payload.hex(' ')}"
    said = [] if kind in BY_KIND else [_name(type_, dictionary)]
    values = _more(head, rest, asked if type_ == Type.RESULT else _entry(type_, dictionary))
    return line(
        " ".join([*said, values, f"({_fields(head)})" if head else ""]).replace("  ", " ").strip(), MAX_CHARS
    )


def _together(kind: Kind, payload: bytes, dictionary: Dictionary | None) -> str:
    """What the messages of a batch say."""
    try:
        found = frames.messages(Type.BATCH, payload)
    except ConstructError:
        return f"BATCH that makes no sense: {payload.hex(' ')}"
    said = (
        words(kind, type_, part, down=True, dictionary=dictionary)
        for type_, part in found
        if type_ != Type.BATCH
    )
    return line(f"BATCH {' + '.join(said)}", MAX_CHARS)


def base_of(type_: int) -> int:
    """The type without the index that it may hold."""
    if type_ in CONTROLS:
        return Type.SETPOINT
    return type_ & frames.TYPE_BASE_MASK or type_


def _name(type_: int, dictionary: Dictionary | None) -> str:
    """``COMMAND forward``, ``STOP``, ``0x7ffe``."""
    base = base_of(type_)
    if base not in TYPES:
        return f"type {type_:#06x}, which is none"
    if base == Type.NONE:
        return ""
    if base not in BASES and base != Type.SETPOINT:
        return Type(base).name
    index = type_ - base
    entry = _entry(type_, dictionary)
    return f"{Type(base).name} {entry.name if entry else index}"


def _entry(type_: int, dictionary: Dictionary | None) -> Any:
    """What the dictionary knows of a command, channel, event or control."""
    if dictionary is None:
        return None
    entries: dict[int, Sequence[Any]] = {
        Type.COMMAND: dictionary.commands,
        Type.TELEMETRY: dictionary.telemetry,
        Type.EVENT: dictionary.events,
        Type.SETPOINT: dictionary.controls,
    }
    base = base_of(type_)
    index = type_ - base
    row = entries.get(base, ())
    return row[index] if index < len(row) else None


def _more(head: dict[str, Any], rest: bytes, entry: Any) -> str:
    """What follows the fields."""
    if head.get("outcome", Outcome.DONE) != Outcome.DONE:
        return clean(rest.decode(errors="replace"))
    if entry is None:
        return rest.hex(" ")
    if hasattr(entry, "format"):
        return _values(rest, entry.format, entry.values, entry.name)
    if "outcome" in head:
        return _values(rest, entry.returns_format, entry.returns)
    return _values(rest, entry.args_format, entry.args)


def _values(data: bytes, format_: Packing, specs: tuple[Value, ...], of: str = "") -> str:
    try:
        return show(format_.unpack(data), specs, of)
    except DictionaryError as error:
        return f"values that can't be read ({error})"


def _split(body: Struct, payload: bytes) -> tuple[dict[str, Any], bytes]:
    """The fields at the beginning of a payload, and what follows. Raises ConstructError."""
    whole = Struct(*body.subcons, "_more" / GreedyBytes)
    parsed = dict(whole.parse(payload))
    return {key: parsed[key] for key in parsed if not key.startswith("_")}, parsed["_more"]


def _fields(head: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_field(name, value)}" for name, value in head.items())


def _field(name: str, value: Any) -> str:
    if name == "outcome" and value in OUTCOMES:
        return Outcome(value).name
    if isinstance(value, bytes):
        return value.hex()
    return clean(value) if isinstance(value, str) else str(value)
