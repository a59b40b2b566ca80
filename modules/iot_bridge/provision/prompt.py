"""A board's prompt, by mpremote: code that it runs, and files for it.

What is in the files is in memory only, on no disk of this machine and in no argument: some are secrets.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Final

from boardtalk.modules.iot_bridge.language.words import clean
from boardtalk.modules.iot_bridge.provision.snippets import MARK
from boardtalk.modules.iot_bridge.workbench.loan import MPREMOTE
from boardtalk.sdk.leash import leashed
from boardtalk.sdk.provision import ProvisionError
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

SILENT_S: Final = 15.0
"""A board without power says nothing, and mpremote would wait for ever."""
SLOWEST: Final = 2000
"""Bytes a second that a line carries at least."""
COPIED: Final = "cp "
"""mpremote says so before each file."""


class Prompt:
    """The prompt at a port.

    Args:
        port: as mpremote takes it.
        stop: set when nobody wants it any more.
    """

    def __init__(self, port: str, stop: asyncio.Event) -> None:
        self._port = port
        self._stop = stop
        self._met = False

    async def run(self, code: str, *, anew: bool = False) -> list[Any]:
        """Run code on the board; what it told.

        Args:
            code: what.
            anew: after a soft reset, so that all of its memory is free.

        Raises:
            ProvisionError: nobody answers, or the code fails.
        """
        words = () if anew else ("resume",)
        return [told async for told in self._told((*words, "exec", code), ()) if not isinstance(told, str)]

    async def copy(self, files: Mapping[str, bytes], code: str) -> AsyncGenerator[str | Any, None]:
        """Copy files to the board; what is there already is not sent. Then run code.

        Args:
            files: by their paths on the board.
            code: what is run behind the last one.

        Yields:
            The path of each file before it is sent; then what the code told.

        Raises:
            ProvisionError: the line or the power failed, or somebody has stopped it.
        """
        with ExitStack() as stack:
            words: list[str] = ["resume"]
            passed = []
            for path, data in files.items():
                descriptor = os.memfd_create("boardtalk")
                stack.callback(os.close, descriptor)
                with os.fdopen(os.dup(descriptor), "wb") as file:
                    file.write(data)
                passed.append(descriptor)
                words += ["cp", f"/proc/self/fd/{descriptor}", f":{path}", "+"]
            patience = max(map(len, files.values()), default=0) / SLOWEST
            async for told in self._told((*words, "exec", code), passed, patience):
                yield told

    async def _told(
        self, words: Sequence[str], passed: Sequence[int], patience: float = 0.0
    ) -> AsyncGenerator[str | Any, None]:
        process = await asyncio.create_subprocess_exec(
            *leashed(*MPREMOTE, "connect", self._port, *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            pass_fds=passed,
            start_new_session=True,
        )
        assert process.stdout is not None  # noqa: S101 - asked for
        last = ""
        try:
            while line := await self._line(process.stdout, SILENT_S + patience):
                if line.startswith(MARK):
                    self._met = True
                    yield json.loads(line.removeprefix(MARK))
                elif line.startswith(COPIED):
                    yield line.strip().rpartition(" :")[2]
                elif line.strip():
                    last = line.strip()
            if await process.wait():
                raise self._failed(last)
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _line(self, stream: asyncio.StreamReader, within: float) -> str:
        """The next one; "" at the end. Raises ProvisionError."""
        stopped = asyncio.ensure_future(self._stop.wait())
        reading = asyncio.ensure_future(stream.readline())
        try:
            await asyncio.wait({stopped, reading}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return reading.result().decode(errors="replace")
            if stopped.done():
                raise ProvisionError(
                    "cancelled", f"{self._port}: stopped", "the same command goes on from here"
                )
            raise self._silent()
        finally:
            await cancel_and_wait(stopped, reading)

    def _silent(self) -> ProvisionError:
        """Nobody is there, or nobody any more."""
        if self._met:
            return ProvisionError(
                "link",
                f"{self._port}: the board has fallen silent",
                "has it power? then the same command goes on from here",
            )
        return ProvisionError(
            "no-loader",
            f"{self._port}: no MicroPython answers there",
            "`boardtalk flash write` puts it on; if it is there: press the board's reset button",
        )

    def _failed(self, said: str) -> ProvisionError:
        """What mpremote's last line means."""
        said = clean(said.removeprefix("mpremote: "))
        if "raw repl" in said:
            return self._silent()
        if "in use" in said or "failed to access" in said:
            return ProvisionError("port-busy", f"{self._port}: another program has it", "end that first")
        return ProvisionError("link", f"{self._port}: {said or 'mpremote failed'}")
