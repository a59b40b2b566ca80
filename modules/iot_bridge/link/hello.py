"""HELLO: what asks a board for a session, and as plain data what the board is and can take."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Final

from construct import ConstructError

from boardtalk.modules.iot_bridge.frames import (
    BUFFER_BYTES,
    VERSION,
    WINDOW,
    HelloBoard,
    HelloHost,
    Kind,
    ResetCause,
    Type,
)
from boardtalk.modules.iot_bridge.link.framing import encode
from boardtalk.modules.iot_bridge.news import printable

CTRL_C: Final = b"\x03"
_UID: Final = re.compile(r"[0-9a-f]{2,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a board says of itself; see `frames.HelloBoard`."""

    boot: int
    dictionary: bytes
    uid: str
    name: str = ""
    firmware: str = ""
    version: int = VERSION
    host_nonce: int = 0
    reset_cause: int = 0
    last_command: int = 0
    epoch: int = 0
    latched: bool = False
    max_payload: int = 243
    window: int = WINDOW
    buffer: int = BUFFER_BYTES

    @property
    def reset(self) -> str:
        """Why the board started, in words."""
        try:
            return ResetCause(self.reset_cause).name.lower().replace("_", " ")
        except ValueError:
            return f"cause {self.reset_cause}"


def parse_hello(payload: bytes) -> Hello | None:
    """A board's HELLO; None if it makes no sense."""
    try:
        fields = HelloBoard.parse(payload)
    except (ConstructError, UnicodeError):
        return None
    if not _UID.fullmatch(fields.uid):
        return None
    return Hello(
        boot=fields.boot_nonce,
        dictionary=fields.dictionary,
        uid=fields.uid,
        name=printable(fields.name),
        firmware=printable(fields.firmware),
        version=fields.version,
        host_nonce=fields.host_nonce,
        reset_cause=fields.reset_cause,
        last_command=fields.last_command,
        epoch=fields.epoch,
        latched=fields.latched,
        max_payload=fields.max_payload,
        window=max(1, min(fields.window, WINDOW)),
        buffer=fields.buffer,
    )


def greeting(nonce: int) -> bytes:
    """The frame that asks a board for a session."""
    body = HelloHost.build({"oldest": VERSION, "newest": VERSION, "nonce": nonce})
    return encode(Kind.HELLO, Type.HELLO, body, seq=0, ack=0, retry=False, seed=0)


def draw_nonce() -> int:
    """One for a session: random, 32 bits, not 0.

    There is no Ctrl-C in its greeting: until the client runs, a console takes that byte for one, and
    the board would stay at its prompt instead of starting its program.
    """
    while True:
        nonce = secrets.randbits(32)
        if nonce and CTRL_C not in greeting(nonce):
            return nonce
