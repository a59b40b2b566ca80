"""Chips behind a debug probe (SWD): pyOCD, which runs as a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from boardtalk.flash import intel_hex, usb
from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.worker_flasher import WorkerFlasher, pieces

if TYPE_CHECKING:
    from boardtalk.boards import Definition
    from boardtalk.flash.protocol import Segment

MARKS: Final = {
    "nrf51822": (0x1000_0010, 0xFFFF_FFFF, 0x400),  # FICR.CODEPAGESIZE: nRF52 has larger pages
    "nrf52832": (0x1000_0100, 0xFFFF_FFFF, 0x52832),  # FICR.INFO.PART
    "nrf52833": (0x1000_0100, 0xFFFF_FFFF, 0x52833),
    "nrf52840": (0x1000_0100, 0xFFFF_FFFF, 0x52840),
    "rp2040": (0x4000_0000, 0x0FFF_FFFF, 0x0000_2927),  # SYSINFO.CHIP_ID without its revision
}
"""Where a chip tells which it is, from the makers' manuals: address, which bits, what they are."""


class PyocdFlasher(WorkerFlasher):
    """A chip that a probe halts and writes; its own loader is not needed."""

    rated: ClassVar[bool] = False
    package: ClassVar[str] = "pyocd"
    extra: ClassVar[str] = "pyocd"
    program: ClassVar[str] = "pyocd_worker.py"

    @classmethod
    def checked(cls, board: Definition, image: bytes, at: int) -> list[Segment]:
        """See `Flasher`. A raw image tells nothing; Intel HEX has checksums, and says where it goes."""
        if board.mcu not in MARKS:
            raise FlashError(
                Code.UNSUPPORTED,
                f"{board.name}: nothing here can make sure that a chip behind a probe is a {board.mcu}",
                f"there are {', '.join(MARKS)}",
            )
        if not image.lstrip().startswith(b":"):
            return pieces(image, at)
        return [piece for start, data in intel_hex.blocks(image) for piece in pieces(data, start)]

    @classmethod
    def restored(cls, board: Definition, image: bytes) -> list[Segment]:
        """See `Flasher`."""
        return pieces(image, board.flash.offset)

    @property
    def base(self) -> int:
        """See `WorkerFlasher`."""
        return self.board.flash.offset

    async def reset(self) -> None:
        """See `Flasher`."""
        await self.ask(do="reset")

    def opening(self) -> dict[str, Any]:
        """See `WorkerFlasher`. A probe is known by its serial number, which its serial port has too."""
        serial = usb.serial_number(self.port)
        if not serial:
            raise FlashError(
                Code.PORT_MISSING, f"{self.port}: it is not the port of a probe", "--port probe://SERIAL"
            )
        return {"probe": serial, "chip": self.board.mcu, "marks": MARKS}

    def failure(self, reason: str) -> FlashError:
        """See `WorkerFlasher`."""
        if reason.startswith("no probe"):
            return FlashError(
                Code.NO_LOADER,
                f"{self.port}: {reason}",
                "`pyocd list` shows what it sees, and why one can't be used; name one as --port probe://SERIAL",
            )
        return FlashError(Code.LINK, f"{self.port}: {reason}")
