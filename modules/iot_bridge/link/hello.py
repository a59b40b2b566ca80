"""HELLO as plain data: who a board is and what it can take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from construct import ConstructError

from boardtalk.modules.iot_bridge.frames import BUFFER_BYTES, VERSION, WINDOW, HelloBoard, ResetCause
from boardtalk.modules.iot_bridge.news import printable

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
