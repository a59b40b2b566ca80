"""Commands under way at a board: over as many sessions as it takes, until each has its one end."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from boardtalk.modules.iot_bridge.errors import LinkBusy, LinkError, SessionLost, TooLong
from boardtalk.modules.iot_bridge.frames import MAX_COMMANDS, Outcome
from boardtalk.modules.iot_bridge.news import Order, Progress, Result, Sent, Started
from boardtalk.modules.iot_bridge.service import api

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.device import Device
    from boardtalk.modules.iot_bridge.feed import Feed
    from boardtalk.modules.iot_bridge.service.standing import Standing

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


class Orders:
    """One board's.

    Args:
        board: how it stands with it.
        feed: where it is told what becomes of them.
        tasks: runs them.
    """

    def __init__(self, board: Standing, feed: Feed[api.AnyEvent], tasks: asyncio.TaskGroup) -> None:
        self._board = board
        self._feed = feed
        self._tasks = tasks
        self._orders: dict[int, Order] = {}
        self._sent: set[int] = set()
        """Those that the board may have."""
        self._cancelled: set[int] = set()
        """Those that must not begin any more."""
        self._arrived: set[int] = set()
        """The orders that the board has."""
        self._started: set[int] = set()
        """The orders that the board has begun."""
        self._vouched: dict[int, float] = {}
        """Of those with a lease: until when the gateway's word for it counts."""
        self._waiting: dict[int, _Waiting] = {}
        """How long the board's answer to an order is waited for."""

    # Down ---------------------------------------------------------------------------------------

    def begin(self, request: api.Command) -> None:
        """Carry out a command; `Progress` and one `Result` are told."""
        epoch = self._board.epoch if request.epoch is None else request.epoch
        ttl_s = request.ttl_ms / 1000
        order = Order(request.id, request.index, ttl_s, epoch, request.lease_ms, request.args)
        if order.id in self._orders:
            return
        if request.boot is None:
            refusal = self._board.refusal(order)
            if len(self._orders) >= MAX_COMMANDS:
                refusal = f"busy: {MAX_COMMANDS} commands are under way"
            if refusal:
                self._tell_result(order.id, Outcome.REJECTED, detail=refusal)
                return
        else:
            self._sent.add(order.id)
            self._arrived.add(order.id)  # for all we know
        self._orders[order.id] = order
        if order.lease_ms:
            self._vouched[order.id] = (request.at or _now()) + order.lease_ms / 1000
        self._tasks.create_task(self._run(order, request), name=f"command {order.id} of {self._board.name}")

    def renew(self, id_: int, lease_ms: int) -> None:
        """The lease of a motion, again, also of one that waits. Nothing for a stopped board."""
        if not lease_ms or id_ not in self._orders:
            return
        if id_ in self._vouched:
            self._vouched[id_] = _now() + lease_ms / 1000
        if self._board.device is not None and not self._board.latched:
            self._board.device.renew(id_, lease_ms)

    def cancel(self, id_: int) -> None:
        """End a command: it ends as cancelled if it runs, or was not sent yet."""
        if id_ in self._orders and id_ not in self._sent:
            del self._orders[id_]
            self._tell_result(id_, Outcome.CANCELLED, detail="cancelled before it was sent")
            return
        if id_ in self._orders:
            self._cancelled.add(id_)
        if self._board.device is not None:
            _cancel(self._board.device, id_)

    async def _run(self, order: Order, request: api.Command) -> None:
        try:
            asks = request.boot is not None and request.epoch is None
            await self._carry_out(order, request.boot, any_epoch=asks)
        except Exception as error:
            log.exception("command %d of %s", order.id, self._board.name)
            self._tell_result(order.id, None, detail=f"a fault in the gateway: {error!r}")
        finally:
            self._orders.pop(order.id, None)
            self._vouched.pop(order.id, None)
            self._sent.discard(order.id)
            self._cancelled.discard(order.id)
            self._arrived.discard(order.id)
            self._started.discard(order.id)

    async def _carry_out(self, order: Order, boot: int | None, *, any_epoch: bool) -> None:
        """Send a command and wait for its result, over as many sessions as it takes.

        `boot`: of the board that may have it already. `any_epoch`: its own is not known, or does not count.
        """
        deadline = _now() + order.ttl_s
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
            device = self._board.device
            if device is None:
                continue
            if end := self._ends_unasked(order, boot, device.hello.boot):
                self._tell_result(order.id, end[0], detail=end[1])
                return
            new, boot = boot is None, device.hello.boot
            self._sent.add(order.id)
            order = self._as_of_now(order, deadline, any_epoch=any_epoch)
            if order.id in self._cancelled:
                asyncio.get_running_loop().call_soon(
                    _cancel, device, order.id
                )  # behind it, if the board had it already
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
        if refusal := self._board.refusal(order):
            return Outcome.REJECTED, refusal
        return (Outcome.EXPIRED, "the gateway fell silent") if self._lease_left(order.id) <= 0 else None

    def _as_of_now(self, order: Order, deadline: float, *, any_epoch: bool) -> Order:
        """An order with the time that is left: none for one that must not begin any more."""
        epoch, lease_s = self._board.epoch if any_epoch else order.epoch, self._lease_left(order.id)
        gone = epoch != self._board.epoch or order.id in self._cancelled or lease_s <= 0
        left = 0.0 if gone else max(0.0, deadline - _now())
        lease_ms = 0 if gone or lease_s == math.inf else math.ceil(lease_s * 1000)
        return msgspec.structs.replace(order, ttl_s=left, epoch=epoch, lease_ms=lease_ms)

    def _lease_left(self, id_: int) -> float:
        """Seconds of a lease, since the gateway spoke for it last; infinite: it needs none."""
        return self._vouched.get(id_, math.inf) - _now()

    def _patience(self, order: Order, deadline: float, *, sent: bool) -> float:
        """Until when a board that is away is waited for."""
        if not sent:
            return deadline
        if order.id not in self._arrived:
            return deadline + UNCONFIRMED_S
        return _now() + LOST_S

    async def _wait_ready(self, deadline: float) -> bool:
        try:
            async with asyncio.timeout_at(deadline):
                await self._board.ready.wait()
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
            late = _now() + each.ttl_s
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
                self._tell_unacknowledged(device, order)
        return None

    # Back ---------------------------------------------------------------------------------------

    def on_news(self, news: Sent | Started | Progress | Result) -> None:
        """The board says how far a command is."""
        name = self._board.name
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

    def _has(self, id_: int) -> None:
        """The board has a command, or the question what became of it: it is not to be silent for long."""
        waiting = self._waiting.get(id_)
        if waiting is not None and id_ not in self._started:
            now = _now()
            waiting.until(max(now, waiting.late) + waiting.grace_s)

    def _has_started(self, id_: int) -> None:
        """From now on a command may take as long as it was declared to."""
        order, waiting = self._orders.get(id_), self._waiting.get(id_)
        limit_s = self._board.limit_s(order.index) if order else None
        if waiting is None or limit_s is None:
            return
        now = _now()
        if waiting.until(now + limit_s + ENDING_S):
            self._started.add(id_)

    def _tell_unacknowledged(self, device: Device, order: Order) -> None:
        """Show a command that was sent, for who asks why nothing came of it."""
        undelivered = device.undelivered(order.id)
        if undelivered is not None:
            tries, frame, stage = undelivered.tries, undelivered.wire, api.Stage.UNACKNOWLEDGED
            board = self._board.name
            self._feed.put(api.Progress(board=board, id=order.id, stage=stage, frame=frame, tries=tries))

    def _on_result(self, order: Order, result: Result | None) -> None:
        if result is None:
            self._tell_result(order.id, None, detail="the board never said how it ended")
        elif result.outcome is Outcome.DONE:
            self._tell_result(order.id, Outcome.DONE, data=result.data)
        elif result.outcome is Outcome.EXPIRED and order.id in self._cancelled:
            self._tell_result(order.id, Outcome.CANCELLED, detail="cancelled before it began")
        elif result.outcome is Outcome.EXPIRED and order.epoch < self._board.epoch:
            self._tell_result(order.id, Outcome.REJECTED, detail=api.STOPPED_FIRST)
        elif result.outcome is Outcome.REJECTED and not order.ttl_s:
            # Asked with no time left, perhaps no lease any more: why else it would not begin is no matter.
            self._tell_result(order.id, Outcome.EXPIRED, detail="it did not begin in time")
        else:
            self._tell_result(order.id, result.outcome, detail=result.reason)

    def _tell_result(self, id_: int, outcome: Outcome | None, *, data: bytes = b"", detail: str = "") -> None:
        result = api.Result(board=self._board.name, id=id_, outcome=outcome, data=data, detail=detail)
        self._feed.put(result)


def _cancel(device: Device, id_: int) -> None:
    with suppress(LinkError):  # without a session there is a next one, or none
        device.cancel(id_)


def _now() -> float:
    return asyncio.get_running_loop().time()
