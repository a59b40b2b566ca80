"""A port, and the board in it: opened again and again, whatever happens."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from boardtalk.modules.iot_bridge.device import HELLO_TIMEOUT_S, Device
from boardtalk.modules.iot_bridge.errors import (
    LinkError,
    NoHello,
    PortDenied,
    PortMissing,
    SessionLost,
    VersionError,
    WrongBoard,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from boardtalk.modules.iot_bridge.cache import DictionaryCache
    from boardtalk.modules.iot_bridge.service.board import Board
    from boardtalk.modules.iot_bridge.transports import Port

BACKOFF_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Pauses after one failure after another."""
MISSING_S: Final = 0.5
"""How often a port that is not there is tried again, in case nobody tells that it is back."""
LOOK_S: Final = 0.2
"""How often it is looked whether something else is in a port that has no board for us."""
HOPELESS_S: Final = 5.0
"""After what only a person can mend."""
PATIENCE_S: Final = (HELLO_TIMEOUT_S, 10.0, 30.0)
"""How long a port stays open though nobody answers: opening it again may reset the board."""

log = logging.getLogger(__name__)


class Fleet(Protocol):
    """Who knows the boards."""

    def find(self, device: Device, board: Board | None, uid: str) -> Board:
        """The board at the other end of a session. Raises WrongBoard."""
        ...


class Slot:
    """One port.

    Args:
        path: what people call it.
        transport: makes a fresh transport to it.
        fleet: tells which board it is.
        cache: of dictionaries.
        board: the one that belongs here; None = whichever it is.
        uid: its unique id; "" = any.
    """

    def __init__(
        self,
        path: str,
        transport: Callable[[], Port],
        fleet: Fleet,
        cache: DictionaryCache,
        *,
        board: Board | None = None,
        uid: str = "",
    ) -> None:
        self.path = path
        self._transport = transport
        self._fleet = fleet
        self._cache = cache
        self._board = board
        self._uid = uid
        self._failures = 0
        self._unanswered = 0
        self._said = ""
        self._at_prompt = False
        """The board's program ended, and nobody had the port since."""
        self._met = False
        """A board answered here, and nobody had the port since."""
        self._ours = asyncio.Event()
        """The port is not lent."""
        self._ours.set()
        self.lent = ""
        """To whom it is lent; "": it is not."""
        self._closed = asyncio.Event()
        self._closed.set()
        self._use = asyncio.timeout(None)
        """Ends when somebody borrows the port."""

    @property
    def trouble(self) -> str:
        """Why there is no board to talk to; "" if there is one, or nothing is known yet."""
        return self._said

    async def run(self) -> None:
        """Keep the board connected until cancelled."""
        while True:
            self._closed.set()
            await self._ours.wait()
            self._closed.clear()
            self._use = asyncio.timeout(None)
            with suppress(TimeoutError):
                async with self._use:
                    await self._connect()

    async def lend(self, to: str) -> None:
        """Close the port and leave it alone until `take_back`.

        Raises:
            LinkError: it is lent already.
        """
        if not self._ours.is_set():
            raise LinkError(f"{self.path} is lent already")
        self._ours.clear()
        self.lent = to
        try:
            if not self._closed.is_set():
                self._use.reschedule(0)
            await self._closed.wait()
        except BaseException:
            self.take_back()
            raise
        self._at_prompt = self._met = False  # who has the port now may leave it as he likes
        self._report(LinkError(f"{self.path}: lent to {to}"))

    def take_back(self) -> None:
        """Use the port again."""
        self.lent = ""
        self._ours.set()

    async def _connect(self) -> None:
        """A session, and the pause behind it."""
        try:
            await self._session()
        except LinkError as error:
            self._report(error)
            await self._pause(error)
        except Exception as error:
            log.exception("port %s", self.path)
            self._report(LinkError(f"{self.path}: a fault in the gateway: {error!r}"))
            await self._rest(HOPELESS_S)

    async def _session(self) -> None:
        patience = PATIENCE_S[min(self._unanswered, len(PATIENCE_S) - 1)]
        port = self._transport()
        prompt, self._at_prompt = self._at_prompt, False
        if prompt:
            log.warning("%s: the board is at its prompt; its program is started again", self.path)
        # One that says nothing may be at a prompt too: the raw one shows nothing. A client takes no notice.
        restart = prompt or (self._met and self._unanswered > 0)
        async with Device(port, self._cache, patience_s=patience, restart=restart) as device:
            board = self._fleet.find(device, self._board, self._uid)
            hello = device.hello
            log.info("%s: %s, board %s, %s", self.path, board.name, hello.uid, hello.firmware)
            self._failures = self._unanswered = 0
            self._said = ""
            self._met = True
            try:
                await board.serve(device)
            finally:
                # A Ctrl-C in a frame ends what has not yet become the client: a board that starts after a
                # reset, in the middle of a session, may stay there.
                self._at_prompt = device.at_prompt

    async def _rest(self, pause: float) -> None:
        """Wait; no longer when something else is in the port: it may be the right board."""
        there = _device(self.path)
        for _ in range(max(1, round(pause / LOOK_S))):
            await asyncio.sleep(min(pause, LOOK_S))
            if _device(self.path) != there:
                return

    def _report(self, error: LinkError) -> None:
        """Say what is wrong, once."""
        self._failures += 1
        self._unanswered += isinstance(error, NoHello)
        if self._board is not None:
            self._board.away(self.path, str(error))
        if str(error) != self._said:
            self._said = str(error)
            log.warning("%s", error)

    async def _pause(self, error: LinkError) -> None:
        """Wait until another attempt is worth it."""
        if isinstance(error, PortMissing | PortDenied):
            await self._until_there(MISSING_S if isinstance(error, PortMissing) else HOPELESS_S)
        elif isinstance(error, WrongBoard | VersionError):
            await self._rest(HOPELESS_S)
        elif isinstance(error, SessionLost):
            await self._rest(BACKOFF_S[0])
        else:
            await self._rest(BACKOFF_S[min(self._failures, len(BACKOFF_S)) - 1])

    async def _until_there(self, at_most: float) -> None:
        try:
            async with asyncio.timeout(at_most):
                await self._transport().appears()
                await asyncio.sleep(BACKOFF_S[0])  # udev may not be done with it
        except TimeoutError:
            pass


def _device(path: str) -> tuple[int, int] | None:
    """Which device is behind a path now; None: none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a path may be anything that a transport opens
    except OSError:
        return None
    return found.st_rdev, found.st_ino
