"""The two ends of a selective-repeat window, without I/O. Numbers have 8 bits; time is passed in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.frames import OVERHEAD_BYTES, WINDOW, Type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from boardtalk.modules.iot_bridge.link.framing import Frame

RTO_MIN_S: Final = 0.025
RTO_MAX_S: Final = 5.0
"""Bounds of the time after which a frame is repeated: Klipper's."""
RTO_START_S: Final = 0.2
"""Before anything was measured."""
ONCE_MORE: Final = 2
"""How often a frame was sent that was repeated once."""
RTO_AGAIN_S: Final = 0.005
"""Lower bound for a frame known to have been lost once: the line waits for it."""

LONGER: Final = 4.0
"""The most that a large frame is given more time than those that were measured: on a slow line small ones
are answered long before one that is large has even gone, and repeating it then would only fill the line."""

MASK: Final = 0xFF
_BATCH_ITEM: Final = Struct("<HB")
BATCH_ITEM_BYTES: Final = frames.BatchItem.sizeof()
NEVER: Final = bytes(4)
"""A deadline that is always past."""
RECEIVE_FRAMES: Final = 32
"""How far ahead of the next expected frame others are kept: the widest that a SACK can name."""


@dataclass(slots=True, eq=False)
class Item:
    """A frame on its way out."""

    token: int
    """0: a piece that others follow, or a batch."""
    type: int
    payload: bytes
    expires: float | None
    """When it is too late to begin; then its first four bytes are its deadline by the board's clock."""
    more: bool = False
    """Whether its message goes on in the next frame."""
    rest: bool = False
    """Whether its message began in the frame before."""
    parts: tuple[Item, ...] = ()
    """The messages of a batch, of which this is the frame."""
    seq: int = 0
    tries: int = 0
    timeouts: int = 0
    """How often it was repeated for lack of any answer; each doubles the patience."""
    first_at: float = 0.0
    sent_at: float = 0.0
    order: int = 0
    """Count of transmissions when it was last sent: whoever arrives shows that earlier ones were lost."""
    wire: bytes = b""
    """As it was sent last."""
    lost: bool = False
    arrived: bool = False

    @property
    def size(self) -> int:
        """Bytes on the line."""
        return len(self.payload) + OVERHEAD_BYTES

    def withdraw(self, now: float) -> None:
        """It must not begin any more: its time is over as of now."""
        for part in self.parts:
            part.withdraw(now)
        if self.parts:
            self.payload = _together(self.parts)
        elif self.expires is not None:
            self.expires = min(self.expires, now)
            self.payload = NEVER + self.payload[len(NEVER) :]


def _together(parts: tuple[Item, ...]) -> bytes:
    """The payload of a batch."""
    return b"".join(_BATCH_ITEM.pack(part.type, len(part.payload)) + part.payload for part in parts)


class RoundTrip:
    """Jacobson's estimate of how long an answer takes, in seconds."""

    def __init__(self) -> None:
        self.timeout = RTO_START_S
        """When one is overdue."""
        self.soonest = 0.0
        """Before this there is none, as a rule."""
        self._smoothed = 0.0
        self._deviation = 0.0
        self._size = 0.0

    def share(self, size: int) -> float:
        """How many times as long it may take for a frame of so many bytes, on a line of unknown speed."""
        return max(1.0, min(size / self._size, LONGER)) if self._size else 1.0

    def learn(self, seconds: float, size: int) -> None:
        """Take one more measurement: of a frame of so many bytes."""
        if not self._smoothed:
            self._smoothed = seconds
            self._deviation = seconds / 2
            self._size = size
        else:
            self._size += (size - self._size) / 8
            error = seconds - self._smoothed
            self._smoothed += error / 8
            self._deviation += (abs(error) - self._deviation) / 4
        self.timeout = self._smoothed + max(4 * self._deviation, self._smoothed / 2)
        self.soonest = self._smoothed - self._deviation


class SendWindow:
    """Frames that wait to be sent, and those sent and not acknowledged yet.

    Args:
        frames: how many the peer takes in flight.
        buffer: of the peer, bytes: so many may be in flight, or less if it grants less.
        piece_bytes: longest payload of a frame; what is longer is cut.
        batch_bytes: longest payload of a frame of several messages.
    """

    def __init__(self, frames: int, buffer: int, piece_bytes: int, batch_bytes: int) -> None:
        self.round_trip = RoundTrip()
        self.queue: deque[Item] = deque()
        self._frames = min(frames, WINDOW)
        self.piece_bytes = piece_bytes
        self.batch_bytes = batch_bytes
        self._buffer = self._credit = buffer
        self._flight: deque[Item] = deque()
        self._withheld: list[Item] = []
        self._in_flight_bytes = 0
        self._next = 0
        self._order = 0

    def acknowledge(self, ack: int, sack: int, now: float) -> list[Item]:
        """Frames before `ack` have arrived, and those whose bits are set in `sack`.

        Returns those that are now delivered in order. Nonsense is ignored.
        """
        if not self._flight:
            return []
        base = self._flight[0].seq
        count = (ack - base) & MASK
        if count > len(self._flight):
            return []
        newest: Item | None = None
        for index, item in enumerate(self._flight):
            if item.arrived or not (index < count or (index > count and sack >> (index - count - 1) & 1)):
                continue
            item.arrived = True
            answerable = item.tries == 1 or self._answerable(item, now)
            if item.tries == ONCE_MORE and not answerable:  # it was late, and not lost
                self.round_trip.learn(now - item.first_at, item.size)
            if answerable and (newest is None or item.order > newest.order):
                newest = item
        if newest is not None:
            self._arrived(newest, now)
        delivered = [self._flight.popleft() for _ in range(count)]
        self._in_flight_bytes -= sum(item.size for item in delivered)
        if not self._flight:
            self._credit = self._buffer
        return delivered

    def grant(self, credit: int) -> None:
        """The peer has so many bytes free."""
        self._credit = min(credit, self._buffer)

    def refuse(self, ack: int, now: float) -> None:
        """The peer got something damaged, and misses frame `ack`.

        Only if nothing was sent after it: else that will tell, by arriving, whether it was lost.
        """
        item = self._flight[0] if self._flight else None
        if item is not None and item.seq == ack and item.order == self._order:
            item.lost = item.lost or self._answerable(item, now)

    def take(self, now: float) -> Item | None:
        """The frame to send now, if there is one: a lost one, an overdue one, or the next new one."""
        item = self._to_repeat(now)
        if item is None:
            item = self._next_new()
        if item is not None:
            self._order += 1
            item.order = self._order
            item.tries += 1
            item.first_at = item.first_at or now
            item.sent_at = now
            item.lost = False
        return item

    def withhold(self, item: Item) -> None:
        """It was taken and must not go yet, but by `release` or when it is overdue."""
        item.tries -= 1
        self._withheld.append(item)

    def release(self) -> None:
        """What was withheld may go now."""
        for item in self._withheld:
            item.lost = True
        self._withheld.clear()

    def in_flight(self) -> Iterator[Item]:
        """Those sent and not acknowledged, in their order."""
        return iter(self._flight)

    def due(self) -> float | None:
        """When the oldest frame in flight is overdue."""
        item = self._oldest()
        return None if item is None else self._overdue_at(item)

    def timeouts(self) -> int:
        """How often the oldest frame in flight has been overdue."""
        item = self._oldest()
        return 0 if item is None else item.timeouts

    def expire(self, now: float) -> list[Item]:
        """Drop what waited too long without having been sent."""
        late = [item for item in self.queue if item.expires is not None and item.expires <= now]
        for item in late:
            self.queue.remove(item)
        return late

    def withdraw(self, now: float) -> None:
        """What could still begin must not any more: its time is over as of now."""
        for item in (*self.queue, *self._flight):
            item.withdraw(now)

    def _answerable(self, item: Item, now: float) -> bool:
        """Whether the peer can have answered its last transmission."""
        return now - item.sent_at >= self.round_trip.soonest * self.round_trip.share(item.size)

    def _arrived(self, newest: Item, now: float) -> None:
        if newest.tries == 1:  # of a repeated one it is unknown which was answered (Karn)
            self.round_trip.learn(now - newest.sent_at, newest.size)
        for item in self._flight:
            if not item.arrived and item.order < newest.order:
                item.lost = True

    def _to_repeat(self, now: float) -> Item | None:
        oldest = None
        for item in self._missing():
            if item.lost:
                return item
            oldest = oldest or item
        if oldest is None or self._overdue_at(oldest) > now:
            return None
        oldest.timeouts += 1
        return oldest

    def _next_new(self) -> Item | None:
        if not self.queue or len(self._flight) >= self._frames:
            return None
        size = min(len(self.queue[0].payload), self.piece_bytes) + OVERHEAD_BYTES
        if self._flight and self._in_flight_bytes + size > self._credit:
            return None
        item = self._batch() or self._cut(self.queue.popleft())
        size = item.size
        item.seq = self._next
        self._next = (self._next + 1) & MASK
        self._in_flight_bytes += size
        self._flight.append(item)
        return item

    def _batch(self) -> Item | None:
        """What waits at the head of the queue and fits into one frame; None if that is one message."""
        if len(self.queue) < 2:
            return None
        room = min(self.batch_bytes, self.piece_bytes)
        if self._flight:
            room = min(room, self._credit - self._in_flight_bytes - OVERHEAD_BYTES)
        count = 0
        for item in self.queue:
            room -= len(item.payload) + BATCH_ITEM_BYTES
            if room < 0 or item.rest:
                break
            count += 1
        if count < 2:
            return None
        parts = tuple(self.queue.popleft() for _ in range(count))
        return Item(0, Type.BATCH, _together(parts), None, parts=parts)

    def _cut(self, item: Item) -> Item:
        """Its first piece; the rest goes back to the queue, and has begun."""
        size = self.piece_bytes
        if len(item.payload) <= size:
            return item
        self.queue.appendleft(Item(item.token, item.type, item.payload[size:], None, rest=True))
        return Item(0, item.type, item.payload[:size], item.expires, more=True)

    def _overdue_at(self, item: Item) -> float:
        least = RTO_MIN_S if item.tries <= item.timeouts + 1 else RTO_AGAIN_S
        share = self.round_trip.share(item.size)
        patience = max(self.round_trip.timeout, least) * share * (1 << item.timeouts)
        return item.sent_at + min(patience, RTO_MAX_S)

    def _oldest(self) -> Item | None:
        return next(self._missing(), None)

    def _missing(self) -> Iterator[Item]:
        return (item for item in self._flight if not item.arrived)


class ReceiveWindow:
    """Puts frames in order."""

    def __init__(self) -> None:
        self.expected = 0
        """The next number that has not come."""
        self._early: dict[int, Frame] = {}

    def accept(self, frame: Frame) -> list[Frame]:
        """The frames that can be handed on now; none for one that came before or makes no sense."""
        if (frame.seq - self.expected) & MASK >= RECEIVE_FRAMES:
            return []
        self._early[frame.seq] = frame
        ready = []
        while (following := self._early.pop(self.expected, None)) is not None:
            ready.append(following)
            self.expected = (self.expected + 1) & MASK
        return ready

    @property
    def gap(self) -> bool:
        """Whether a frame is missing before one that has come."""
        return bool(self._early)

    def sack(self) -> int:
        """Bits of the frames after `expected` that have come; bit 0 is the one right after it."""
        return sum(1 << ((seq - self.expected - 1) & MASK) for seq in self._early)
