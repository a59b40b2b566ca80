"""ESP chips in their ROM's loader: esptool, which runs as a worker."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import msgspec

from boardtalk.flash import esp_image
from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.protocol import Flasher, Found, Segment
from boardtalk.sdk.leash import leashed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import TracebackType

    from boardtalk.boards import Definition

WORKER: Final = Path(__file__).with_name("esp_worker.py")
SEGMENT_BYTES: Final = 64 * 1024
ROM_BAUD: Final = 115_200
SILENCE_S: Final = 180.0
"""esptool gives up by itself long before; erasing 16 MB takes longest."""
END_S: Final = 2.0
MAX_LINE_BYTES: Final = 1 << 20


class _Said(msgspec.Struct, tag_field="ev"):
    """Base of what the worker says."""


class _Found(_Said, tag="found"):
    chip: str
    id: str
    flash_bytes: int


class _Progress(_Said, tag="progress"):
    part: float


class _Digest(_Said, tag="digest"):
    md5: str


class _Data(_Said, tag="data"):
    data: bytes


class _Done(_Said, tag="done"):
    pass


class _Failed(_Said, tag="failed"):
    reason: str


_Answer = _Found | _Progress | _Digest | _Data | _Done | _Failed


class EspFlasher(Flasher):
    """ESP8266, ESP32 and those that came after."""

    _worker: asyncio.subprocess.Process
    _found: Found

    @classmethod
    def checked(cls, board: Definition, image: bytes, at: int) -> list[Segment]:
        """See `Flasher`."""
        esp_image.check(image, board.mcu, at)
        return _pieces(image, at)

    @classmethod
    def restored(cls, board: Definition, image: bytes) -> list[Segment]:  # noqa: ARG003 - all are alike
        """See `Flasher`."""
        return _pieces(image, 0)

    async def __aenter__(self) -> Self:
        """See `Flasher`. The loader is entered by the control lines, or it listens already."""
        if importlib.util.find_spec("esptool") is None:
            raise FlashError(Code.UNSUPPORTED, "esptool is not installed", 'pip install "boardtalk[esp]"')
        self._worker = await asyncio.create_subprocess_exec(
            *leashed(sys.executable, str(WORKER)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=MAX_LINE_BYTES,
            start_new_session=True,  # Ctrl-C is for us to hear: a block is finished first
        )
        try:
            self._found = await self._open()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See `Flasher`."""
        await self._end()

    async def probe(self) -> Found:
        """See `Flasher`."""
        return self._found

    async def holds(self, segment: Segment) -> bool:
        """See `Flasher`."""
        data = self._as_written(segment)
        answer = await self._ask(do="digest", at=segment.at, size=len(data))
        assert isinstance(answer, _Digest)  # noqa: S101 - so says the worker
        return answer.md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()

    async def write(self, segment: Segment) -> AsyncGenerator[int, None]:
        """See `Flasher`."""
        self._send(do="write", at=segment.at, data=self._as_written(segment))
        while isinstance(answer := await self._answer(), _Progress):
            yield int(answer.part * len(segment.data))
        yield len(segment.data)

    async def erase(self) -> None:
        """See `Flasher`."""
        await self._ask(do="erase")

    async def read(self, size: int) -> AsyncGenerator[bytes, None]:
        """See `Flasher`."""
        for at in range(0, size, SEGMENT_BYTES):
            answer = await self._ask(do="read", at=at, size=min(SEGMENT_BYTES, size - at))
            assert isinstance(answer, _Data)  # noqa: S101 - so says the worker
            yield answer.data

    async def reset(self) -> None:
        """See `Flasher`."""
        # without control lines it stays in the ROM's loader, where the next one finds it
        await self._ask(do="reset", how="hard-reset" if self._lines else "no-reset")

    def _as_written(self, segment: Segment) -> bytes:
        if self.board.flash.flash_size == "detect" and segment.at == self.board.flash.offset:
            return esp_image.with_flash_size(segment.data, self._found.flash_bytes)
        return segment.data

    async def _open(self) -> Found:
        answer = await self._ask(
            do="open",
            port=self.port,
            baud=self.baud,
            before="default-reset" if self._lines else "no-reset",
            # without control lines a loader that was left in the middle still speaks at the higher rate
            rates=[ROM_BAUD] if self._lines else [ROM_BAUD, self.board.flash.baud],
            attempts=4 if self._lines else 2,
        )
        assert isinstance(answer, _Found)  # noqa: S101 - so says the worker
        return Found(answer.chip, answer.id, answer.flash_bytes)

    @property
    def _lines(self) -> bool:
        """Whether the port's control lines reset the board."""
        return "dtr-rts" in self.board.bootloader.entry

    async def _ask(self, **request: object) -> _Answer:
        self._send(**request)
        return await self._answer()

    def _send(self, **request: object) -> None:
        assert self._worker.stdin is not None  # noqa: S101 - a pipe was asked for
        self._worker.stdin.write(msgspec.json.encode(request) + b"\n")

    async def _answer(self) -> _Answer:
        """What the worker says next.

        Raises:
            FlashError: it failed, or died.
        """
        assert self._worker.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            async with asyncio.timeout(SILENCE_S):
                line = await self._worker.stdout.readline()
        except TimeoutError as error:
            raise FlashError(Code.LINK, f"{self.port}: esptool hangs") from error
        if not line:
            raise FlashError(Code.LINK, f"{self.port}: esptool has died")
        answer: _Answer = msgspec.json.decode(line, type=_Answer)
        if isinstance(answer, _Failed):
            raise self._failure(answer.reason)
        return answer

    def _failure(self, reason: str) -> FlashError:
        """An error of esptool's, of which there is only a text, as one of ours."""
        if "secure download mode" in reason:
            return FlashError(Code.UNSUPPORTED, f"{self.port}: {reason}")
        if "Could not open" in reason:
            return FlashError(Code.PORT_BUSY, f"{self.port}: can't be opened ({reason})")
        if "Failed to connect" in reason or "No serial data received" in reason:
            return FlashError(
                Code.NO_LOADER, f"{self.port}: no ESP loader answers", self.board.bootloader.hint
            )
        if "MD5" in reason or "region is empty" in reason:
            return FlashError(Code.VERIFY, f"{self.port}: what is on the flash is not what was written")
        return FlashError(Code.LINK, f"{self.port}: {reason}")

    async def _end(self) -> None:
        """Close the pipe, which ends the worker; kill it if it does not."""
        assert self._worker.stdin is not None  # noqa: S101 - a pipe was asked for
        self._worker.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                await self._worker.wait()
        if self._worker.returncode is None:
            self._worker.kill()
            await self._worker.wait()


def _pieces(image: bytes, at: int) -> list[Segment]:
    starts = range(0, len(image), SEGMENT_BYTES)
    return [Segment(at + start, image[start : start + SEGMENT_BYTES]) for start in starts]
