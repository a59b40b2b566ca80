"""The steps of an update, said to a board by way of the link process."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from construct import ConstructError, Container

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.errors import LinkError, UpdateRefused
from boardtalk.modules.iot_bridge.frames import Ota, OtaCode
from boardtalk.modules.iot_bridge.ota.keys import signed
from boardtalk.modules.iot_bridge.service import api
from boardtalk.sdk import ServiceError
from boardtalk.sdk.channel import Channel
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

HEARD_S: Final = 5.0
"""Within this a board that can be updated says how it is."""
DONE_S: Final = 120.0
"""Longest that a step takes: to look through all files, on a slow board."""
BUSY_S: Final = 0.5
LOOK_S: Final = 2.0
PIECES: Final = 4
"""Full frames of data in one request …"""
REQUESTS: Final = 3
"""… and requests under way: so much is always ready for the line, and other messages don't wait long."""
HEAD_BYTES: Final = frames.OtaAnswer.sizeof()

A = TypeVar("A", bound=api.Answer)


class Conversation:
    """With one board, as long as its session lasts. `converse` begins one."""

    def __init__(self, channel: Channel[api.AnyAnswer], board: str) -> None:
        self.board = board
        self._channel = channel
        self._waiting: dict[int, asyncio.Future[api.AnyAnswer]] = {}
        self._number = 0
        self._told: asyncio.Queue[bytes] = asyncio.Queue()

    async def begin(self, by: str) -> None:
        """Have the board for ourselves. Raises LinkError."""
        begun = await self._call(api.Update(board=self.board, by=by), api.Updating)
        self.uid, self.latched, self._piece_bytes = begun.uid, begun.latched, begun.piece_bytes

    async def stop(self, by: str) -> None:
        """Stop the robot, and have it say so. Raises LinkError."""
        stopped = await self._call(api.Stop(boards=(self.board,), by=by), api.Stopped)
        if not all(each.confirmed for each in stopped.stopped):
            raise LinkError(f"{self.board} has not confirmed that it stopped")
        self.latched = True

    async def dictionary(self) -> bytes:
        """What the board says that it can do."""
        return (await self._call(api.GetDictionary(board=self.board), api.DictionaryText)).data

    async def status(self) -> Container[Any]:
        """Which slot runs, as `frames.OtaStatus`.

        Raises:
            UpdateRefused: the board can't be updated over its link.
        """
        try:
            async with asyncio.timeout(HEARD_S):
                [body] = await self.ask(Ota.STATUS)
                return frames.OtaStatus.parse(body)
        except (TimeoutError, ConstructError, ValueError) as error:
            raise UpdateRefused(
                f"{self.board} does not know updates: `boardtalk ota install {self.board} FOLDER` puts its "
                "program into a slot, by its cable"
            ) from error

    async def decide(self, step: Ota, key: bytes) -> None:
        """Confirm the release that runs, or roll back from it. Raises UpdateRefused."""
        nonce = (await self.status()).nonce
        mac = signed(key, bytes([step]) + nonce.to_bytes(4, "little"))
        await self.ask(step, frames.OtaSigned.build({"step": step, "mac": mac}))

    async def ask(self, step: Ota, request: bytes = b"") -> list[bytes]:
        """Have a step done. Returns what the board tells of it, without heads.

        Raises:
            UpdateRefused: the board does not do it.
            LinkError: its session ended.
        """
        try:
            async with asyncio.timeout(DONE_S):
                while True:
                    await self.say(request or bytes([step]))
                    told: list[bytes] = []
                    while (code := await self._answer(step, told)) is None:
                        pass
                    if code is OtaCode.DONE:
                        return told
                    await asyncio.sleep(BUSY_S)  # with a step of somebody who has gone
        except TimeoutError as error:
            raise LinkError(f"{self.board} does not say what became of a step of its update") from error

    async def say(self, step: bytes) -> None:
        """Have the board begin a step."""
        await self._call(api.UpdateStep(step=step), api.Done)

    async def stream(self, data: bytes, sent: Callable[[int], None] = lambda _: None) -> None:
        """Send the data of the step before, as fast as the line takes them; `sent` is told of each part.

        Raises:
            UpdateRefused: the board can't write it.
            LinkError: its session ended.
        """
        size = min(PIECES * self._piece_bytes, api.MAX_UPDATE_BYTES)
        under_way: deque[tuple[asyncio.Future[api.AnyAnswer], int]] = deque()
        for at in range(0, len(data), size):
            part = data[at : at + size]
            under_way.append((self._send(api.UpdateStep(data=part)), len(part)))
            if len(under_way) >= REQUESTS:
                await self._sent(*under_way.popleft(), sent)
        while under_way:
            await self._sent(*under_way.popleft(), sent)

    async def _sent(
        self, answer: asyncio.Future[api.AnyAnswer], size: int, sent: Callable[[int], None]
    ) -> None:
        _expect(await answer, api.Done)
        sent(size)
        while not self._told.empty():
            self._refusal(self._told.get_nowait(), (Ota.FILE,))

    async def _answer(self, step: Ota, told: list[bytes]) -> OtaCode | None:
        """How a step ended; None: not yet. What the board tells of it is added to `told`."""
        data = await self._next()
        self._refusal(data, (step, Ota.FILE) if step is Ota.COMMIT else (step,))
        if step is Ota.BEGIN and data[0] == Ota.HAVE:
            told.append(data[HEAD_BYTES:])
        if data[0] != step:
            return None  # of a step of somebody who has gone
        if data[HEAD_BYTES:]:
            told.append(data[HEAD_BYTES:])
        return OtaCode.BUSY if data[1] == OtaCode.BUSY else OtaCode.DONE

    async def _next(self) -> bytes:
        """What the board says next. Raises LinkError: its session ended, and nothing comes any more."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    return await self._told.get()
            await self.say(bytes([Ota.STATUS]))  # fails if there is no session

    def _refusal(self, data: bytes, steps: tuple[Ota, ...]) -> None:
        """Raise UpdateRefused if it is one, of such a step; "" says that the session ended."""
        if len(data) < HEAD_BYTES:
            raise LinkError(f"{self.board}: the session ended")
        if data[1] == OtaCode.REFUSED and data[0] in steps:
            raise UpdateRefused(f"{self.board}: {data[HEAD_BYTES:].decode(errors='replace')}")

    # Requests to the link process ------------------------------------------------------------------

    async def _call(self, request: api.AnyRequest, kind: type[A]) -> A:
        return _expect(await self._send(request), kind)

    def _send(self, request: api.AnyRequest) -> asyncio.Future[api.AnyAnswer]:
        self._number += 1
        request.re = self._number
        answer = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        self._channel.send(request)
        return answer

    async def listen(self) -> None:
        """Take what comes, until the link process goes away."""
        try:
            async for answer in self._channel:
                waiting = self._waiting.pop(answer.re, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
                elif isinstance(answer, api.UpdateTold):
                    self._told.put_nowait(answer.data)
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ServiceError("the link process went away"))
                    waiting.exception()  # nobody may be waiting
            self._told.put_nowait(b"")


@asynccontextmanager
async def converse(state: Path, board: str, by: str) -> AsyncIterator[Conversation]:
    """Have a board for an update, as long as the context lasts.

    Raises:
        ServiceError: no gateway runs.
        LinkError: the board is away, or somebody else updates it.
    """
    channel: Channel[api.AnyAnswer] = await Channel.connect(state / api.SOCKET, api.AnyAnswer)
    talk = Conversation(channel, board)
    listener = asyncio.create_task(talk.listen(), name="listen to link.sock")
    try:
        await talk.begin(by)
        yield talk
    finally:
        await cancel_and_wait(listener)
        channel.close()


def _expect(answer: api.AnyAnswer, kind: type[A]) -> A:
    if isinstance(answer, api.Refused):
        raise LinkError(answer.reason)
    if not isinstance(answer, kind):
        raise ServiceError(f"the link process answered something else: {answer}")
    return answer
