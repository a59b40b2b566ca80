"""The serial protocol of ESP boot loaders: the ROM's, and that of the stub which tools put in its place."""

from __future__ import annotations

import functools
import hashlib
import operator
import struct
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from boardtalk.hil.loaders import slip
from boardtalk.hil.loaders.esp_download import (
    CHECKSUM,
    FAILED,
    INVALID,
    SECTOR,
    Download,
    Refused,
    plain_erase,
)
from boardtalk.hil.loaders.flash import OutOfFlash

if TYPE_CHECKING:
    from collections.abc import Callable

    from boardtalk.hil.loaders.esp_chips import EspChip
    from boardtalk.hil.loaders.esp_registers import Registers
    from boardtalk.hil.loaders.events import Events
    from boardtalk.hil.loaders.flash import Flash


class Op(IntEnum):
    """Commands."""

    FLASH_BEGIN = 0x02
    FLASH_DATA = 0x03
    FLASH_END = 0x04
    MEM_BEGIN = 0x05
    MEM_END = 0x06
    MEM_DATA = 0x07
    SYNC = 0x08
    WRITE_REG = 0x09
    READ_REG = 0x0A
    SPI_SET_PARAMS = 0x0B
    SPI_ATTACH = 0x0D
    READ_FLASH_SLOW = 0x0E
    CHANGE_BAUDRATE = 0x0F
    DEFL_BEGIN = 0x10
    DEFL_DATA = 0x11
    DEFL_END = 0x12
    SPI_FLASH_MD5 = 0x13
    GET_SECURITY_INFO = 0x14
    ERASE_FLASH = 0xD0
    ERASE_REGION = 0xD1
    READ_FLASH = 0xD2


REQUEST, ANSWER = 0, 1
HEADER: Final = struct.Struct("<BBHI")
CHECKSUM_SEED: Final = 0xEF
SYNC_ANSWERS: Final = 8
UNSUPPORTED_ANSWERS: Final = 8
NO_OP: Final = 0x00
"""In the ROM's answers to what it does not know: some other command than it was asked, and several times."""
BLOCK_HEADER: Final = 16
"""Before the content of a block: its size and number."""
SLOW_BYTES: Final = 64
PLAIN: Final = {op for op in Op if op <= Op.READ_REG}
"""All that the ESP8266's ROM knows."""
STUB_ONLY: Final = {Op.ERASE_FLASH, Op.ERASE_REGION, Op.READ_FLASH}
ROM_ONLY: Final = {Op.READ_FLASH_SLOW}
SECURE: Final = {
    Op.SYNC,
    Op.SPI_SET_PARAMS,
    Op.SPI_ATTACH,
    Op.CHANGE_BAUDRATE,
    Op.FLASH_BEGIN,
    Op.FLASH_DATA,
    Op.FLASH_END,
    Op.DEFL_BEGIN,
    Op.DEFL_DATA,
    Op.DEFL_END,
    Op.GET_SECURITY_INFO,
}
"""What is left in secure download mode."""
SECURE_FLAG: Final = 1 << 2
DATA_OPS: Final = {Op.MEM_DATA, Op.FLASH_DATA, Op.DEFL_DATA}
STUB_CODES: Final = {INVALID: 0xC3, FAILED: 0xC4, CHECKSUM: 0xC1}


class Dialect(NamedTuple):
    """What ROM and stub do differently."""

    name: str
    status_bytes: int
    sync_value: int
    """Tools tell the stub by its 0."""
    known: set[Op]


ROM: Final = Dialect("ROM", 4, 0x20120707, set(Op) - STUB_ONLY)
PLAIN_ROM: Final = Dialect("ROM", 2, 0x20120707, PLAIN)
STUB: Final = Dialect("stub", 2, 0, set(Op) - ROM_ONLY)


@dataclass(slots=True)
class EspFaults:
    """What the loader does wrong; may be changed at any time."""

    refuse: Counter[tuple[Op, int]] = field(default_factory=Counter)
    """How often still it refuses a command with an error: `refuse[Op.FLASH_DATA, 0x07] = 2`."""
    silent: bool = False
    """It says nothing to damaged packets, instead of refusing them at once."""
    lost_answers: Counter[Op] = field(default_factory=Counter)
    """How often still it does what it is told, and its answer gets lost."""
    wrong_md5: int = 0
    """So many checksums of the flash are wrong."""
    no_stub: bool = False
    """A stub that was put into memory does not run."""
    no_capacitor: bool = False
    """At its reset pin: over a network the chip comes out of reset before its boot pin is set."""
    secure_download: bool = False
    """Secure download mode: no reading, no stub."""


class EspParts(NamedTuple):
    """What outlives a reset."""

    chip: EspChip
    flash: Flash
    events: Events
    faults: EspFaults
    fired: Counter[str]
    """Counts the faults."""


class EspLoader:
    """Answers packets. Pure: bytes in, bytes out.

    Args:
        parts: of the chip.
        registers: of the chip.
        dialect: whether it is the ROM or the stub.
    """

    def __init__(self, parts: EspParts, registers: Registers, dialect: Dialect) -> None:
        self.dialect = dialect
        self.baud = 0
        """What it has been told to change to; 0: nothing."""
        self.exit = ""
        """What comes after it, if it has been left: `stub`, `app` or `loader`."""
        self._chip, self._flash, self._events, self._faults, self._fired = parts
        self._registers = registers
        self._download: Download | None = None
        self._memory_left = 0
        self._upload: _Upload | None = None
        self._handlers: dict[Op, Callable[[bytes], tuple[int, bytes]]] = {
            Op.FLASH_BEGIN: self._flash_begin,
            Op.FLASH_DATA: self._flash_data,
            Op.FLASH_END: self._flash_end,
            Op.MEM_BEGIN: self._mem_begin,
            Op.MEM_DATA: self._mem_data,
            Op.MEM_END: self._mem_end,
            Op.WRITE_REG: self._write_reg,
            Op.SPI_SET_PARAMS: self._nothing,
            Op.SPI_ATTACH: self._nothing,
            Op.READ_FLASH_SLOW: self._read_slow,
            Op.CHANGE_BAUDRATE: self._change_baud,
            Op.DEFL_BEGIN: self._defl_begin,
            Op.DEFL_DATA: self._flash_data,
            Op.DEFL_END: self._flash_end,
            Op.SPI_FLASH_MD5: self._md5,
            Op.GET_SECURITY_INFO: self._security_info,
            Op.ERASE_FLASH: self._erase_flash,
            Op.ERASE_REGION: self._erase_region,
            Op.READ_FLASH: self._read_flash,
        }

    def answer(self, packet: bytes, baud: int) -> bytes:
        """What it says to a packet from a tool at this rate (0: unknown)."""
        if self._upload is not None:
            said = self._upload.acknowledged(packet)
            if self._upload.complete:
                self._upload = None
            return said
        if len(packet) < HEADER.size or packet[0] != REQUEST:
            return b""
        _, op, size, checksum = HEADER.unpack_from(packet)
        data = packet[HEADER.size :]
        try:
            if len(data) != size:
                raise Refused(INVALID)
            if not self._supports(op):
                return self._unsupported(op)
            return self._obey(Op(op), data, checksum, baud)
        except Refused as refusal:
            return self._refuse(op, refusal.code)
        except (struct.error, OutOfFlash):
            return self._refuse(op, FAILED)

    def _supports(self, op: int) -> bool:
        if self._faults.secure_download and op not in SECURE:
            self._fired["secure download"] += 1
            return False
        if op == Op.GET_SECURITY_INFO:
            return self._chip.security_info
        return op in self.dialect.known

    def _unsupported(self, op: int) -> bytes:
        if self.dialect is STUB:
            return self._refuse(op, INVALID)
        return self._reply(NO_OP, status=bytes((1, INVALID))) * UNSUPPORTED_ANSWERS

    def _obey(self, op: Op, data: bytes, checksum: int, baud: int) -> bytes:
        if op is Op.SYNC:
            self._events.note("sync", self.dialect.name)
            return self._reply(op, self.dialect.sync_value) * SYNC_ANSWERS
        for (wanted, code), left in self._faults.refuse.items():
            if wanted is op and left:
                self._faults.refuse[wanted, code] -= 1
                self._fired[f"{op.name} refused {code:#04x}"] += 1
                raise Refused(code)
        if op is Op.READ_REG:
            (at,) = struct.unpack("<I", data)
            return self._reply(op, self._registers.read(at, baud))
        if op in DATA_OPS:
            self._check(data, checksum)
        value, result = self._handlers[op](data)
        if self._faults.lost_answers[op]:
            self._faults.lost_answers[op] -= 1
            self._fired[f"{op.name} answer lost"] += 1
            return b""
        said = self._reply(op, value, result)
        return said + self._upload.begin() if self._upload is not None else said

    @staticmethod
    def _check(data: bytes, checksum: int) -> None:
        if functools.reduce(operator.xor, data[BLOCK_HEADER:], CHECKSUM_SEED) != checksum & 0xFF:
            raise Refused(CHECKSUM)

    def _reply(self, op: int, value: int = 0, result: bytes = b"", status: bytes = b"") -> bytes:
        body = result + status.ljust(self.dialect.status_bytes, b"\0")
        return slip.encode(HEADER.pack(ANSWER, op, len(body), value) + body)

    def _refuse(self, op: int, code: int) -> bytes:
        self._events.note("refused", f"{op:#04x} with {code:#04x}")
        if self._faults.silent:
            self._fired["silent"] += 1
            return b""
        if self.dialect is STUB:
            return self._reply(op, status=bytes((STUB_CODES.get(code, code), 0)))
        return self._reply(op, status=bytes((1, code)))

    # Memory, by which the stub comes ---------------------------------------------------------------

    def _mem_begin(self, data: bytes) -> tuple[int, bytes]:
        self._memory_left = struct.unpack_from("<I", data)[0]
        return 0, b""

    def _mem_data(self, data: bytes) -> tuple[int, bytes]:
        self._memory_left -= len(data) - BLOCK_HEADER
        return 0, b""

    def _mem_end(self, data: bytes) -> tuple[int, bytes]:
        stay, _entry = struct.unpack("<II", data)
        if stay:
            return 0, b""
        self.exit = "app" if self._memory_left or self._faults.no_stub else "stub"
        self._fired["no stub"] += self._faults.no_stub
        return 0, b""

    # Flash -----------------------------------------------------------------------------------------

    def _flash_begin(self, data: bytes) -> tuple[int, bytes]:
        return self._begin(data, compressed=False)

    def _defl_begin(self, data: bytes) -> tuple[int, bytes]:
        return self._begin(data, compressed=True)

    def _begin(self, data: bytes, *, compressed: bool) -> tuple[int, bytes]:
        size, blocks, block_bytes, at = struct.unpack_from("<IIII", data)
        erase = 0 if self.dialect is STUB else size
        if self.dialect is PLAIN_ROM:  # the size that it is told is only that of what it erases
            erase, size = min(plain_erase(at, size), len(self._flash) - at), blocks * block_bytes
        if size:
            self._events.note("write", f"{size} bytes at {at:#x}")
        self._download = Download(self._flash, at, size, compressed=compressed, erase=erase)
        return 0, b""

    def _flash_data(self, data: bytes) -> tuple[int, bytes]:
        if self._download is None:
            raise Refused(FAILED)
        self._download.block(struct.unpack_from("<II", data)[1], data[BLOCK_HEADER:])
        return 0, b""

    def _flash_end(self, data: bytes) -> tuple[int, bytes]:
        (stay,) = struct.unpack("<I", data)
        self._download = None
        if self.dialect is not STUB:
            self.exit = "app"
        elif not stay:
            self.exit = "loader"
        return 0, b""

    def _erase_flash(self, data: bytes) -> tuple[int, bytes]:
        self._events.note("erase", "all")
        self._flash.erase()
        return 0, b""

    def _erase_region(self, data: bytes) -> tuple[int, bytes]:
        at, size = struct.unpack("<II", data)
        self._events.note("erase", f"{size} bytes at {at:#x}")
        self._flash.erase(at, size)
        return 0, b""

    def _read_flash(self, data: bytes) -> tuple[int, bytes]:
        at, size, block, ahead = struct.unpack("<IIII", data)
        self._events.note("read", f"{size} bytes at {at:#x}")
        self._upload = _Upload(self._flash.read(at, size), block or SECTOR, ahead)
        return 0, b""

    def _read_slow(self, data: bytes) -> tuple[int, bytes]:
        at, size = struct.unpack("<II", data)
        return 0, self._flash.read(at, size).ljust(SLOW_BYTES, b"\0")

    def _md5(self, data: bytes) -> tuple[int, bytes]:
        at, size, _, _ = struct.unpack("<IIII", data)
        digest = hashlib.md5(self._flash.read(at, size), usedforsecurity=False)
        if self._faults.wrong_md5:
            self._faults.wrong_md5 -= 1
            self._fired["wrong MD5"] += 1
            digest.update(b"wrong")
        return 0, digest.digest() if self.dialect is STUB else digest.hexdigest().encode()

    # The rest --------------------------------------------------------------------------------------

    def _nothing(self, data: bytes) -> tuple[int, bytes]:
        return 0, b""

    def _write_reg(self, data: bytes) -> tuple[int, bytes]:
        for at, value, mask, _delay in struct.iter_unpack("<IIII", data):
            self._registers.write(at, value, mask)
        return 0, b""

    def _change_baud(self, data: bytes) -> tuple[int, bytes]:
        self.baud = struct.unpack_from("<I", data)[0]
        self._events.note("baud", f"{self.baud}")
        return 0, b""

    def _security_info(self, data: bytes) -> tuple[int, bytes]:
        flags = SECURE_FLAG if self._faults.secure_download else 0
        return 0, struct.pack("<IB7sII", flags, 0, bytes(7), self._chip.chip_id, 0)


class _Upload:
    """What the stub reads for the tool: blocks, some ahead of their acknowledgements, and their MD5."""

    def __init__(self, data: bytes, block: int, ahead: int) -> None:
        self.complete = False
        self._data = data
        self._block = block
        self._ahead = ahead * block
        self._sent = 0

    def begin(self) -> bytes:
        return self._more(0)

    def acknowledged(self, packet: bytes) -> bytes:
        got = int.from_bytes(packet, "little")
        if got < len(self._data):
            return self._more(got)
        self.complete = True
        return slip.encode(hashlib.md5(self._data, usedforsecurity=False).digest())

    def _more(self, got: int) -> bytes:
        end = min(len(self._data), got + self._ahead)
        blocks = range(self._sent, end, self._block)
        self._sent = max(self._sent, end)
        return b"".join(slip.encode(self._data[at : at + self._block]) for at in blocks)
