"""Where the bytes come from: a board's line, a port, a file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.sniff import pcapng, recording
from boardtalk.modules.iot_bridge.sniff.decoder import Check
from boardtalk.modules.iot_bridge.transports.ports import transport
from boardtalk.sdk import ServiceError
from boardtalk.sdk.channel import Channel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    from boardtalk.modules.iot_bridge.sniff.decoder import Decoder, Seen

CHUNK_BYTES = 65536


class Bytes(NamedTuple):
    """A piece of a line's traffic."""

    at: float
    """Seconds since 1970."""
    down: bool | None
    """Whether to the board; None: not known."""
    data: bytes


async def board(state: Path, name: str) -> AsyncGenerator[Bytes]:
    """What the link process moves over a board's line from now on, until it ends.

    Raises:
        LinkError: it has no such board.
        ServiceError: there is no link process.
    """
    channel: Channel[api.AnyAnswer] = await Channel.connect(state / api.SOCKET, api.AnyAnswer)
    wall = time.time() - time.monotonic()
    try:
        channel.send(api.Tap(board=name, re=1))
        async for answer in channel:
            match answer:
                case api.Refused(reason=reason):
                    raise LinkError(reason)
                case api.Traffic(at=at, down=down, data=data):
                    yield Bytes(at + wall, down, data)
        raise ServiceError("the link process went away")
    finally:
        channel.close()


async def port(path: str, baud: int) -> AsyncGenerator[Bytes]:
    """What comes in at a port, until it vanishes: one wire, so that nobody tells who speaks.

    Raises:
        PortError: it can't be opened.
    """
    async with transport(path, baud) as line:
        while data := await line.read():
            yield Bytes(time.time(), None, data)


def packet(seen: Seen) -> pcapng.Packet:
    """As it is kept in a file."""
    check = "" if seen.check is Check.GOOD else f"[{seen.check.value}] "
    interface = pcapng.FRAMES if seen.kind is not None else pcapng.TEXT
    return pcapng.Packet(seen.at, interface, seen.down, seen.raw, f"{check}{seen.label}: {seen.words}")


def file(path: Path, decoder: Decoder, board: str = "") -> Iterator[Seen]:
    """What a file holds: a recording, pcapng as written by `--write`, or the bytes of a line as they were.

    Args:
        path: of the file.
        decoder: for what does not say itself whose line it was.
        board: of a recording only this one's line.

    Raises:
        LinkError: it can't be read.
    """
    try:
        if recording.is_recording(path):
            yield from recording.file(path, board)
            return
        with path.open("rb") as stream:
            head = stream.read(4)
            stream.seek(0)
            if head == pcapng.SECTION.to_bytes(4, "little"):
                for packet in pcapng.read(stream):
                    yield decoder.packet(
                        packet.at, packet.down, packet.data, text=packet.interface == pcapng.TEXT
                    )
                return
            while data := stream.read(CHUNK_BYTES):
                yield from decoder.feed(0.0, None, data)
            yield from decoder.flush(0.0)
    except OSError as error:
        raise LinkError(f"{path}: can't be read: {error.strerror or error}") from error
