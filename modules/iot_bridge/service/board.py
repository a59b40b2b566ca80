"""A board as the gateway knows it: what outlives a session, above all stop and commands under way.

The rules that keep people safe are here. A stop raises the epoch and latches, also while the board
is away; the board is made to agree before it gets any other command. Commands of an older epoch
come to nothing. Only `rearm` lets the board move again.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from boardtalk.modules.iot_bridge.errors import LinkBusy, LinkError, SessionLost, TooLong
from boardtalk.modules.iot_bridge.frames import MAX_COMMANDS, Outcome
from boardtalk.modules.iot_bridge.news import (
    BoardEvent,
    Dropped,
    LogLine,
    News,
    Order,
    Progress,
    Result,
    Sent,
    Started,
    Stopped,
    Telemetry,
    lines,
)
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.helm import Helm
from boardtalk.modules.iot_bridge.service.memory import Known

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.device import Device
    from boardtalk.modules.iot_bridge.feed import Feed
    from boardtalk.modules.iot_bridge.service.memory import Memory
    from boardtalk.modules.iot_bridge.service.tap import Taps

MAX_EPOCH: Final = 0xFFFF
STOP_ANSWER_S: Final = 1.0
"""Longest that who stopped waits for the board's confirmation; it is asked on and on."""
RESUME_S: Final = 0.1
"""After a new session the board first tells the results that it could not get rid of."""
LOST_S: Final = 10.0
"""A command that the board has ends as unknown when the board stays away for so long."""
UNCONFIRMED_S: Final = 1.0
"""A command that the board never confirmed ends as unknown so long after its time ran out."""
SILENCE_S: Final = 1.0
"""A board that has a command, and so long after its time has not said that it began or ended, is asked."""
ANSWER_S: Final = 0.75
"""When it has the question it has so long to answer, or the command ends as unknown."""
ENDING_S: Final = 1.5
"""So much later than it may take, a command that has started and has no result ends as unknown."""
HALTED: Final = ("motion", "action")
"""Classes of commands that a stopped board does not take."""

log = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    """For a board's answer."""

    timeout: asyncio.Timeout
    late: float
    """From when on the command must not begin any more."""
    grace_s: float
    """How much later it is to be known what became of it."""

    def until(self, when: float) -> bool:
        """Wait until then; False: it is too late for that."""
        if self.timeout.expired():
            return False
        self.timeout.reschedule(when)
        return True


class Board:
    """One board.

    Args:
        name: its address; "" while nobody has adopted it.
        uid: its unique id, if that is known before it is met.
        feed: where everything about it is told.
        memory: keeps the latch.
        tasks: runs the commands under way.
        taps: who looks on.
    """

    def __init__(
        self,
        name: str,
        uid: str,
        feed: Feed[api.AnyEvent],
        memory: Memory,
        tasks: asyncio.TaskGroup,
        *,
        taps: Taps,
    ) -> None:
        self.name = name
        self.port = ""
        self.epoch = 0
        self.latched = False
        self.device: Device | None = None
        """The session, while there is one."""
        self.met: Device | None = None
        """The last session: who the board is, and what it understands."""
        self._expected_uid = uid
        self._detail = "not seen yet"
        self._feed = feed
        self._memory = memory
        self._tasks = tasks
        self._taps = taps
        self._ready = asyncio.Event()
        self._orders: dict[int, Order] = {}
        self._sent: set[int] = set()
        """Those that the board may have."""
        self._cancelled: set[int] = set()
        """Those that must not begin any more."""
        self._arrived: set[int] = set()
        """The orders that the board has."""
        self._started: set[int] = set()
        """The orders that the board has begun."""
        self._waiting: dict[int, _Waiting] = {}
        """How long the board's answer to an order is waited for."""
        self._helm = Helm()
        self._stopping: asyncio.Task[bool] | None = None
        self._rearming = False
        self._told: api.BoardChanged | None = None

    @property
    def uid(self) -> str:
        """The board's unique id; "" if it is not known."""
        return self.met.hello.uid if self.met else self._expected_uid

    @property
    def dictionary_text(self) -> bytes:
        """Its dictionary, as it sent it. Raises LinkError if it was never met."""
        if self.met is None:
            raise LinkError(f"{self.name} was never here: {self._detail}")
        return self.met.dictionary_text

    def describe(self) -> api.BoardChanged:
        """How it is now."""
        met = self.met
        return api.BoardChanged(
            name=self.name,
            uid=self.uid,
            port=self.port,
            firmware=met.hello.firmware if met else "",
            state=self._state(),
            epoch=self.epoch,
            dictionary=met.hello.dictionary.hex() if met else "",
            detail=self._why_latched() if self.device else self._detail,
            declared=met.hello.name if met else "",
            boot=met.hello.boot if met else 0,
        )

    def clock(self) -> api.Clock | None:
        """What its clock shows, if there is a session."""
        reading = self.device.read_clock() if self.device else None
        if reading is None:
            return None
        return api.Clock(
            offset_ms=reading.offset_s * 1e3,
            drift_ppm=reading.drift * 1e6,
            error_ms=reading.error_s * 1e3,
        )

    def lost(self) -> api.Lost | None:
        """What of both sides did not come, if there is a session."""
        if self.device is None:
            return None
        counters = self.device.counters
        return api.Lost(from_board=counters.lost, to_board=counters.missed)

    def tell(self) -> None:
        """Tell how it is, if that has changed."""
        now = self.describe()
        if now != self._told:
            self._told = now
            self._feed.put(now)

    # Sessions -----------------------------------------------------------------------------------

    async def serve(self, device: Device) -> None:
        """Use a session until it ends.

        Raises:
            LinkError: it ended.
        """
        self._meet(device)
        try:
            if self.latched and not (device.hello.latched and device.hello.epoch == self.epoch):
                await device.stop(self.epoch)
            self._ready.set()
            self.tell()
            async for news in device.news():
                self._on_news(news)
        except LinkError as error:
            self._detail = str(error)
            raise
        finally:
            self.device = None
            self._ready.clear()
            self.tell()

    def printed(self, text: str) -> None:
        """It printed this while somebody else had its line."""
        for each in lines(text):
            self._on_news(LogLine(0, each))

    def away(self, port: str, reason: str) -> None:
        """There is no session, for this reason."""
        if self.device is None:
            self.port, self._detail = port, reason
            self.tell()

    def _meet(self, device: Device) -> None:
        hello = device.hello
        if self.met is not None and self.met.hello.boot != hello.boot:
            self.epoch = min(self.epoch + 1, MAX_EPOCH)
        self.epoch = max(self.epoch, hello.epoch)
        self.latched = self.latched or hello.latched or self._memory.get(hello.uid).latched
        self.port, self.met, self.device = device.port, device, device
        device.on_traffic(self._on_traffic)

    def _on_traffic(self, *, down: bool, data: bytes) -> None:
        self._taps.traffic(self.name, down=down, data=data)

    def _state(self) -> api.BoardState:
        if self.device is None:
            return api.BoardState.OFFLINE
        if not self.name:
            return api.BoardState.WAITING
        return api.BoardState.LATCHED if self.latched else api.BoardState.READY

    def _why_latched(self) -> str:
        """Why it counts as stopped, if nobody stopped it."""
        return self._memory.get(self.uid).reason if self.latched else ""

    # Stop ---------------------------------------------------------------------------------------

    def stop(self) -> asyncio.Task[bool] | None:
        """Stop, now; never waits and never fails. The task tells whether the board has confirmed.

        None: the board is away; it is stopped before anything else as soon as it is back.
        """
        if not self.latched or self._rearming:
            self.epoch = min(self.epoch + 1, MAX_EPOCH)
        self.latched = True
        if self.device is not None and (self._stopping is None or self._stopping.done()):
            stopping = self._confirm(self.device)
            self._stopping = self._tasks.create_task(stopping, name=f"stop {self.name}")
        self._remember()
        self.tell()
        return self._stopping if self.device is not None else None

    async def rearm(self) -> None:
        """Let it move again.

        Raises:
            LinkError: it is away, has not confirmed the stop, or does not agree.
        """
        if self.device is None:
            raise LinkError(f"{self.name} is offline: {self._detail}")
        if not self._ready.is_set() or (self._stopping is not None and not self._stopping.done()):
            raise LinkError(f"{self.name} has not confirmed the stop yet")
        if not self.latched:
            return  # after a restart the board may not even know the epoch that it would have to agree to
        epoch = self.epoch
        self._rearming = True
        try:
            await self.device.rearm(epoch)
        finally:
            self._rearming = False
        if epoch != self.epoch:
            raise LinkError(f"{self.name} was stopped again")
        self.latched = False
        self._remember()
        self.tell()

    async def _confirm(self, device: Device) -> bool:
        try:
            epoch = -1
            while epoch != self.epoch:  # stopped again meanwhile
                epoch = self.epoch
                await device.stop(epoch)
        except LinkError:
            return False
        except Exception:
            log.exception("stop of %s", self.name)
            return False
        return True

    def _remember(self) -> None:
        known = self._memory.get(self.uid)
        if self.uid and known.latched != self.latched:
            self._memory.put(self.uid, Known(name=known.name, latched=self.latched))
            self._tasks.create_task(self._memory.save(), name="save")

    # Commands -----------------------------------------------------------------------------------

    def command(self, request: api.Command) -> None:
        """Carry out a command; `Progress` and one `Result` are told."""
        epoch = self.epoch if request.epoch is None else request.epoch
        ttl_s = request.ttl_ms / 1000
        order = Order(request.id, request.index, ttl_s, epoch, request.lease_ms, request.args)
        if order.id in self._orders:
            return
        if request.boot is None:
            refusal = self._refusal(order)
            if len(self._orders) >= MAX_COMMANDS:
                refusal = f"busy: {MAX_COMMANDS} commands are under way"
            if refusal:
                self._tell_result(order.id, Outcome.REJECTED, detail=refusal)
                return
        else:
            self._sent.add(order.id)
            self._arrived.add(order.id)  # for all we know
        self._orders[order.id] = order
        self._tasks.create_task(self._run(order, request), name=f"command {order.id} of {self.name}")

    def renew(self, id_: int, lease_ms: int) -> None:
        """The lease of a running motion, again. Nothing for a stopped or absent board."""
        if lease_ms and self.device is not None and not self.latched and id_ in self._orders:
            self.device.renew(id_, lease_ms)

    def cancel(self, id_: int) -> None:
        """End a command: it ends as cancelled if it runs, or was not sent yet."""
        if id_ in self._orders and id_ not in self._sent:
            del self._orders[id_]
            self._tell_result(id_, Outcome.CANCELLED, detail="cancelled before it was sent")
            return
        if id_ in self._orders:
            self._cancelled.add(id_)
        if self.device is not None:
            _cancel(self.device, id_)

    def take(self, index: int) -> None:
        """Somebody takes a control or lets it go: outputs off."""
        self._helm.take(index)
        self._steer(index, 0, b"")

    def set_point(self, index: int, lease_ms: int, values: bytes) -> None:
        """Live values for a control."""
        if self._helm.hold(index, lease_ms / 1000, asyncio.get_running_loop().time()):
            self._steer(index, lease_ms, values)
        else:
            self._feed.put(api.Lapsed(board=self.name, index=index))

    def _steer(self, index: int, lease_ms: int, values: bytes) -> None:
        """Nothing for a stopped or absent board."""
        if self.device is not None and not self.latched and self._ready.is_set():
            self.device.set_point(index, self.epoch, lease_ms, values)

    def _refusal(self, order: Order) -> str:
        """Why a command can't be sent; "" if it can."""
        if order.epoch < self.epoch:
            return api.STOPPED_FIRST
        if self.met is None:
            return f"{self.name} was never here: {self._detail}"
        commands = self.met.dictionary.commands
        if order.index >= len(commands):
            return "the board has no such command"
        if self.latched and commands[order.index].cls in HALTED:
            return f"stopped: rearm first{f' ({why})' if (why := self._why_latched()) else ''}"
        return ""

    async def _run(self, order: Order, request: api.Command) -> None:
        try:
            asks = request.boot is not None and request.epoch is None
            await self._carry_out(order, request.boot, any_epoch=asks)
        except Exception as error:
            log.exception("command %d of %s", order.id, self.name)
            self._tell_result(order.id, None, detail=f"a fault in the gateway: {error!r}")
        finally:
            self._orders.pop(order.id, None)
            self._sent.discard(order.id)
            self._cancelled.discard(order.id)
            self._arrived.discard(order.id)
            self._started.discard(order.id)

    async def _carry_out(self, order: Order, boot: int | None, *, any_epoch: bool) -> None:
        """Send a command and wait for its result, over as many sessions as it takes.

        `boot`: of the board that may have it already. `any_epoch`: its own is not known, or does not count.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + order.ttl_s
        resumed = False
        while True:
            ready = await self._wait_ready(self._patience(order, deadline, sent=boot is not None))
            if resumed:
                await asyncio.sleep(RESUME_S)
            if order.id not in self._orders:
                return  # its result has come by itself
            if not ready:
                late = "the board was away" if boot is None else "the board vanished meanwhile"
                outcome = Outcome.EXPIRED if boot is None else None
                self._tell_result(order.id, outcome, detail=late)
                return
            device = self.device
            if device is None:
                continue
            if end := self._ends_unasked(order, boot, device.hello.boot):
                self._tell_result(order.id, end[0], detail=end[1])
                return
            new, boot = boot is None, device.hello.boot
            self._sent.add(order.id)
            order = self._as_of_now(order, deadline, any_epoch=any_epoch)
            if order.id in self._cancelled:
                loop.call_soon(_cancel, device, order.id)  # behind it, if the board had it already
            try:
                self._on_result(order, await self._ask(device, order, deadline))
            except SessionLost:
                resumed = True
                continue
            except LinkBusy as error:
                self._tell_result(order.id, Outcome.REJECTED if new else None, detail=f"busy: {error}")
            return

    def _ends_unasked(self, order: Order, boot: int | None, now: int) -> tuple[Outcome | None, str] | None:
        """How a command ends that is of no use to send, or to ask about; None: it is of use."""
        if boot is not None:
            return (None, "the board restarted meanwhile") if boot != now else None
        refusal = self._refusal(order)
        return (Outcome.REJECTED, refusal) if refusal else None

    def _as_of_now(self, order: Order, deadline: float, *, any_epoch: bool) -> Order:
        """An order with the time that is left: none for one that must not begin any more."""
        epoch = self.epoch if any_epoch else order.epoch
        gone = epoch != self.epoch or order.id in self._cancelled
        left = 0.0 if gone else max(0.0, deadline - asyncio.get_running_loop().time())
        return msgspec.structs.replace(order, ttl_s=left, epoch=epoch)

    def _patience(self, order: Order, deadline: float, *, sent: bool) -> float:
        """Until when a board that is away is waited for."""
        if not sent:
            return deadline
        if order.id not in self._arrived:
            return deadline + UNCONFIRMED_S
        return asyncio.get_running_loop().time() + LOST_S

    async def _wait_ready(self, deadline: float) -> bool:
        try:
            async with asyncio.timeout_at(deadline):
                await self._ready.wait()
        except TimeoutError:
            return False
        return True

    async def _ask(self, device: Device, order: Order, deadline: float) -> Result | None:
        """The board's answer; None if it owes it for too long.

        One that has a command and does not say what became of it is asked once more: with no time
        left it is not executed any more.
        """
        asking = msgspec.structs.replace(order, ttl_s=0.0)
        for each, grace_s in ((order, SILENCE_S), (asking, ANSWER_S)):
            late = asyncio.get_running_loop().time() + each.ttl_s
            unacknowledged = (late if order.id in self._arrived else deadline) + LOST_S
            try:
                async with asyncio.timeout_at(unacknowledged) as timeout:
                    self._waiting[order.id] = _Waiting(timeout, late, grace_s)
                    return await device.command(each)
            except TimeoutError:
                if order.id in self._started:
                    break
            except TooLong as error:
                return Result(order.id, Outcome.REJECTED, str(error).encode())
            finally:
                del self._waiting[order.id]
        return None

    def _has(self, id_: int) -> None:
        """The board has a command, or the question what became of it: it is not to be silent for long."""
        waiting = self._waiting.get(id_)
        if waiting is not None and id_ not in self._started:
            now = asyncio.get_running_loop().time()
            waiting.until(max(now, waiting.late) + waiting.grace_s)

    def _has_started(self, id_: int) -> None:
        """From now on a command may take as long as it was declared to."""
        order, waiting = self._orders.get(id_), self._waiting.get(id_)
        commands = self.met.dictionary.commands if self.met else ()
        if order is None or waiting is None or order.index >= len(commands):
            return
        now = asyncio.get_running_loop().time()
        if waiting.until(now + commands[order.index].limit + ENDING_S):
            self._started.add(id_)

    # What is told -------------------------------------------------------------------------------

    def _on_result(self, order: Order, result: Result | None) -> None:
        if result is None:
            self._tell_result(order.id, None, detail="the board never said how it ended")
        elif result.outcome is Outcome.DONE:
            self._tell_result(order.id, Outcome.DONE, data=result.data)
        elif result.outcome is Outcome.EXPIRED and order.id in self._cancelled:
            self._tell_result(order.id, Outcome.CANCELLED, detail="cancelled before it began")
        elif result.outcome is Outcome.EXPIRED and order.epoch < self.epoch:
            self._tell_result(order.id, Outcome.REJECTED, detail=api.STOPPED_FIRST)
        else:
            self._tell_result(order.id, result.outcome, detail=result.reason)

    def _tell_result(self, id_: int, outcome: Outcome | None, *, data: bytes = b"", detail: str = "") -> None:
        result = api.Result(board=self.name, id=id_, outcome=outcome, data=data, detail=detail)
        self._feed.put(result)

    def _on_news(self, news: News) -> None:
        name = self.name
        match news:
            case Sent(id_) if id_ not in self._orders or id_ in self._arrived:
                self._has(id_)
            case Sent(id_, tries, wire, took_s):
                self._has(id_)
                self._arrived.add(id_)
                stage, ms = api.Stage.SENT, took_s * 1000
                self._feed.put(api.Progress(board=name, id=id_, stage=stage, frame=wire, tries=tries, ms=ms))
            case Started(id_):
                self._has_started(id_)
                self._feed.put(api.Progress(board=name, id=id_, stage=api.Stage.STARTED))
            case Progress(id_, percent):
                stage = api.Stage.STARTED
                self._feed.put(api.Progress(board=name, id=id_, stage=stage, percent=percent))
            case Result():
                self._orders.pop(news.id, None)
                done = news.outcome is Outcome.DONE
                data, detail = (news.data, "") if done else (b"", news.reason)
                self._tell_result(news.id, news.outcome, data=data, detail=detail)
            case Telemetry(index, data) | BoardEvent(index, data):
                kind = api.ReportKind.TELEMETRY if isinstance(news, Telemetry) else api.ReportKind.EVENT
                self._feed.put(api.Report(board=name, kind=kind, index=index, data=data))
            case LogLine(level, text):
                self._feed.put(api.LogLine(board=name, level=level, text=text))
            case Dropped(count):
                self._feed.put(api.Dropped(board=name, count=count))
            case Stopped(latched=True) if not self.latched:
                self.stop()  # by a button of its own


def _cancel(device: Device, id_: int) -> None:
    with suppress(LinkError):  # without a session there is a next one, or none
        device.cancel(id_)
