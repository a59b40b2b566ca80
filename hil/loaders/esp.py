"""Emulated ESP boards, for esptool and what is built on it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from boardtalk.hil.loaders import slip
from boardtalk.hil.loaders.board import LoaderBoard
from boardtalk.hil.loaders.esp_chips import CHIPS
from boardtalk.hil.loaders.esp_loader import PLAIN_ROM, ROM, STUB, EspFaults, EspLoader, EspParts
from boardtalk.hil.loaders.esp_registers import Registers
from boardtalk.hil.loaders.events import Events
from boardtalk.hil.loaders.flash import Flash

if TYPE_CHECKING:
    from boardtalk.hil.loaders.esp_chips import EspChip
    from boardtalk.hil.loaders.esp_loader import Dialect
    from boardtalk.hil.loaders.wire import Signals, Wire

FLASH_BYTES: Final = 4 << 20
MAC: Final = bytes.fromhex("240ac4b0a7d1")
IMAGE_MAGIC: Final = 0xE9


class Esp:
    """A chip with its flash: in its ROM loader, in the stub, in its program, or held in reset."""

    def __init__(self, chip: EspChip, mac: bytes, flash: Flash) -> None:
        self.flash = flash
        self.events = Events()
        self.faults = EspFaults()
        self.fired: Counter[str] = Counter()
        self.baud = 0
        self.state = "off"
        self._chip = chip
        self._parts = EspParts(chip, flash, self.events, self.faults, self.fired)
        self._mac = mac
        self._reader = slip.SlipReader()

    def boot(self, loader: bool) -> bytes:
        """Start anew; all but the flash is forgotten."""
        self.baud = 0
        self._reader.clear()
        self._registers = Registers(self._chip, self._mac, self.flash)
        if loader:
            self._enter(PLAIN_ROM if self._chip.plain_rom else ROM)
            self.events.note("boot", "loader")
            return self._says(self._chip.loader_boot, "waiting for download")
        self.state = "app"
        first = self.flash.read(self._chip.bootloader_offset, 4)
        valid = first[0] == IMAGE_MAGIC
        self.events.note("boot", "app" if valid else "nothing")
        words = "entry 0x400805e4" if valid else f"invalid header: 0x{int.from_bytes(first, 'little'):08x}"
        return self._says(self._chip.app_boot, words)

    def signal(self, signals: Signals) -> bytes:
        """The two transistors of nearly all boards: RTS alone resets, DTR alone sets the boot pin."""
        if signals.rts and not signals.dtr:
            self.state = "reset"
            self.events.note("reset")
            return b""
        if self.state != "reset":
            return b""
        if not signals.rts:
            return self.boot(loader=signals.dtr)
        if self.faults.no_capacitor:  # both: neither transistor conducts
            self.fired["no capacitor"] += 1
            return self.boot(loader=False)
        return b""

    def hear(self, data: bytes, baud: int) -> bytes:
        """Packets, if a loader listens."""
        said = b""
        for packet in self._reader.feed(data) if self.state in {"ROM", "stub"} else ():
            said += self._loader.answer(packet, baud)
            self.baud = self._loader.baud or self.baud or (baud if said else 0)
            if self._loader.exit:
                said += self._leave(self._loader.exit)
        return said

    def _enter(self, dialect: Dialect) -> None:
        self.state = dialect.name
        self._loader = EspLoader(self._parts, self._registers, dialect)

    def _leave(self, what: str) -> bytes:
        if what != "stub":
            return self.boot(loader=what == "loader")
        self._enter(STUB)
        self.events.note("stub")
        return slip.encode(b"OHAI")

    def _says(self, *lines: str) -> bytes:
        return "\r\n".join(("", *lines, "")).encode()


class EspBoard(LoaderBoard):
    """An ESP board, as an async context manager.

    Over a pseudo-terminal or TCP it is in its loader from the start, as if its boot button were held;
    over RFC 2217 DTR and RTS reset it.

    Args:
        kind: one of `esp_chips.CHIPS`.
        wire: how it is connected; a pseudo-terminal, unless said otherwise.
        mac: its address.
        flash_bytes: a power of 2.
        content: what is on the flash.
    """

    def __init__(
        self,
        kind: str = "esp32c3",
        wire: Wire | None = None,
        *,
        mac: bytes = MAC,
        flash_bytes: int = FLASH_BYTES,
        content: bytes = b"",
    ) -> None:
        self._esp = Esp(CHIPS[kind], mac, Flash(flash_bytes, content=content))
        self.faults = self._esp.faults
        """What the loader does wrong; what the memory does wrong is in `flash.faults`."""
        self.fired = self._esp.fired
        """How often each of these has happened."""
        super().__init__(self._esp, wire)

    @property
    def state(self) -> str:
        """`ROM`, `stub`, `app`, or `reset` while it is held in reset."""
        return self._esp.state
