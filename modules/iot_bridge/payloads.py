"""What goes into frames to a board, and what those from it mean. Values are packed elsewhere."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.frames import TYPE_BASE_MASK, Kind, Outcome, Type
from boardtalk.modules.iot_bridge.news import (
    BoardEvent,
    LogLine,
    Progress,
    Result,
    Started,
    Stopped,
    Telemetry,
)

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.link.framing import Frame

# What each command needs is compiled: 3 × as fast, and safe since the length is looked at first.
_COMMAND: Final = frames.CommandHead.compile()
_RENEW: Final = frames.Renew.compile()
_STARTED: Final = frames.Started.compile()
_RESULT: Final = frames.ResultHead.compile()
_STARTED_BYTES: Final = frames.Started.sizeof()
_RESULT_BYTES: Final = frames.ResultHead.sizeof()
_PROGRESS_BYTES: Final = frames.Progress.sizeof()
_STATE_BYTES: Final = frames.StateBody.sizeof()
_DICTIONARY_HEAD_BYTES: Final = 4


class Piece(NamedTuple):
    """Of the dictionary."""

    total: int
    offset: int
    data: bytes


class Updated(NamedTuple):
    """An answer to a step of an update."""

    told: bytes
    """`frames.OtaAnswer`, and what follows it."""


Meaning: TypeAlias = (
    Started | Progress | Result | Telemetry | BoardEvent | LogLine | Stopped | Piece | Updated
)


def command(id_: int, epoch: int, deadline: int, lease: int, args: bytes) -> bytes:
    """Carry out a command. `deadline` and `lease`, when its first lease ends, are by the board's clock."""
    return bytes(_COMMAND.build({"deadline": deadline, "id": id_, "epoch": epoch, "lease": lease})) + args


def renew(id_: int, lease: int) -> bytes:
    """Let a motion go on until `lease` by the board's clock, or up to 16 ms less; 0: end it."""
    units = (lease & frames.RENEW_MASK) >> frames.RENEW_SHIFT
    last = frames.RENEW_MASK >> frames.RENEW_SHIFT
    return bytes(_RENEW.build({"id": id_, "lease": units or (last if lease else 0)}))


def set_point_bytes(values: int) -> int:
    """Size of the frame of a set-point with so many bytes of values."""
    return frames.OVERHEAD_BYTES + int(frames.SetpointHead.sizeof()) + values


def set_point(epoch: int, lease: int, values: bytes) -> bytes:
    """Live values, that count until `lease` by the board's clock."""
    return bytes(frames.SetpointHead.build({"epoch": epoch, "lease": lease})) + values


def read(frame: Frame) -> Meaning | None:
    """What a frame means; None: nothing that we know."""
    payload = frame.payload
    if frame.kind is Kind.LOG:
        return LogLine(payload[0] if payload else 0, payload[1:].decode(errors="replace"))
    index = frame.type & ~TYPE_BASE_MASK
    match frame.type & TYPE_BASE_MASK or frame.type:
        case Type.RESULT if len(payload) >= _RESULT_BYTES:
            return _result(payload)
        case Type.STARTED if len(payload) == _STARTED_BYTES:
            return Started(_STARTED.parse(payload).id)
        case Type.PROGRESS if len(payload) == _PROGRESS_BYTES:
            body = frames.Progress.parse(payload)
            return Progress(body.id, min(body.percent, 100))
        case Type.STOPPED | Type.STATE if len(payload) == _STATE_BYTES:
            body = frames.StateBody.parse(payload)
            return Stopped(body.epoch, body.latched)
        case Type.TELEMETRY:
            return Telemetry(index, payload)
        case Type.EVENT:
            return BoardEvent(index, payload)
        case Type.OTA_ANSWER:
            return Updated(payload)
        case Type.DICTIONARY if len(payload) >= _DICTIONARY_HEAD_BYTES:
            piece = frames.Dictionary.parse(payload)
            return Piece(piece.total, piece.offset, piece.data)
    return None


def _result(payload: bytes) -> Result:
    head = _RESULT.parse(payload)
    outcome = Outcome.FAILED
    with suppress(ValueError):
        outcome = Outcome(head.outcome)
    return Result(head.id, outcome, payload[_RESULT_BYTES:])
