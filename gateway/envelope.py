"""What people and programs put on ``chat/<user>/out``, and get on ``/in`` and ``/status``.

Two forms come in: plain text for people (``rover: forward 20``), and a JSON envelope with all message
parameters for programs. JSON goes out. ``docs/envelope.schema.json`` is made from the types here:
``python -m boardtalk.envelope > docs/envelope.schema.json``.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from boardtalk.events import CallAsked, CallDecided, CallUpdate
from boardtalk.sdk import (
    MAX_BODY_BYTES,
    MAX_ID_CHARS,
    SYSTEM,
    AddressError,
    CallState,
    Code,
    Message,
    Refused,
    State,
    Status,
    check_address,
    iso,
)
from boardtalk.sdk.hints import nearest

if TYPE_CHECKING:
    from boardtalk.events import Delivery, Presence, Update

MAX_ENVELOPE_BYTES: Final = 4 * MAX_BODY_BYTES
"""JSON may need several characters for one of the body."""

MAX_CALL_BYTES: Final = 2048
MAX_GIST_BYTES: Final = 1024
"""In what is longer and can't be read, nobody looks for words."""

_PREFIX = re.compile(r"([a-z0-9][a-z0-9_-]{0,31})\s*:(?!//)\s*", re.ASCII)
"""An address and a colon; ``https://…`` is none."""
_SLASH = re.compile(r"/[a-z]+(?=\s|$)")
"""What chats have for words to themselves: ``/modules``; ``/etc/hosts`` is none."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters but line feed and tab: they could play tricks on a terminal."""
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ufeff\ufffd]+")
_BODY, _TO = (
    re.compile(rf"""\b{key}["']?\s*[:=]\s*["']?([^"'{{}}\[\],]*)""", re.IGNORECASE) for key in ("body", "to")
)
"""What stands behind such a key, however it is written."""
_UNKNOWN_KEY = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)

Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Id = Annotated[str, Meta(max_length=MAX_ID_CHARS)]


class Envelope(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A message to the gateway, on ``chat/<you>/out``."""

    to: Annotated[str, Meta(description="address of a user, robot or group")]
    body: Annotated[str, Meta(description="the text, at most 64 kB of UTF-8")]
    id: Annotated[
        Id, Meta(description="unique per sender; a repetition is answered alike, not done again")
    ] = ""
    refid: Annotated[Id, Meta(description="id of the message that this one answers")] = ""
    groupid: Annotated[Id, Meta(description="the group, for a message to one of its members")] = ""
    type: Annotated[Count, Meta(description="free for applications")] = 0
    flags: Annotated[
        Count,
        Meta(
            description="sum of 1 delivery receipt, 2 read receipt, 4 never stored, 8 presence, "
            "16 not to be translated; 32 comes only from modules: it replaces message `refid`"
        ),
    ] = 0
    expiry: Annotated[
        Count | None, Meta(description="seconds within which it must arrive; 0: now or never")
    ] = None
    to_online: Annotated[bool, Meta(description="only if the recipient is online")] = False
    aid: Annotated[Count, Meta(description="application; copied into answers")] = 0


class Received(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A message for you, on ``chat/<you>/in``."""

    sender: Annotated[str, Meta(description="address of its author")] = msgspec.field(name="from")
    to: Annotated[str, Meta(description="you, or a group of yours")]
    body: str
    at: Annotated[str, Meta(description="when, UTC, ISO 8601 with milliseconds")]
    id: str = ""
    refid: Annotated[str, Meta(description="id of the message that this one answers")] = ""
    groupid: str = ""
    type: int = 0
    flags: int = 0
    aid: int = 0
    status: Annotated[Code | None, Meta(description="of an answer: how message `refid` ended")] = None
    state: Annotated[State | None, Meta(description="the same in one word")] = None
    detail: str = ""


class StatusChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What became of a message of yours, on ``chat/<you>/status``."""

    id: Annotated[str, Meta(description="of the message; `~` and a number if it had none")]
    to: Annotated[str, Meta(description="whom the message was for")]
    status: Code
    state: State
    at: Annotated[str, Meta(description="when, UTC, ISO 8601 with milliseconds")]
    detail: Annotated[str, Meta(description="for a person: what went wrong and what to do")] = ""


class Read(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """You have read a message whose `flags` ask for a receipt, on ``chat/<you>/read``."""

    sender: Annotated[str, Meta(description="its author")] = msgspec.field(name="from")
    id: Annotated[Id, Meta(description="its id")]


class Here(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Whether somebody is there, retained on ``presence/<address>``."""

    online: bool
    state: Annotated[str, Meta(description="of a robot, in one word")] = ""


class OpenCall(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="open"):
    """Ask for live control, on ``chat/<you>/call``."""

    to: Annotated[str, Meta(description="address of the robot")]
    control: Annotated[str, Meta(description="which of its live controls; none: its only one")] = ""


class SetPoint(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="set"):
    """Live values, on ``chat/<you>/call``; without any for 2 s the call ends."""

    call: Annotated[str, Meta(description="id of the call")]
    values: Annotated[str, Meta(description="like the arguments of a command: `x=20 y=-50`")]


class HangUp(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="end"):
    """End a call, on ``chat/<you>/call``."""

    call: Annotated[str, Meta(description="id of the call")]


class AskCall(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="ask"):
    """Ask who controls a robot to hand it over, on ``chat/<you>/call``."""

    to: Annotated[str, Meta(description="address of the robot")]


class HandOver(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="hand over"):
    """Answer who asks for the robot that you control, on ``chat/<you>/call``."""

    ask: Annotated[str, Meta(description="as you were asked")]
    yes: bool


CallRequest = OpenCall | SetPoint | HangUp | AskCall | HandOver


class CallChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How a call of yours is, on ``chat/<you>/calls``."""

    call: Annotated[str, Meta(description="its id")]
    to: str
    state: CallState
    at: Annotated[str, Meta(description="when, UTC, ISO 8601 with milliseconds")]
    reason: str = ""


class CallWish(msgspec.Struct, kw_only=True):
    """Somebody asks you to hand over a robot, on ``chat/<you>/calls``."""

    ask: Annotated[str, Meta(description="its id, for the answer")]
    by: str
    to: Annotated[str, Meta(description="the robot")]
    until: Annotated[str, Meta(description="nothing said until then, UTC, ISO 8601, is a no")]


class CallDecision(msgspec.Struct, kw_only=True):
    """What came of it, on ``chat/<you>/calls`` of both."""

    ask: str
    by: Annotated[str, Meta(description="who asked")]
    to: str
    granted: Annotated[bool, Meta(description="the robot is kept for him for 5 s: open a call")]
    reason: str


class _Claim(msgspec.Struct):
    id: Id = ""


_decoder = msgspec.json.Decoder(Envelope)
_read_decoder = msgspec.json.Decoder(Read)
_call_decoder: msgspec.json.Decoder[CallRequest] = msgspec.json.Decoder(CallRequest)
_claim_decoder = msgspec.json.Decoder(_Claim)
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
    is_envelope = payload.lstrip()[:1] == b"{"
    if len(payload) > (MAX_ENVELOPE_BYTES if is_envelope else MAX_BODY_BYTES):
        raise _too_long(len(payload))
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        where = f"byte 0x{payload[error.start]:02x} at position {error.start}"
        raise Refused(Code.FAILED, f"the message is not UTF-8: {where}") from error
    return _read_envelope(text, sender) if is_envelope else _read_plain(text.strip(), sender, last)


def claimed_id(payload: bytes) -> str:
    """The id of an envelope, even of one that `read` refuses; "" if it has none."""
    try:
        claimed = _claim_decoder.decode(payload).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return "" if _CONTROL.search(claimed) else claimed


def gist(payload: bytes) -> tuple[str, str]:
    """Text and recipient, as far as they can be made out, of what may be refused; "" if they can't."""
    if len(payload) > MAX_GIST_BYTES:
        return "", ""
    text = _NO_TEXT.sub(" ", payload.decode(errors="replace")).strip()
    if text[:1] == "{":
        body, to = (found[1] if (found := key.search(text)) else "" for key in (_BODY, _TO))
        return body, to.strip().lower()
    prefix = _PREFIX.match(text.lower())
    return (text[prefix.end() :], prefix[1]) if prefix else (text, "")


def write_message(delivery: Delivery) -> bytes:
    """A message for ``chat/<user>/in``."""
    message, status = delivery.message, delivery.status
    return _encoder.encode(
        Received(
            sender=message.sender,
            to=message.to,
            body=message.body,
            at=iso(delivery.at),
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
            at=iso(update.at),
            detail=status.detail,
        )
    )


def read_receipt(payload: bytes) -> Read:
    """Read what came on ``chat/<user>/read``.

    Raises:
        Refused: it is not understood.
    """
    try:
        return _read_decoder.decode(payload[:MAX_CALL_BYTES])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Code.FAILED, f"the receipt is not understood: {error}") from error


def read_call(payload: bytes) -> CallRequest:
    """Read what came on ``chat/<user>/call``.

    Raises:
        Refused: it is not understood.
    """
    if len(payload) > MAX_CALL_BYTES:
        raise Refused(Code.FAILED, f"a request about a call has at most {MAX_CALL_BYTES} bytes")
    try:
        return _call_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Code.FAILED, f"the request about a call is not understood: {error}") from error


def write_call(event: CallUpdate | CallAsked | CallDecided) -> bytes:
    """How a call is, or who wants it, for ``chat/<user>/calls``."""
    told: CallChange | CallWish | CallDecision
    match event:
        case CallUpdate(call=call, to=to, state=state, at=at, reason=reason):
            told = CallChange(call=call, to=to, state=state, at=iso(at), reason=reason)
        case CallAsked(ask=ask, by=by, to=to, until=until):
            told = CallWish(ask=ask, by=by, to=to, until=iso(until))
        case CallDecided(ask=ask, by=by, to=to, granted=granted, reason=reason):
            told = CallDecision(ask=ask, by=by, to=to, granted=granted, reason=reason)
    return _encoder.encode(told)


def write_presence(presence: Presence) -> bytes:
    """The retained value of ``presence/<address>``."""
    return _encoder.encode(Here(online=presence.online, state=presence.state))


def schema() -> dict[str, Any]:
    """JSON Schema of everything that is said over MQTT; the root is what goes to the gateway."""
    types = (
        *(Envelope, Received, StatusChange, Read, Here, OpenCall, SetPoint, HangUp, CallChange),
        *(AskCall, HandOver, CallWish, CallDecision),
    )
    (root, *_), parts = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "boardtalk over MQTT"}
    return {**draft, **root, "$defs": parts}


def _read_envelope(text: str, sender: str) -> Message:
    try:
        envelope = _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused(Code.FAILED, f"the JSON envelope is not understood: {_explain(error)}") from error
    for value in (envelope.id, envelope.refid, envelope.groupid):
        _check_controls(value)
    _check_body(envelope.body)
    try:
        check_address(envelope.to)
    except AddressError as error:
        raise Refused(Code.BAD_ADDRESS, str(error)) from error
    return Message(sender=sender, **msgspec.structs.asdict(envelope))


def _read_plain(text: str, sender: str, last: str | None) -> Message:
    prefix = _PREFIX.match(text)
    body = text[prefix.end() :] if prefix else text
    _check_body(body)
    to = prefix[1] if prefix else SYSTEM if _SLASH.match(body) else last
    if to is None:
        raise Refused(Code.BAD_ADDRESS, "say whom it is for, as in `rover: forward 20`")
    return Message(sender=sender, to=to, body=body)


def _check_body(body: str) -> None:
    if not body.strip():
        raise Refused(Code.FAILED, "the message is empty")
    if len(body) > MAX_BODY_BYTES // 4 and (size := len(body.encode())) > MAX_BODY_BYTES:
        raise _too_long(size)
    _check_controls(body)


def _check_controls(text: str) -> None:
    if found := _CONTROL.search(text):
        what = f"control character U+{ord(found[0]):04X} at position {found.start()}"
        raise Refused(Code.FAILED, f"{what}: only line feed and tab may be used")


def _explain(error: Exception) -> str:
    """What msgspec says; for an unknown key with the nearest known one."""
    text = str(error)
    if unknown := _UNKNOWN_KEY.match(text):
        near = nearest(unknown[1], Envelope.__struct_fields__)
        hint = f"did you mean `{near}`?" if near else f"known: {', '.join(Envelope.__struct_fields__)}"
        return f"unknown key `{unknown[1][:40]}`; {hint}"
    return text


def _too_long(size: int) -> Refused:
    return Refused(Code.FAILED, f"the message is too long: {size:,} bytes; {MAX_BODY_BYTES:,} is the most")


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(schema()), indent=1) + b"\n")
