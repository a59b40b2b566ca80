"""ESP chips in their ROM's loader: esptool, which runs as a worker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from boardtalk.flash import esp_image
from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.worker_flasher import WorkerFlasher, pieces

if TYPE_CHECKING:
    from boardtalk.boards import Definition
    from boardtalk.flash.protocol import Segment

ROM_BAUD: Final = 115_200


class EspFlasher(WorkerFlasher):
    """ESP8266, ESP32 and those that came after."""

    package: ClassVar[str] = "esptool"
    extra: ClassVar[str] = "esp"
    program: ClassVar[str] = "esp_worker.py"

    @classmethod
    def checked(cls, board: Definition, image: bytes, at: int) -> list[Segment]:
        """See `Flasher`."""
        esp_image.check(image, board.mcu, at)
        return pieces(image, at)

    @classmethod
    def restored(cls, board: Definition, image: bytes) -> list[Segment]:  # noqa: ARG003 - all are alike
        """See `Flasher`."""
        return pieces(image, 0)

    async def reset(self) -> None:
        """See `Flasher`."""
        # without control lines it stays in the ROM's loader, where the next one finds it
        await self.ask(do="reset", how="hard-reset" if self._lines else "no-reset")

    def as_written(self, segment: Segment) -> bytes:
        """See `WorkerFlasher`."""
        if self.board.flash.flash_size == "detect" and segment.at == self.board.flash.offset:
            return esp_image.with_flash_size(segment.data, self._found.flash_bytes)
        return segment.data

    def opening(self) -> dict[str, Any]:
        """See `WorkerFlasher`. The loader is entered by the control lines, or it listens already."""
        return {
            "port": self.port,
            "baud": self.baud,
            "before": "default-reset" if self._lines else "no-reset",
            # without control lines a loader that was left in the middle still speaks at the higher rate
            "rates": [ROM_BAUD] if self._lines else [ROM_BAUD, self.board.flash.baud],
        }

    def failure(self, reason: str) -> FlashError:
        """See `WorkerFlasher`."""
        if "secure download mode" in reason:
            return FlashError(Code.UNSUPPORTED, f"{self.port}: {reason}")
        if "Could not open" in reason and "://" not in self.port and not Path(self.port).exists():
            return FlashError(Code.PORT_MISSING, f"{self.port}: the port has vanished", "plug the board in")
        if "Could not open" in reason:
            return FlashError(Code.PORT_BUSY, f"{self.port}: can't be opened ({reason})")
        if "Failed to connect" in reason or "No serial data received" in reason:
            return FlashError(
                Code.NO_LOADER, f"{self.port}: no ESP loader answers", self.board.bootloader.hint
            )
        if "MD5" in reason or "region is empty" in reason:
            return FlashError(Code.VERIFY, f"{self.port}: what is on the flash is not what was written")
        return FlashError(Code.LINK, f"{self.port}: {reason}")

    @property
    def _lines(self) -> bool:
        """Whether the port's control lines reset the board."""
        return "dtr-rts" in self.board.bootloader.entry
