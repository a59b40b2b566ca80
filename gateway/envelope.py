"""What people and programs put on ``chat/<user>/out``, and get on ``/in`` and ``/status``.

Two forms come in: plain text for people (``rover: forward 20``), and a JSON envelope with all message
parameters for programs. JSON goes out. ``docs/envelope.schema.json`` is made from the types here:
``python -m boardtalk.envelope > docs/envelope.schema.json``.
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from boardtalk.sdk import (
    MAX_BODY_BYTES,
    MAX_ID_CHARS,
    AddressError,
    Code,
    Message,
    Refused,
    State,
    Status,
    check_address,
)

if TYPE_CHECKING:
    from boardtalk.events import Delivery, Presence, Update

MAX_ENVELOPE_BYTES: Final = 4 * MAX_BODY_BYTES
"""JSON may need several characters for one of the body."""
MAX_INTEGER: Final = 2**31 - 1

_PREFIX = re.compile(r"([a-z0-9][a-z0-9_-]{0,31})\s*:(?!//)\s*", re.ASCII)
"""An address and a colon; ``https://…`` is none."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters but line feed and tab: they could play tricks on a terminal."""
_UNKNOWN_KEY = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
Id = Annotated[str, msgspec.Meta(max_length=MAX_ID_CHARS)]


class Envelope(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A message to the gateway, on ``chat/<you>/out``."""

    to: str
    body: str
    id: Id = ""
    refid: Id = ""
    groupid: Annotated[str, msgspec.Meta(max_length=32)] = ""
    type: Count = 0
    flags: Count = 0
    expiry: Count | None = None
    to_online: bool = False
    aid: Count = 0


class Received(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A message for you, on ``chat/<you>/in``."""

    sender: str = msgspec.field(name="from")
    to: str
    body: str
    at: str
    """When, UTC, ISO 8601 with milliseconds."""
    id: str = ""
    refid: str = ""
    groupid: str = ""
    type: int = 0
    flags: int = 0
    aid: int = 0
    status: Code | None = None
    """For an answer: how the message that `refid` names ended."""
    state: State | None = None
    detail: str = ""


class StatusChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What became of a message of yours, on ``chat/<you>/status``."""

    id: str
    to: str
    status: Code
    state: State
    at: str
    detail: str = ""


class Here(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Whether somebody is there, retained on ``presence/<address>``."""

    online: bool
    state: str = ""


_decoder = msgspec.json.Decoder(Envelope)
_encoder = msgspec.json.Encoder()


def read(payload: bytes, sender: str, last: str | None) -> Message:
    """Read what `sender` said.

    Args:
        payload: a JSON envelope, if it begins with ``{``; else plain text.
        sender: his address; the caller vouches for it.
        last: whom he talked to last, for plain text without an address.

    Raises:
        Refused: it can't be a message; the text says why and what to do.
    """
    if payload.lstrip()[:1] == b"{":
        return _read_envelope(payload, sender)
    if len(payload) > MAX_BODY_BYTES:
        raise _too_long(len(payload))
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError as error:
        raise _not_utf8(error) from error
    prefix = _PREFIX.match(text)
    to = prefix[1] if prefix else last
    if to is None:
        raise Refused(Code.BAD_ADDRESS, "say whom it is for, as in `rover: forward 20`")
    return Message(sender=sender, to=to, body=_checked(text[prefix.end() :] if prefix else text))


def has_id(payload: bytes) -> bool:
    """Whether a payload is a message with an id, so that a repetition of it is recognised."""
    try:
        return bool(read(payload, "", "").id)
    except Refused:
        return False


def write_message(delivery: Delivery) -> bytes:
    """A message for ``chat/<user>/in``."""
    message, status = delivery.message, delivery.status
    return _encoder.encode(
        Received(
            sender=message.sender,
            to=message.to,
            body=message.body,
            at=_utc(delivery.at),
            id=message.id,
            refid=message.refid,
            groupid=message.groupid,
            type=message.type,
            flags=message.flags,
            aid=message.aid,
            status=status.code if status else None,
            state=status.state if status else None,
            detail=status.detail if status else "",
        )
    )


def write_status(update: Update) -> bytes:
    """A status for ``chat/<user>/status``."""
    status: Status = update.status
    return _encoder.encode(
        StatusChange(
            id=update.message_id,
            to=update.to,
            status=status.code,
            state=status.state,
            at=_utc(update.at),
            detail=status.detail,
        )
    )


def write_presence(presence: Presence) -> bytes:
    """The retained value of ``presence/<address>``."""
    return _encoder.encode(Here(online=presence.online, state=presence.state))


def schema() -> dict[str, Any]:
    """JSON Schema of everything that is said over MQTT; the root is what goes to the gateway."""
    types = (Envelope, Received, StatusChange, Here)
    (root, *_), parts = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "boardtalk over MQTT"}
    return {**draft, **root, "$defs": parts}


def _read_envelope(payload: bytes, sender: str) -> Message:
    if len(payload) > MAX_ENVELOPE_BYTES:
        raise _too_long(len(payload))
    try:
        envelope = _decoder.decode(payload)
    except UnicodeDecodeError as error:
        raise _not_utf8(error) from error
    except msgspec.DecodeError as error:
        raise Refused(Code.FAILED, f"the JSON envelope is not understood: {_explain(error)}") from error
    try:
        check_address(envelope.to)
    except AddressError as error:
        raise Refused(Code.BAD_ADDRESS, str(error)) from error
    for value in (envelope.id, envelope.refid, envelope.groupid):
        _check_controls(value)
    _checked(envelope.body)
    return Message(sender=sender, **msgspec.structs.asdict(envelope))


def _checked(body: str) -> str:
    if not body.strip():
        raise Refused(Code.FAILED, "the message is empty")
    if len(body) > MAX_BODY_BYTES // 4 and (size := len(body.encode())) > MAX_BODY_BYTES:
        raise _too_long(size)
    _check_controls(body)
    return body


def _check_controls(text: str) -> None:
    if found := _CONTROL.search(text):
        raise Refused(
            Code.FAILED,
            f"control character U+{ord(found[0]):04X} at position {found.start()}: only line feed and tab may be used",
        )


def _explain(error: msgspec.DecodeError) -> str:
    """msgspec's reason, for an unknown key with the nearest known one."""
    text = str(error)
    if unknown := _UNKNOWN_KEY.match(text):
        near = get_close_matches(unknown[1], Envelope.__struct_fields__, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(Envelope.__struct_fields__)}"
        return f"unknown key `{unknown[1][:40]}`; {hint}"
    return text


def _too_long(size: int) -> Refused:
    return Refused(Code.FAILED, f"the message has {size:,} bytes; {MAX_BODY_BYTES:,} bytes is the most")


def _not_utf8(error: UnicodeDecodeError) -> Refused:
    return Refused(
        Code.FAILED, f"the message is not UTF-8: byte 0x{error.object[error.start]:02x} at {error.start}"
    )


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(schema()), indent=1) + b"\n")
