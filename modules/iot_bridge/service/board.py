"""A board as the gateway knows it: what outlives a session, above all stop.

The rules that keep people safe are here. A stop raises the epoch and latches, also while the board
is away; the board is made to agree before it gets any other command. Commands of an older epoch
come to nothing. Only `rearm` lets the board move again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.news import (
    BoardEvent,
    Dropped,
    LogLine,
    News,
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
from boardtalk.modules.iot_bridge.service.memory import UNMET, Known
from boardtalk.modules.iot_bridge.service.orders import Orders
from boardtalk.modules.iot_bridge.service.standing import MAX_EPOCH, Standing

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.device import Device
    from boardtalk.modules.iot_bridge.feed import Feed
    from boardtalk.modules.iot_bridge.service.memory import Memory
    from boardtalk.modules.iot_bridge.service.tap import Taps

STOP_ANSWER_S: Final = 1.0
"""Longest that who stopped waits for the board's confirmation; it is asked on and on."""

log = logging.getLogger(__name__)


class Board(Standing):
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
        super().__init__(name, uid, memory)
        self._feed = feed
        self._tasks = tasks
        self._taps = taps
        self.orders = Orders(self, feed, tasks)
        """The commands under way."""
        self._helm = Helm()
        self._stopping: asyncio.Task[bool] | None = None
        self._rearming = False
        self._told: api.BoardChanged | None = None

    @property
    def dictionary_text(self) -> bytes:
        """Its dictionary, as it sent it. Raises LinkError if it was never met."""
        return self.require_met().dictionary_text

    def clock(self) -> api.Clock | None:
        """What its clock shows, if there is a session."""
        reading = self.device.read_clock() if self.device else None
        if reading is None:
            return None
        return api.Clock(
            offset_ms=reading.offset_s * 1e3,
            drift_ppm=reading.drift * 1e6,
            error_ms=reading.error_s * 1e3,
            round_trip_ms=reading.round_trip_s * 1e3,
        )

    def lost(self) -> api.Lost | None:
        """What of both sides did not come, if there is a session."""
        if self.device is None:
            return None
        counters = self.device.counters
        return api.Lost(from_board=counters.lost, to_board=counters.missed)

    def frames(self) -> api.Frames | None:
        """What was counted, if there is a session."""
        if self.device is None:
            return None
        counters = self.device.counters
        return api.Frames(
            sent=counters.sent,
            resent=counters.resent,
            received=counters.received,
            missing=counters.lost,
            bad=counters.lost + counters.missed + counters.resent,
        )

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
        first = self.met is None
        self.meet(device)
        if first and self.name:
            self._remember()  # it may have been stopped before anybody knew its uid
        device.on_traffic(self._on_traffic)
        try:
            if self.latched and not (device.hello.latched and device.hello.epoch == self.epoch):
                await device.stop(self.epoch)
            self.ready.set()
            self.tell()
            async for news in device.news():
                self._on_news(news)
        except LinkError as error:
            self.detail = str(error)
            raise
        finally:
            self.leave()
            self.tell()

    def printed(self, text: str) -> None:
        """It printed this while somebody else had its line."""
        for each in lines(text):
            self._on_news(LogLine(0, each))

    def away(self, port: str, reason: str) -> None:
        """There is no session, for this reason."""
        if self.device is None:
            self.port, self.detail = port, reason
            self.tell()

    def _on_traffic(self, *, down: bool, data: bytes) -> None:
        self._taps.traffic(self.name, down=down, data=data)

    # Stop ---------------------------------------------------------------------------------------

    def stop(self) -> asyncio.Task[bool] | None:
        """Stop, now; never waits and never fails. The task tells whether the board has confirmed.

        None: the board is away; it is stopped before anything else as soon as it is back.
        """
        if not self.latched or self._rearming:
            self.raise_epoch()
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
            LinkError: it is away, has not confirmed the stop, does not agree, or no epoch is left.
        """
        if self.device is None:
            raise LinkError(f"{self.name} is offline: {self.detail}")
        if not self.ready.is_set() or (self._stopping is not None and not self._stopping.done()):
            raise LinkError(f"{self.name} has not confirmed the stop yet")
        if not self.latched:
            return  # after a restart the board may not even know the epoch that it would have to agree to
        epoch = self.epoch
        if epoch >= MAX_EPOCH:
            # There is no higher one: what was said before this stop could not be told from what comes after.
            raise LinkError(
                f"{self.name} was stopped or restarted {MAX_EPOCH} times: it moves again once both board and "
                "gateway were started anew"
            )
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
        key = self.uid or UNMET + self.name
        known = self._memory.get(key)
        if known.latched != self.latched:
            self._memory.put(key, Known(name=known.name, latched=self.latched))
            self._tasks.create_task(self._memory.save(), name="save")

    # Live control -------------------------------------------------------------------------------

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
        if self.device is not None and not self.latched and self.ready.is_set():
            self.device.set_point(index, self.epoch, lease_ms, values)

    # What is told -------------------------------------------------------------------------------

    def _on_news(self, news: News) -> None:
        name = self.name
        match news:
            case Sent() | Started() | Progress() | Result():
                self.orders.on_news(news)
            case Telemetry(index, data) | BoardEvent(index, data):
                kind = api.ReportKind.TELEMETRY if isinstance(news, Telemetry) else api.ReportKind.EVENT
                self._feed.put(api.Report(board=name, kind=kind, index=index, data=data))
            case LogLine(level, text):
                self._feed.put(api.LogLine(board=name, level=level, text=text))
            case Dropped(count):
                self._feed.put(api.Dropped(board=name, count=count))
            case Stopped(latched=True) if not self.latched:
                self.stop()  # by a button of its own
