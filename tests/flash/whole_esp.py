"""An ESP board as a person has it: its ROM's loader and MicroPython behind one port, a reset between them.

The two halves are real of their kind and know nothing of each other: what esptool writes stays in the
loader's flash, and what starts behind a reset is MicroPython's unix port, with a flash of its own.
"""

from __future__ import annotations

import asyncio
import os
import tty
from typing import Self

from boardtalk.hil.loaders.esp import EspBoard
from boardtalk.hil.loaders.wire import Signals, Wire
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.sdk.tasks import cancel_and_wait
from tests.flash.provisioning import HEAP


class WholeEsp(EspBoard):
    """An ESP32-C3 that waits in its loader."""

    def __init__(self, wire: Wire | None = None) -> None:
        super().__init__("esp32c3", wire)
        self.micropython = MicroPythonBoard(None, flash="littlefs", heap=HEAP, platform="esp32")
        self._runs: asyncio.Queue[bool] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        await self.micropython.__aenter__()
        await self.micropython.power_cut()
        self._line = os.open(self.micropython.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._line)
        self._power = asyncio.create_task(self._switch(), name="the program of an emulated ESP")
        self._speech = asyncio.create_task(self._speak(), name="what it says")
        return await super().__aenter__()

    async def __aexit__(self, *exc: object) -> None:
        await super().__aexit__(*exc)
        await cancel_and_wait(self._power, self._speech)
        os.close(self._line)
        await self.micropython.__aexit__(*exc)

    @property
    def _has_started(self) -> bool:
        """Whether it runs what is on its flash, and that begins as a program does."""
        return self.state == "app" and self.events.named("boot")[-1] == "app"

    async def power_on(self, *, loader: bool = True) -> None:
        """See `LoaderBoard`; without `loader` that is a press of its reset button."""
        await super().power_on(loader=loader)
        self._runs.put_nowait(self._has_started)

    def _take(self, data: bytes | Signals) -> bytes:
        if self._has_started and isinstance(data, bytes):
            os.write(self._line, data)
            return b""
        said = super()._take(data)
        self._runs.put_nowait(self._has_started)
        return said

    async def _switch(self) -> None:
        """A reset ends the program, or starts it."""
        while True:
            runs = await self._runs.get()
            if runs != self.micropython.running:
                await (self.micropython.power_on() if runs else self.micropython.power_cut())

    async def _speak(self) -> None:
        """What the program says goes to the tool."""
        loop = asyncio.get_running_loop()
        said: asyncio.Queue[bytes] = asyncio.Queue()
        loop.add_reader(self._line, lambda: said.put_nowait(os.read(self._line, 65536)))
        try:
            while True:
                await self.wire.send(await said.get())
        finally:
            loop.remove_reader(self._line)
