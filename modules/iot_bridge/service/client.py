"""The gateway's end of ``link.sock``: finds or starts the link process and talks to it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.service import api
from boardtalk.sdk import ServiceError
from boardtalk.sdk.channel import Channel
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

SERVICE: Final = "boardtalk.modules.iot_bridge.service"
START_TIMEOUT_S: Final = 10.0
ANSWER_TIMEOUT_S: Final = 5.0
"""Longest wait for an answer: a stop or re-arm takes a second at most."""
END_TIMEOUT_S: Final = 5.0
EVENTS: Final = 1000
"""Events that may wait here; then the link process keeps them, and cuts us off beyond 1 MB."""

Connection = Channel[api.AnyAnswer]


async def ask(state: Path, request: api.AnyRequest) -> api.AnyAnswer:
    """One request on a connection of its own, and its answer (perhaps `Refused`).

    Raises:
        ServiceError: there is no link process on this state folder, or it does not answer.
    """
    channel: Connection = await Channel.connect(state / api.SOCKET, api.AnyAnswer)
    try:
        channel.send(request)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            answer = await channel.receive()
    except TimeoutError as error:
        raise ServiceError(f"{state / api.SOCKET}: the link process does not answer") from error
    finally:
        channel.close()
    if answer is None:
        raise ServiceError(f"{state / api.SOCKET}: the link process hung up")
    return answer


class LinkClient:
    """A connection to the link process, attached as the gateway.

    Commands, renewals, cancels and set-points are sent without waiting; what becomes of them comes
    as events. Everything else is a call that returns its answer.
    """

    def __init__(self, channel: Connection) -> None:
        self.boards: tuple[api.BoardChanged, ...] = ()
        """All boards, as they were on attaching."""
        self.pid = 0
        """Of the link process."""
        self.gone = False
        """Whether it is: then only what it has told before may still come."""
        self._channel = channel
        self._calls: dict[int, asyncio.Future[api.AnyAnswer]] = {}
        self._number = 0
        self._events: asyncio.Queue[api.AnyAnswer | None] = asyncio.Queue(EVENTS)
        self._listener = asyncio.create_task(self._listen(), name="listen to link.sock")

    @classmethod
    async def start(
        cls,
        state: Path,
        boards: Iterable[api.WantedBoard],
        *,
        adopt_all: bool = False,
        usb: Iterable[tuple[int, int]] = (),
    ) -> LinkClient:
        """Find the link process of a state folder, or start it, and attach to it.

        Args:
            state: the gateway's state folder.
            boards: those that the gateway knows; their ports are opened from now on.
            adopt_all: take other boards too, under the names that they declare.
            usb: (vendor, product) of USB ports that may be opened to look for boards.

        Raises:
            ServiceError: it does not start, or another gateway is attached to it.
        """
        client = cls(await _find_or_launch(state))
        try:
            attached = await client._call(
                api.Attach(boards=tuple(boards), adopt_all=adopt_all, usb=tuple(usb))
            )
        except LinkError as error:
            await client.close(shutdown=False)
            raise ServiceError(f"{state}: {error}") from error
        except BaseException:
            await client.close(shutdown=False)
            raise
        assert isinstance(attached, api.Attached)  # noqa: S101 - or `_call` had raised
        client.boards, client.pid = attached.boards, attached.pid
        return client

    async def __aenter__(self) -> Self:
        """Already started."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """`close`."""
        await self.close()

    async def close(self, *, shutdown: bool = True) -> None:
        """Leave. With `shutdown` the link process ends too, and motions end with their leases."""
        with suppress(ServiceError, TimeoutError):
            if shutdown:
                self._channel.send(api.Shutdown())
                async with asyncio.timeout(END_TIMEOUT_S):
                    await asyncio.shield(self._listener)
                    await ended(self.pid)
        await cancel_and_wait(self._listener)
        self._channel.close()

    async def events(self) -> AsyncIterator[api.AnyAnswer]:
        """Everything that happens, until the link process goes away. One reader only."""
        while (event := await self._events.get()) is not None:
            yield event

    # Without waiting; each raises ServiceError if the link process is gone. ----------------------

    def command(self, command: api.Command) -> None:
        """Carry out a command; `Progress` and one `Result` follow."""
        command.at = time.monotonic()
        self._channel.send(command)

    def renew(self, board: str, id_: int, lease_ms: int) -> None:
        """The lease of a running motion, again."""
        self._channel.send(api.Renew(board=board, id=id_, lease_ms=lease_ms, at=time.monotonic()))

    def cancel(self, board: str, id_: int) -> None:
        """End a running command."""
        self._channel.send(api.Cancel(board=board, id=id_))

    def set_point(self, board: str, index: int, lease_ms: int, values: bytes) -> None:
        """Live values for a control channel."""
        at = time.monotonic()
        point = api.SetPoint(board=board, index=index, lease_ms=lease_ms, values=values, at=at)
        self._channel.send(point)

    # Calls; each raises LinkError if refused, ServiceError if the link process is gone. -----------

    async def rearm(self, board: str, by: str) -> None:
        """Let a stopped board move again."""
        await self._call(api.Rearm(board=board, by=by))

    async def stop(self, board: str, by: str) -> bool:
        """Stop a board; whether it has confirmed. Who speaks for people's `stop` does not come this way."""
        answer = await self._call(api.Stop(boards=(board,), by=by))
        assert isinstance(answer, api.Stopped)  # noqa: S101 - or `_call` had raised
        return all(each.confirmed for each in answer.stopped)

    async def adopt(self, uid: str, name: str) -> None:
        """Give a waiting board a name, for good."""
        await self._call(api.Adopt(uid=uid, name=name))

    async def list_boards(self) -> tuple[api.BoardChanged, ...]:
        """All boards, with their clocks and counters."""
        answer = await self._call(api.ListBoards())
        assert isinstance(answer, api.Boards)  # noqa: S101 - or `_call` had raised
        return answer.boards

    async def dictionary(self, board: str) -> bytes:
        """A board's dictionary, as it sent it."""
        answer = await self._call(api.GetDictionary(board=board))
        assert isinstance(answer, api.DictionaryText)  # noqa: S101 - or `_call` had raised
        return answer.data

    async def _call(self, request: api.AnyRequest) -> api.AnyAnswer:
        self._number += 1
        request.re = self._number
        answer: asyncio.Future[api.AnyAnswer] = asyncio.get_running_loop().create_future()
        self._calls[self._number] = answer
        try:
            self._channel.send(request)
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                got = await answer
        except TimeoutError as error:
            raise ServiceError("the link process does not answer") from error
        finally:
            del self._calls[request.re]
        if isinstance(got, api.Refused):
            raise LinkError(got.reason)
        return got

    async def _listen(self) -> None:
        try:
            async for answer in self._channel:
                call = self._calls.get(answer.re)
                if call is None:
                    await self._events.put(answer)
                elif not call.done():
                    call.set_result(answer)
        except ServiceError:
            self._channel.close()
        finally:
            self.gone = True
            for call in self._calls.values():
                if not call.done():
                    call.set_exception(ServiceError("the link process went away"))
        await self._events.put(None)


async def ended(pid: int) -> None:
    """Wait until a process has ended that is not our child."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(process, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process)
        os.close(process)


async def _find_or_launch(state: Path) -> Connection:
    path = state / api.SOCKET
    try:
        return await Channel.connect(path, api.AnyAnswer)
    except ServiceError:
        complaint = await _launch(state)
    try:
        return await Channel.connect(path, api.AnyAnswer)
    except ServiceError as error:
        raise ServiceError(f"the link process does not start: {complaint or error}") from error


async def _launch(state: Path) -> str:
    """Start the link process; it runs on when we end. Returns its complaint; "" if it listens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", SERVICE, "--state", state, "--detach",
        stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            _, said = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"nothing heard of it within {START_TIMEOUT_S:g} s"
    return said.decode(errors="replace").strip()
