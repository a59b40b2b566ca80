"""Serves `link.sock`: whoever may open it may stop boards; one gateway attaches and hears everything."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
from collections import OrderedDict
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.feed import Feed
from boardtalk.modules.iot_bridge.frames import Outcome
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.broker import Broker
from boardtalk.modules.iot_bridge.service.fleet import Fleet
from boardtalk.modules.iot_bridge.service.notice import Notice
from boardtalk.modules.iot_bridge.service.stop_lane import StopLane
from boardtalk.modules.iot_bridge.service.updates import Updates
from boardtalk.sdk import ServiceError, descriptors
from boardtalk.sdk.channel import MAX_LINE_BYTES, Channel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from boardtalk.modules.iot_bridge.service.slot import Slot

LINGER_S: Final = 60.0
"""How long the process waits for the next gateway."""
LEAVING_S: Final = 1.0
"""How long the next gateway waits: that the one before was killed may not be noticed yet."""
MAX_CONNECTIONS: Final = 32
MAX_STOPPERS: Final = 256
"""So many more are let in to stop, whoever fills the others; and nothing else."""
STOP_WITHIN_S: Final = 1.0
"""After so long one of these that has not said it is sent away."""
MAX_PENDING: Final = 32
"""Requests of one connection that wait for a board."""
RECENT_RESULTS: Final = 2000
"""The last results, kept for the next gateway: the one before may not have noted them. That has at most
1,000 commands under way."""

log = logging.getLogger(__name__)

Connection = Channel[api.AnyRequest]


class Ended(Exception):
    """The service is to end."""


class Service:
    """Serves one state folder until told to end, or until no gateway came for a while."""

    def __init__(self, state: Path, linger_s: float = LINGER_S) -> None:
        self._state = state
        self._linger_s = linger_s
        self._feed: Feed[api.AnyEvent] = Feed()
        self._broker = Broker(state)
        self._gateway: Connection | None = None
        self._vacant = asyncio.Event()
        """No gateway is attached."""
        self._vacant.set()
        self._recent: OrderedDict[tuple[str, int], api.Result] = OrderedDict()
        """By board and id of the command."""
        self._borrowers: dict[Connection, Slot] = {}
        """Who uses a port that is ours otherwise."""
        self._updates = Updates()
        self._notice = Notice(state)
        self._connections = 0
        self._news = asyncio.Event()
        self._ending = False

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve.

        Args:
            ready: called once, when the socket listens.

        Raises:
            ServiceError: another link process serves this folder, or it can't be used.
        """
        descriptors.take_enough(log.warning)
        with _locked(self._state):
            try:
                async with asyncio.TaskGroup() as tasks:
                    self._tasks = tasks
                    self._fleet = Fleet(self._state / "link", self._feed, tasks, self._broker)
                    tasks.create_task(self._pump(), name="events to the gateway")
                    tasks.create_task(self._broker.run(), name="broker")
                    tasks.create_task(self._notice.run(), name="stops for the audit")
                    self._lane = StopLane(self._state, self._fleet, self._notice)
                    tasks.create_task(self._lane.run(), name="stops by MQTT")
                    server = await _listen(self._state / api.SOCKET, self._accept)
                    try:
                        log.info("link process %d listens", os.getpid())
                        ready()
                        await self._until_unneeded()
                        await self._fleet.save()
                        await self._notice.flush()
                    finally:
                        server.close()
                    raise Ended
            except* Ended:
                (self._state / api.SOCKET).unlink(missing_ok=True)

    async def _until_unneeded(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        while not self._ending:
            self._news.clear()
            try:
                async with asyncio.timeout(None if self._gateway else self._linger_s):
                    await self._news.wait()
            except TimeoutError:
                log.info("no gateway for %g s", self._linger_s)
                return

    def _end(self) -> None:
        self._ending = True
        self._news.set()

    # Connections --------------------------------------------------------------------------------

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._connections >= MAX_CONNECTIONS + MAX_STOPPERS or self._ending:
            writer.close()
            return
        channel: Connection = Channel(reader, writer, api.AnyRequest)
        work = self._requests if self._connections < MAX_CONNECTIONS else self._stop_only
        self._connections += 1
        self._tasks.create_task(self._serve(channel, work), name="link.sock connection")

    async def _serve(self, channel: Connection, work: Callable[[Connection], Awaitable[None]]) -> None:
        try:
            await work(channel)
        except* ServiceError as errors:
            log.info("a connection was cut off: %s", errors.exceptions[0])
        except* Exception:
            log.exception("a connection was cut off")
        finally:
            self._connections -= 1
            self._fleet.taps.remove(channel)
            self._take_back(channel)
            self._updates.end(channel)
            self._detach(channel)
            channel.close()

    async def _requests(self, channel: Connection) -> None:
        """What waits for a board does not hold up what comes next."""
        slots = asyncio.Semaphore(MAX_PENDING)
        async with asyncio.TaskGroup() as pending:
            async for request in channel:
                if channel is self._gateway or isinstance(request, api.Stop):
                    self._fleet.taps.asked(request)
                if isinstance(request, api.Stop | api.Rearm | api.Attach | api.Borrow | api.UpdateStep):
                    await slots.acquire()
                    task = pending.create_task(self._ask(channel, request), name=type(request).__name__)
                    task.add_done_callback(lambda _: slots.release())
                    continue
                try:
                    answer = self._answer(channel, request)
                except LinkError as error:
                    answer = api.Refused(reason=str(error))
                if answer is not None:
                    self._reply(channel, request, answer)

    async def _stop_only(self, channel: Connection) -> None:
        """One connection too many: if it is to stop, it is not."""
        request = None
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_WITHIN_S):
                request = await channel.receive()
        if isinstance(request, api.Stop):
            self._fleet.taps.asked(request)
            await self._ask(channel, request)
        elif request is not None:
            self._reply(channel, request, api.Refused(reason=f"{MAX_CONNECTIONS} others are served already"))

    async def _ask(
        self,
        channel: Connection,
        request: api.Stop | api.Rearm | api.Attach | api.Borrow | api.UpdateStep,
    ) -> None:
        answer: api.AnyAnswer
        try:
            match request:
                case api.Stop():
                    answer = await self._stop(channel, request)
                case api.Rearm():
                    await self._fleet[request.board].rearm()
                    log.info("%s re-armed by %s", request.board, request.by)
                    answer = api.Done()
                case api.Attach():
                    answer = await self._attach(channel, request)
                case api.Borrow():
                    answer = await self._lend(channel, request)
                case api.UpdateStep():
                    answer = await self._updates.step(channel, request)
        except LinkError as error:
            answer = api.Refused(reason=str(error))
        self._reply(channel, request, answer)

    def _reply(self, channel: Connection, request: api.AnyRequest, answer: api.AnyAnswer) -> None:
        answer.re = request.re
        channel.send(answer)
        if channel is self._gateway and isinstance(answer, api.Done | api.Refused | api.Stopped):
            self._fleet.taps.heard(answer)

    async def _lend(self, channel: Connection, request: api.Borrow) -> api.Lent:
        if channel in self._borrowers:
            raise LinkError("one port at a time")
        slot, lent = await self._fleet.lend(request.board, request.by)
        if slot is not None:
            self._borrowers[channel] = slot
            log.info("%s lent to %s", lent.port, request.by)
        return lent

    def _take_back(self, channel: Connection) -> None:
        slot = self._borrowers.pop(channel, None)
        if slot is not None:
            slot.take_back()

    async def _stop(self, channel: Connection, request: api.Stop) -> api.Stopped:
        self._lane.heard(request.by)
        stopped = await self._fleet.stop(request.boards)
        log.info("%s stopped by %s: %s", ", ".join(request.boards) or "all", request.by, stopped)
        self._notice.put(request.by, request.boards, "; ".join(map(_words, stopped)) or "no board")
        if channel is not self._gateway:
            self._feed.put(api.StopNotice(by=request.by, stopped=stopped))
        return api.Stopped(stopped=stopped)

    def _answer(self, channel: Connection, request: api.AnyRequest) -> api.AnyAnswer | None:
        """Do what takes no time."""
        match request:
            case api.Command() | api.Renew() | api.Cancel() | api.SetPoint():
                if channel is not self._gateway:
                    raise LinkError("only the attached gateway commands boards")
                self._command(request)
                return None
            case api.ListBoards():
                return api.Boards(boards=self._fleet.describe(clocks=True) + self._fleet.unmet())
            case api.GetDictionary(board=name):
                return api.DictionaryText(data=self._fleet[name].dictionary_text)
            case api.Update(board=name, by=by):
                return self._updates.begin(channel, self._fleet[name], by)
            case api.Tap(board=name):
                self._tap(channel, name)
            case api.Printed(board=name, text=text):
                self._fleet[name].printed(text)
            case api.Adopt(uid=uid, name=name):
                self._fleet.adopt(uid, name)
            case api.Shutdown():
                self._end()
        return api.Done()

    def _tap(self, channel: Connection, board: str | None) -> None:
        if board is not None:
            self._fleet[board]  # raises LinkError if there is none
        self._fleet.taps.add(channel, board)
        if board is None:
            for each in self._fleet.describe():
                self._fleet.taps.heard(each)

    def _command(self, request: api.Command | api.Renew | api.Cancel | api.SetPoint) -> None:
        if isinstance(request, api.Command) and (known := self._recent.get((request.board, request.id))):
            self._feed.put(known)
            return
        try:
            board = self._fleet[request.board]
        except LinkError as error:
            if isinstance(request, api.Command):
                self._feed.put(
                    api.Result(
                        board=request.board,
                        id=request.id,
                        outcome=Outcome.REJECTED if request.boot is None else None,
                        detail=str(error),
                    )
                )
            return
        now = asyncio.get_running_loop().time()
        match request:
            case api.Command():
                request.ttl_ms = request.left_ms(request.ttl_ms, now)
                board.orders.begin(request)
            case api.Renew():
                board.orders.renew(request.id, request.left_ms(request.lease_ms, now))
            case api.Cancel():
                board.orders.cancel(request.id)
            case api.SetPoint(lease_ms=0):
                board.take(request.index)
            case api.SetPoint():
                board.set_point(request.index, request.left_ms(request.lease_ms, now), request.values)

    # The gateway --------------------------------------------------------------------------------

    async def _attach(self, channel: Connection, request: api.Attach) -> api.Attached:
        if self._gateway is not channel:
            try:
                async with asyncio.timeout(LEAVING_S):
                    while self._gateway is not None:
                        await self._vacant.wait()
            except TimeoutError:
                raise LinkError(
                    "another gateway is attached: are there two gateways on one state folder?"
                ) from None
        self._fleet.configure(request)
        self._gateway = channel
        self._vacant.clear()
        self._news.set()
        return api.Attached(pid=os.getpid(), boards=self._fleet.describe())

    def _detach(self, channel: Connection) -> None:
        if self._gateway is channel:
            self._gateway = None
            self._vacant.set()
            self._news.set()
            log.info("the gateway went away")

    async def _pump(self) -> None:
        async for event in self._feed:
            self._fleet.taps.heard(event)
            if isinstance(event, api.Result):
                self._recent[event.board, event.id] = event
                if len(self._recent) > RECENT_RESULTS:
                    self._recent.popitem(last=False)
            elif isinstance(event, api.BoardChanged):
                self._broker.show(event)
            if self._gateway is None:
                continue
            try:
                self._gateway.send(event)
            except ServiceError as error:
                log.warning("gateway: %s", error)
                self._detach(self._gateway)


def _words(one: api.BoardStopped) -> str:
    return f"{one.board} {'confirmed' if one.confirmed else 'HAS NOT CONFIRMED'} it in {one.ms:.0f} ms"


async def _listen(
    path: Path, accept: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]
) -> asyncio.Server:
    before = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        return await asyncio.start_unix_server(accept, path, limit=MAX_LINE_BYTES)
    except OSError as error:
        raise ServiceError(f"{path}: can't listen there ({error.strerror or error})") from error
    finally:
        os.umask(before)


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    """Keep a second link process away from the folder."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(state / "link.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ServiceError(f"{state}: can't be used as state folder ({error.strerror})") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ServiceError(f"{state}: another link process serves this folder") from error
        yield
    finally:
        os.close(lock)
