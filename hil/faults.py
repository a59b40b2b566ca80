"""What goes wrong with bytes and frames on their way: on purpose, repeatably, and counted."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge.frames import CTL_KIND_MASK, CTL_KIND_SHIFT, Kind

if TYPE_CHECKING:
    import random

MAX_HELD_BYTES: Final = 4096
"""Of a frame that does not end; then it is noise, and goes on as it is."""
NOISE_BYTES: Final = 40
_PIECE: Final = re.compile(rb"\0[^\0]+\0|\0|[^\0]+")
"""A frame with its delimiters; or a delimiter alone; or what stands between frames."""


@dataclass(slots=True)
class Faults:
    """Probabilities; they may be changed at any time. Raises ValueError: one is not from 0 to 1."""

    drop: float = 0.0
    """A byte is lost."""
    flip: float = 0.0
    """A bit of a byte is wrong."""
    noise: float = 0.0
    """Random bytes come before a frame."""
    lose: float = 0.0
    """A frame is lost."""
    lose_acks: float = 0.0
    """A frame that only acknowledges is lost."""
    corrupt: float = 0.0
    """A bit of a frame is wrong."""
    duplicate: float = 0.0
    """A frame comes twice."""
    reorder: float = 0.0
    """A frame comes after the one that follows it."""

    def __setattr__(self, name: str, value: float) -> None:
        if not 0 <= value <= 1:
            raise ValueError(f"{name}: a probability is from 0 to 1, not {value:g}")
        object.__setattr__(self, name, value)

    def clear(self) -> None:
        """None any more."""
        for each in fields(self):
            setattr(self, each.name, 0.0)

    @property
    def of_frames(self) -> bool:
        """Whether frames have to be told apart."""
        return bool(
            self.noise or self.lose or self.lose_acks or self.corrupt or self.duplicate or self.reorder
        )


class Spoiler:
    """Spoils one direction of a line.

    Args:
        faults: how likely is what.
        chance: the random numbers.
        fired: counts the faults.
    """

    def __init__(self, faults: Faults, chance: random.Random, fired: Counter[str]) -> None:
        self._faults = faults
        self._chance = chance
        self._fired = fired
        self._rest = b""
        self._late = b""

    def spoil(self, data: bytes) -> bytes:
        """The bytes as they arrive."""
        faults = self._faults
        if faults.of_frames or self._rest or self._late:
            data = self._spoil_frames(data)
        return self._spoil_bytes(data) if faults.drop or faults.flip else data

    def _spoil_bytes(self, data: bytes) -> bytes:
        spoilt = bytearray()
        for byte in data:
            if self._hits("drop", self._faults.drop):
                continue
            wrong = 1 << self._chance.randrange(8) if self._hits("flip", self._faults.flip) else 0
            spoilt.append(byte ^ wrong)
        return bytes(spoilt)

    def _spoil_frames(self, data: bytes) -> bytes:
        pieces = _PIECE.findall(self._rest + data)
        begun = len(pieces)  # where a frame begins that has not ended
        if pieces and not _is_frame(pieces[-1]):
            begun -= 1 if not pieces[-1][0] else 1 + (begun > 1 and not any(pieces[-2]))
        self._rest = b"".join(pieces[begun:])
        if self._rest[:1] != b"\0" or len(self._rest) > MAX_HELD_BYTES:
            begun, self._rest = len(pieces), b""
        return b"".join(self._spoil_frame(piece) if _is_frame(piece) else piece for piece in pieces[:begun])

    def _spoil_frame(self, frame: bytes) -> bytes:
        faults = self._faults
        if self._hits("lose", faults.lose):
            return b""
        if _kind(frame) is Kind.ACK and self._hits("lose_acks", faults.lose_acks):
            return b""
        if self._hits("corrupt", faults.corrupt):
            at = self._chance.randrange(1, len(frame) - 1)
            wrong = frame[at] ^ 1 << self._chance.randrange(8)
            frame = frame[:at] + bytes((wrong,)) + frame[at + 1 :]
        if self._hits("duplicate", faults.duplicate):
            frame += frame
        if self._hits("noise", faults.noise):
            frame = self._chance.randbytes(self._chance.randrange(1, NOISE_BYTES)) + frame
        if not self._late and self._hits("reorder", faults.reorder):
            self._late = frame
            return b""
        late, self._late = self._late, b""
        return frame + late

    def _hits(self, fault: str, probability: float) -> bool:
        hit = probability > 0 and self._chance.random() < probability
        self._fired[fault] += hit
        return hit


def _is_frame(piece: bytes) -> bool:
    return len(piece) > 2 and piece[0] == piece[-1] == 0


def _kind(frame: bytes) -> Kind:
    """What the link does with a frame: in its first byte, which COBS leaves alone unless it is 0."""
    ctl = frame[2] if frame[1] > 1 else 0
    return Kind((ctl & CTL_KIND_MASK) >> CTL_KIND_SHIFT)
