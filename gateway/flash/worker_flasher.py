"""Boards that are flashed by somebody else's library, in a process of its own behind a pipe of JSON lines.

Such libraries keep log and progress for the whole process, so that four boards could not be told apart; what
crashes or hangs takes nothing along; and their licences are their own.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import sys
from abc import abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import msgspec

from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.protocol import Flasher, Found, Segment
from boardtalk.sdk.leash import leashed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

SEGMENT_BYTES: Final = 64 * 1024
SILENCE_S: Final = 180.0
"""They give up by themselves long before; erasing 16 MB takes longest."""
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


class WorkerFlasher(Flasher):
    """A board behind a worker."""

    package: ClassVar[str]
    """What the worker imports."""
    extra: ClassVar[str]
    """The extra of boardtalk that brings it."""
    program: ClassVar[str]
    """The worker's file, beside this one."""
    _worker: asyncio.subprocess.Process
    _found: Found

    @property
    def base(self) -> int:
        """The address of the flash."""
        return 0

    @abstractmethod
    def opening(self) -> dict[str, Any]:
        """What the worker is told to find the board. Raises FlashError: nothing says which one is meant."""

    @abstractmethod
    def failure(self, reason: str) -> FlashError:
        """The library's error, of which there is only a text, as one of ours."""

    def as_written(self, segment: Segment) -> bytes:
        """The bytes of a piece as they go onto the flash."""
        return segment.data

    async def __aenter__(self) -> Self:
        """See `Flasher`."""
        if importlib.util.find_spec(self.package) is None:
            raise FlashError(
                Code.UNSUPPORTED, f"{self.package} is not installed", f'pip install "boardtalk[{self.extra}]"'
            )
        opening = self.opening()
        self._worker = await asyncio.create_subprocess_exec(
            *leashed(sys.executable, "-P", str(Path(__file__).with_name(self.program))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=MAX_LINE_BYTES,
            start_new_session=True,  # Ctrl-C is for us to hear: a block is finished first
        )
        try:
            answer = await self.ask(do="open", **opening)
            assert isinstance(answer, _Found)  # noqa: S101 - so says the worker
            self._found = Found(answer.chip, answer.id, answer.flash_bytes)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """See `Flasher`."""
        await self._end()

    async def probe(self) -> Found:
        """See `Flasher`."""
        return self._found

    async def holds(self, segment: Segment) -> bool:
        """See `Flasher`."""
        data = self.as_written(segment)
        answer = await self.ask(do="digest", at=segment.at, size=len(data))
        assert isinstance(answer, _Digest)  # noqa: S101 - so says the worker
        return answer.md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()

    async def write(self, segment: Segment) -> AsyncGenerator[int, None]:
        """See `Flasher`."""
        self._send(do="write", at=segment.at, data=self.as_written(segment))
        while isinstance(answer := await self._answer(), _Progress):
            yield int(answer.part * len(segment.data))
        yield len(segment.data)

    async def erase(self) -> None:
        """See `Flasher`."""
        await self.ask(do="erase")

    async def read(self, size: int) -> AsyncGenerator[bytes, None]:
        """See `Flasher`."""
        for at in range(0, size, SEGMENT_BYTES):
            answer = await self.ask(do="read", at=self.base + at, size=min(SEGMENT_BYTES, size - at))
            assert isinstance(answer, _Data)  # noqa: S101 - so says the worker
            yield answer.data

    async def ask(self, **request: object) -> _Answer:
        """Have the worker do something. Raises FlashError: it failed, or died."""
        self._send(**request)
        return await self._answer()

    def _send(self, **request: object) -> None:
        assert self._worker.stdin is not None  # noqa: S101 - a pipe was asked for
        self._worker.stdin.write(msgspec.json.encode(request) + b"\n")

    async def _answer(self) -> _Answer:
        assert self._worker.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            async with asyncio.timeout(SILENCE_S):
                line = await self._worker.stdout.readline()
        except TimeoutError as error:
            raise FlashError(Code.LINK, f"{self.port}: {self.package} hangs") from error
        if not line:
            raise FlashError(Code.LINK, f"{self.port}: {self.package} has died")
        answer: _Answer = msgspec.json.decode(line, type=_Answer)
        if isinstance(answer, _Failed):
            raise self.failure(answer.reason)
        return answer

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


def pieces(image: bytes, at: int) -> list[Segment]:
    """An image in pieces of which each is written, compared and repeated by itself."""
    starts = range(0, len(image), SEGMENT_BYTES)
    return [Segment(at + start, image[start : start + SEGMENT_BYTES]) for start in starts]
