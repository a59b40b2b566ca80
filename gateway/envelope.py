"""What people and programs put on `chat/<user>/out`, and what they get on `/in` and `/status`. Pure.

Two forms are taken. For people: ``rover: forward 20``; without an address it goes to the last
conversation. For programs, a JSON object: `Envelope`. What comes back is always JSON.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, Any, Final

import msgspec

from boardtalk.sdk import (
    MAX_BODY_BYTES,
    MAX_ID_CHARS,
    AddressError,
    Code,
    Message,
    Refused,
    Status,
    check_address,
    iso,
)

MAX_PAYLOAD_BYTES: Final = 2 * MAX_BODY_BYTES
"""Escapes and the other fields may double a body."""

_PLAIN: Final = re.compile(r"\s*([a-z0-9][a-z0-9_-]{0,31})\s*:(?!//)\s*(.*)", re.DOTALL)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_UNKNOWN_KEY: Final = re.compile(r"unknown field `(.*?)`")

_Id = Annotated[str, msgspec.Meta(max_length=MAX_ID_CHARS)]


class Envelope(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A message with all its parameters, as a program sends it."""

    to: Annotated[str, msgspec.Meta(description="address of a user, robot or group")]
    body: Annotated[str, msgspec.Meta(description="the text, at most 64 kB of UTF-8")]
    id: Annotated[
        _Id, msgspec.Meta(description="unique per sender; a repetition is answered, not repeated")
    ] = ""
    refid: Annotated[_Id, msgspec.Meta(description="id of the message that this one answers")] = ""
    groupid: Annotated[_Id, msgspec.Meta(description="the group, for messages to one")] = ""
    type: Annotated[int, msgspec.Meta(ge=0, lt=2**32, description="free for applications")] = 0
    flags: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            lt=2**32,
            description="1 delivery receipt, 2 read receipt, 4 never stored, 8 presence",
        ),
    ] = 0
    expiry: Annotated[
        int | None,
        msgspec.Meta(description="seconds within which it must arrive; 0 = now or never"),
    ] = None
    to_online: Annotated[bool, msgspec.Meta(description="only if the recipient is online")] = False
    aid: Annotated[int, msgspec.Meta(ge=0, lt=2**32, description="application; copied into answers")] = 0


class Incoming(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A message as its recipient gets it."""

    sender: str = msgspec.field(name="from")
    to: str
    body: str
    at: str
    """UTC, ISO 8601 with milliseconds."""
    id: str = ""
    refid: str = ""
    groupid: str = ""
    type: int = 0
    flags: int = 0
    aid: int = 0
    status: int = 0
    """For answers: how the message `refid` ended; a `Code`."""
    state: str = ""


class Report(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What became of a message, as its sender gets it."""

    id: str
    """Of the message; ``~`` and its row if it had none."""
    to: str
    status: int
    state: str
    at: str
    detail: str = ""


_decoder: Final = msgspec.json.Decoder(Envelope)
_encode: Final = msgspec.json.Encoder().encode


def read(payload: bytes, sender: str, last: str | None) -> Message:
    """Read a payload in either form.

    Args:
        payload: what was published or typed.
        sender: who did, as the broker or the local door knows it.
        last: whom he talked to last.

    Raises:
        Refused: it can't be read; the text says why, for `sender`.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise _refused(f"too long: {len(payload)} bytes, the limit is {MAX_BODY_BYTES} bytes of text")
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise _refused(f"not UTF-8 text: byte {error.start} is 0x{payload[error.start]:02x}") from error
    if text.lstrip()[:1] == "{":
        return _checked(_from_json(payload, sender))
    match = _PLAIN.fullmatch(text)
    if match:
        return _checked(Message(sender=sender, to=match[1], body=match[2].rstrip()))
    if last is None:
        raise _refused("to whom? begin with an address, as in `rover: forward 20`")
    return _checked(Message(sender=sender, to=last, body=text.strip()))


def _from_json(payload: bytes, sender: str) -> Message:
    try:
        envelope = _decoder.decode(payload)
        check_address(envelope.to)
    except AddressError as error:
        raise Refused(Code.BAD_ADDRESS, str(error)) from error
    except msgspec.ValidationError as error:
        raise _refused(f"the envelope does not fit: {_explained(str(error))}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise _refused(f"the envelope is no valid JSON: {error}") from error
    if envelope.expiry is not None and envelope.expiry < 0:
        raise _refused("the envelope does not fit: `expiry` can't be negative")
    return Message(sender=sender, **msgspec.structs.asdict(envelope))


def _explained(reason: str) -> str:
    """A validation error, with the nearest key if one is unknown."""
    match = _UNKNOWN_KEY.search(reason)
    if match is None:
        return reason
    near = get_close_matches(match[1], Envelope.__struct_fields__, n=1)
    known = ", ".join(Envelope.__struct_fields__)
    return f"unknown key {match[1]!r}; " + (f"did you mean {near[0]}?" if near else f"known: {known}")


def _checked(message: Message) -> Message:
    if not message.body.strip():
        raise _refused("the message is empty")
    if len(message.body.encode()) > MAX_BODY_BYTES:
        raise _refused(f"too long: {len(message.body.encode())} bytes, the limit is {MAX_BODY_BYTES}")
    for text in (message.body, message.id, message.refid, message.groupid):
        if control := _CONTROL.search(text):
            raise _refused(f"control character 0x{ord(control[0]):02x} in the message")
    return message


def _refused(reason: str) -> Refused:
    return Refused(Code.FAILED, reason)


def write_message(message: Message, at: float, status: Status | None = None) -> bytes:
    """A message for its recipient; `status` tells how the message that it answers ended."""
    return _encode(
        Incoming(
            sender=message.sender,
            to=message.to,
            body=message.body,
            at=iso(at),
            id=message.id,
            refid=message.refid,
            groupid=message.groupid,
            type=message.type,
            flags=message.flags,
            aid=message.aid,
            status=int(status.code) if status else 0,
            state=str(status.state) if status else "",
        )
    )


def write_status(message_id: str, to: str, status: Status, at: float) -> bytes:
    """What became of a message, for its sender."""
    return _encode(
        Report(
            id=message_id,
            to=to,
            status=int(status.code),
            state=str(status.state),
            at=iso(at),
            detail=status.detail,
        )
    )


def schema() -> dict[str, Any]:
    """The JSON Schema of what is sent and received."""
    _, components = msgspec.json.schema_components([Envelope, Incoming, Report])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": components}
