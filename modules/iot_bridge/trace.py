"""A command's frame as people read it, for `boardtalk why`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.errors import DictionaryError
from boardtalk.modules.iot_bridge.language.words import show
from boardtalk.modules.iot_bridge.link.framing import unstuff

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.dictionary import Command
    from boardtalk.modules.iot_bridge.service.api import Progress

HEAD_BYTES = frames.CommandHead.sizeof()


def describe(sent: Progress, command: Command) -> str:
    """What went over the line, byte for byte and in words, how often, and when it was acknowledged."""
    times = "once" if sent.tries == 1 else f"{sent.tries} times"
    done = f"sent {times}, acknowledged after {sent.ms:.1f} ms"
    return f"{sent.frame.hex(' ')} = {_decoded(sent.frame, command)}; {done}"


def _decoded(wire: bytes, command: Command) -> str:
    bodies = [unstuff(piece) or b"" for piece in wire.split(b"\0") if piece]
    pieces = [frames.Frame.parse(body[: -frames.CRC_BYTES]) for body in bodies]
    payload = b"".join(piece.payload for piece in pieces)
    head = frames.CommandHead.parse(payload)
    try:
        values = command.args_format.unpack(payload[HEAD_BYTES:])
        args = show(values, command.args)
    except DictionaryError as error:
        args = f"arguments that can't be read ({error})"
    lease = f", lease {head.lease_ms} ms" if head.lease_ms else ""
    return (
        f"DATA {', '.join(str(piece.header.seq) for piece in pieces)}: COMMAND {command.name} {args}".rstrip()
        + f", id {head.id}, epoch {head.epoch}, {head.ttl_ms} ms left{lease}"
    )
