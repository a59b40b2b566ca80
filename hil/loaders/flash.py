"""The flash memory of an emulated board: NOR flash, as it is, and as it fails."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from boardtalk.sdk import BoardtalkError

ERASED: Final = 0xFF
DELAY_UNIT: Final = 65536


class PowerLost(BoardtalkError):
    """The power went in the middle of a write."""


class OutOfFlash(BoardtalkError):
    """There is no flash at this address."""


@dataclass(slots=True)
class FlashFaults:
    """What goes wrong with memory; may be changed at any time."""

    power_loss_after: int | None = None
    """So many bytes are written still, then the power goes. It counts down; the flash stays as it is."""
    protected: bool = False
    """Erasing and writing do nothing, and nobody is told: so does a chip with its protection bits set."""
    weak: set[int] = field(default_factory=set)
    """Offsets whose lowest bit is wrong after writing."""
    erase_s: float = 0.0
    """Seconds that 64 KiB take to erase."""


class Flash:
    """Erasing sets the bits of whole sectors, writing clears bits.

    Args:
        size: bytes.
        sector: bytes that are erased at a time.
        content: what is on it.
    """

    def __init__(self, size: int, *, sector: int = 4096, content: bytes = b"") -> None:
        self.faults = FlashFaults()
        self.fired: Counter[str] = Counter()
        """How often each fault has happened."""
        self.written = 0
        """Bytes, through the board's whole life."""
        self.busy_s = 0.0
        """Time that erasing takes; whoever waits for it sets it back."""
        self._sector = sector
        self._data = bytearray(content.ljust(size, bytes((ERASED,))))
        self._check(0, len(self._data) - size)

    def __len__(self) -> int:
        return len(self._data)

    def __bytes__(self) -> bytes:
        return bytes(self._data)

    def read(self, at: int, size: int) -> bytes:
        """What is there.

        Raises:
            OutOfFlash: nothing is.
        """
        self._check(at, size)
        return bytes(self._data[at : at + size])

    def erase(self, at: int = 0, size: int | None = None) -> None:
        """Erase the sectors that a region touches; all by default.

        Raises:
            OutOfFlash: there are none.
        """
        size = len(self) if size is None else size
        self._check(at, size)
        if self._refused():
            return
        begin = at // self._sector * self._sector
        end = -(-(at + size) // self._sector) * self._sector
        self._data[begin:end] = bytes((ERASED,)) * (end - begin)
        self.busy_s += self.faults.erase_s * (end - begin) / DELAY_UNIT
        self.fired["slow erase"] += bool(self.faults.erase_s)

    def write(self, at: int, data: bytes) -> None:
        """Clear bits.

        Raises:
            OutOfFlash: there is not so much.
            PowerLost: the power went.
        """
        self._check(at, len(data))
        if self._refused():
            return
        left = self.faults.power_loss_after
        lost = left is not None and left < len(data)
        data = data[:left] if lost else data
        end = at + len(data)
        both = int.from_bytes(self._data[at:end]) & int.from_bytes(data)
        self._data[at:end] = both.to_bytes(len(data))
        self.written += len(data)
        for weak in self.faults.weak:
            if at <= weak < end:
                self._data[weak] ^= 1
                self.fired["weak"] += 1
        if lost:
            self.faults.power_loss_after = None
            self.fired["power loss"] += 1
            raise PowerLost(f"after {self.written} bytes")
        if left is not None:
            self.faults.power_loss_after = left - len(data)

    def _refused(self) -> bool:
        self.fired["protected"] += self.faults.protected
        return self.faults.protected

    def _check(self, at: int, size: int) -> None:
        if not 0 <= at <= at + size <= len(self):
            raise OutOfFlash(f"{size} bytes at {at:#x}: there are {len(self):#x}")
