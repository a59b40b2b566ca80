"""A gateway with a page, and boards on a bench: lamps, one with releases, one that waits, an empty one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.loaders.esp import EspBoard
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import ask
from boardtalk.sdk import Role
from tests.flash.bench import C3
from tests.flash.test_from_chat import put_image
from tests.flash.test_new_boards import KIND
from tests.flash.whole_esp import WholeEsp
from tests.ota.rig import HEAP, UID, flash, program

from .house import House

T = TypeVar("T")
WAITING = "c0ffee05"
CONF = """\
log_level = warning
listen {{
    port = 0
}}
module flash {{
    users = ana, vera
    images = {folder}/images
    releases = {folder}/releases
    boards = lamp0: {kind}, lamp1: {kind}
    programs = torch: torches
    new = {new}
}}
module iot_bridge {{
}}
"""
BOARD = "board {name} {{\n    port = {port}\n}}\n"
PEOPLE = {"ana": Role.OPERATOR, "adam": Role.ADMIN, "vera": Role.VIEWER}


class Workshop:
    """The boards live in a thread with a loop of its own: Playwright's runs in the test's.

    Args:
        folder: for all of it. What is in its ``sitecustomize.py`` makes the gateway see USB ports.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="boards")
        self._boards = AsyncExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        state = self.folder / "state"
        state.mkdir()
        self.image = put_image(self.folder)
        program(self.folder / "releases" / "torches" / "2.0", "2")
        self.lamps = [self.on_bench(EspBoard("esp32c3", mac=bytes([2, 0, 0, 0, 0, at]))) for at in range(2)]
        robot = flash(self.folder / "flash", state)
        torch = self.on_bench(MicroPythonBoard(robot, uid=UID, heap=HEAP, flash="littlefs"))
        self.waiting = self.on_bench(EmulatedBoard("rover", uid=WAITING))
        self.empty = self.on_bench(WholeEsp())
        ports = {"lamp0": self.lamps[0].port, "lamp1": self.lamps[1].port, "torch": torch.port}
        blocks = "".join(BOARD.format(name=name, port=port) for name, port in ports.items())
        self.house = House(self.folder, CONF.format(folder=self.folder, kind=C3, new=KIND) + blocks)
        return self

    def open(self) -> None:
        """Start the gateway, with people who can log in."""
        self.house.__enter__()
        for name, role in PEOPLE.items():
            self.wait(self.house.add_with_password(name, role))
        self.wait(self._found())

    async def _found(self) -> None:
        """Wait until the gateway has been at all ports."""
        async with asyncio.timeout(40):
            while True:
                answer = await ask(self.house.state, api.ListBoards(re=1))
                assert isinstance(answer, api.Boards)
                if {"lamp0", "lamp1", "torch"} <= {board.name for board in answer.boards if board.port}:
                    return
                await asyncio.sleep(0.1)

    def __exit__(self, *exc: object) -> None:
        try:
            self.house.__exit__(*exc)
        finally:
            self.wait(self._boards.aclose())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def on_bench(self, board: AbstractAsyncContextManager[T]) -> T:
        """Have a board until the end."""
        return self.wait(self._boards.enter_async_context(board))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine returns, run beside the boards."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)
