"""A debug probe for the real pyOCD, with an emulated nRF51822 behind it: memory, debug registers, one core.

The core executes nothing. When pyOCD lets it run one of the routines that it put into its RAM, the routine's
effect takes place at once, and the core has halted again. BOARDTALK_PROBE names the file with what is on the
flash, the first byte of which is 0 while the chip has no power, or 1.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any

from pyocd.core import exceptions
from pyocd.core.plugin import Plugin
from pyocd.probe.debug_probe import DebugProbe
from pyocd.target.builtin.target_nRF51822_xxAA import FLASH_ALGO

SERIAL = "9900000031864e45"
HEAD, FLASH_BYTES, PAGE = 64, 256 * 1024, 1024
ROM, SCS = 0xF0000000, 0xE000E000
CPUID, DHCSR, DCRSR, DCRDR, DEMCR, AIRCR = (SCS + each for each in (0xD00, 0xDF0, 0xDF4, 0xDF8, 0xDFC, 0xD0C))
HALT, KEY, READY, HALTED = 0x2, 0xA05F0000, 1 << 16, 1 << 17
LR, PC = 14, 15


def component(kind: int, part: int) -> dict[int, int]:
    """What a CoreSight component tells at the end of its 4 kB: made by ARM."""
    identity = (part & 0xFF, 0xB0 | part >> 8, 0x0B, 0)
    return {
        0xFD0: 4,
        **{0xFE0 + 4 * number: word for number, word in enumerate(identity)},
        **dict(zip((0xFF0, 0xFF4, 0xFF8, 0xFFC), (0x0D, kind << 4, 0x05, 0xB1), strict=True)),
    }


class Chip:
    """Memory and core."""

    def __init__(self) -> None:
        with Path(os.environ["BOARDTALK_PROBE"]).open("r+b") as file:
            self.file = mmap.mmap(file.fileno(), 0)
        self.ram = bytearray(0x4000)
        self.core = [0] * 256
        self.halted = False
        self.words: dict[int, int] = {CPUID: 0x410CC200, 0x10000010: PAGE, 0x10000014: FLASH_BYTES // PAGE}
        for base, parts in ((ROM, component(1, 0x471)), (SCS, component(0xE, 0x008))):
            self.words |= {base + at: word for at, word in parts.items()}
        self.words |= {ROM: (SCS - ROM) & 0xFFFFF000 | 3, ROM + 4: 0}

    def byte(self, at: int) -> int:
        if at < FLASH_BYTES:
            return self.file[HEAD + at]
        if 0 <= at - 0x20000000 < len(self.ram):
            return self.ram[at - 0x20000000]
        return self.word(at & ~3) >> 8 * (at & 3) & 0xFF

    def memory(self, at: int, size: int) -> bytes | None:
        """What is in flash or RAM; None: it is elsewhere."""
        if not self.file[0]:
            raise exceptions.TransferError("no answer: the chip has no power")
        if at + size <= FLASH_BYTES:
            return self.file[HEAD + at : HEAD + at + size]
        start = at - 0x20000000
        return bytes(self.ram[start : start + size]) if 0 <= start <= len(self.ram) - size else None

    def word(self, at: int) -> int:
        if not self.file[0]:
            raise exceptions.TransferError("no answer: the chip has no power")
        if at < FLASH_BYTES or 0 <= at - 0x20000000 < len(self.ram):
            return int.from_bytes(bytes(self.byte(at + each) for each in range(4)), "little")
        if at == DHCSR:
            return READY | (HALTED | HALT if self.halted else 0) | 1
        if at not in self.words and not (ROM <= at < ROM + 0x1000 or SCS <= at < SCS + 0x1000):
            if 0x10000000 <= at < 0x10002000 or 0x40000000 <= at < 0x40020000:
                return 0xFFFFFFFF
            raise exceptions.TransferFaultError(at)
        return self.words.get(at, 0)

    def put(self, at: int, word: int) -> None:
        if not self.file[0]:
            raise exceptions.TransferError("no answer: the chip has no power")
        if 0 <= at - 0x20000000 < len(self.ram):
            self.ram[at - 0x20000000 : at - 0x20000000 + 4] = word.to_bytes(4, "little")
        elif at == DHCSR and word & 0xFFFF0000 == KEY:
            was, self.halted = self.halted, bool(word & HALT)
            if was and not self.halted:
                self.run()
        elif at == DCRSR:
            register = word & 0xFF
            if word & 1 << 16:
                self.core[register] = self.words.get(DCRDR, 0)
            else:
                self.words[DCRDR] = self.core[register]
        elif at == AIRCR and word & 4:
            self.halted = bool(self.words.get(DEMCR, 0) & 1)
        else:
            self.words[at] = word

    def run(self) -> None:
        """What routine was called; one that compares checksums finds that all differ."""
        routine = next((name for name, at in FLASH_ALGO.items() if at == self.core[PC] | 1), "")
        first, second, third = self.core[:3]
        if routine == "pc_eraseAll":
            self.file[HEAD : HEAD + FLASH_BYTES] = b"\xff" * FLASH_BYTES
        elif routine == "pc_erase_sector" and first < FLASH_BYTES:
            self.file[HEAD + first : HEAD + first + PAGE] = b"\xff" * PAGE
        elif routine == "pc_program_page" and first < FLASH_BYTES:
            data = self.memory(third, second) or b""
            for number, byte in enumerate(data):
                self.file[HEAD + first + number] &= byte
            left = int.from_bytes(self.file[4:8], "little")
            if left:  # so many pages more, and its power goes
                self.file[4:8] = (left - 1).to_bytes(4, "little")
                self.file[0] = int(left > 1)
        self.core[0], self.core[PC], self.halted = 0, self.core[LR] & ~1, True


class EmulatedProbe(DebugProbe):
    """What pyOCD asks of a probe."""

    vendor_name, product_name = "boardtalk", "emulated probe"
    supported_wire_protocols = (DebugProbe.Protocol.DEFAULT, DebugProbe.Protocol.SWD)
    unique_id = SERIAL
    wire_protocol = DebugProbe.Protocol.SWD
    capabilities = frozenset(
        (DebugProbe.Capability.MANAGED_AP_SELECTION, DebugProbe.Capability.MANAGED_DPBANKSEL)
    )
    associated_board_info = None
    is_open = False

    @classmethod
    def get_all_connected_probes(cls, unique_id: str | None = None, is_explicit: bool = False) -> list[Any]:
        return [cls()] if unique_id in {None, SERIAL} else []

    @classmethod
    def get_probe_with_id(cls, unique_id: str, is_explicit: bool = False) -> Any:
        return cls() if unique_id == SERIAL else None

    def open(self) -> None:
        self.is_open, self.chip = True, Chip()
        self.registers: dict[int, int] = {}

    def close(self) -> None:
        self.is_open = False

    def connect(self, protocol: Any = None) -> None:
        self.chip.word(CPUID)

    def nothing(self, *_: Any) -> None:
        pass

    disconnect = set_clock = reset = assert_reset = flush = swj_sequence = nothing

    def is_reset_asserted(self) -> bool:
        return False

    def read_dp(self, addr: int, now: bool = True) -> Any:
        value = {0: 0x0BB11477, 4: 0xF0000000 | self.registers.get(4, 0) & 0x50000000}.get(addr & 0xF, 0)
        return value if now else lambda: value

    def write_dp(self, addr: int, data: int) -> None:
        self.registers[addr & 0xF] = data

    def _ap(self, addr: int) -> tuple[int, int]:
        return addr >> 24, addr & 0xFF

    def read_ap(self, addr: int, now: bool = True) -> Any:
        number, register = self._ap(addr)
        value = 0
        if number == 0:
            fixed = {0xFC: 0x04770021, 0xF8: ROM | 3, 0xF4: 0, 0x00: 0x23000042}
            value = fixed.get(register, 0)
            if register == 0x0C:
                value = self.chip.word(self.registers[0x104])
        return value if now else lambda: value

    def write_ap(self, addr: int, data: int) -> None:
        number, register = self._ap(addr)
        if register == 4:
            self.registers[0x104] = data
        if number == 0 and register == 0x0C:
            self.chip.put(self.registers[0x104], data)

    def get_memory_interface_for_ap(self, ap_address: Any) -> Any:
        return Memory(self.chip) if ap_address.apsel == 0 else None


class Memory:
    """Reads and writes of several words at a time, as fast probes have them."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip

    def read_memory(self, addr: int, transfer_size: int = 32, now: bool = True, **_: Any) -> Any:
        value = self.chip.word(addr & ~3) >> 8 * (addr & 3) & (1 << transfer_size) - 1
        return value if now else lambda: value

    def write_memory(self, addr: int, data: int, transfer_size: int = 32, **_: Any) -> None:
        if transfer_size == 32:
            self.chip.put(addr, data)
        else:
            self.write_memory_block8(addr, data.to_bytes(transfer_size // 8, "little"))

    def read_memory_block32(self, addr: int, size: int, **_: Any) -> list[int]:
        data = self.chip.memory(addr, 4 * size)
        if data is not None:
            return [int.from_bytes(data[start : start + 4], "little") for start in range(0, len(data), 4)]
        return [self.chip.word(addr + 4 * number) for number in range(size)]

    def write_memory_block32(self, addr: int, data: list[int], **_: Any) -> None:
        for number, word in enumerate(data):
            self.chip.put(addr + 4 * number, word)

    def read_memory_block8(self, addr: int, size: int, **_: Any) -> list[int]:
        data = self.chip.memory(addr, size)
        return list(data) if data is not None else [self.chip.byte(addr + number) for number in range(size)]

    def write_memory_block8(self, addr: int, data: bytes, **_: Any) -> None:
        self.chip.word(addr & ~3)
        for at, byte in enumerate(data, addr):
            word, shift = self.chip.word(at & ~3), 8 * (at & 3)
            self.chip.put(at & ~3, word & ~(0xFF << shift) | byte << shift)


class ProbePlugin(Plugin):
    """How pyOCD finds it."""

    name = "emulated"
    description = "an emulated probe"

    def load(self) -> type[EmulatedProbe]:
        return EmulatedProbe
