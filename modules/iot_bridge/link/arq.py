"""Reliable frames over a lossy line, without I/O: bytes and times go in, bytes and events come out.

This is the gateway's end; the firmware has its mirror. The loop around it is always the same::

    events = link.receive(data, now)      # also with b"" when `deadline` has passed
    while data := link.to_send(now): ...  # write it
    link.deadline()                       # come back then at the latest
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.errors import LinkBusy, SessionLost, TooLong, VersionError
from boardtalk.modules.iot_bridge.frames import MAX_PAYLOAD, OVERHEAD_BYTES, Kind, Type
from boardtalk.modules.iot_bridge.link.acks import Acks
from boardtalk.modules.iot_bridge.link.events import (
    Counters,
    Delivered,
    Ended,
    Event,
    Expired,
    Opened,
    Timed,
    Undelivered,
)
from boardtalk.modules.iot_bridge.link.framing import NO_SESSION, Deframer, Frame, Text, encode
from boardtalk.modules.iot_bridge.link.heartbeat import Heartbeat
from boardtalk.modules.iot_bridge.link.hello import CTRL_C, greeting, parse_hello
from boardtalk.modules.iot_bridge.link.window import MASK, Item, SendWindow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from boardtalk.modules.iot_bridge.errors import SessionError
    from boardtalk.modules.iot_bridge.link.clock import BoardClock
    from boardtalk.modules.iot_bridge.link.hello import Hello

QUEUE_FRAMES: Final = 128
"""Reliable frames that may wait for room in the window."""
DATAGRAMS: Final = 16
"""Unreliable frames that may wait; the oldest goes first overboard."""
WRITE_BYTES: Final = 64
"""What goes into one write, if the line does not say."""

MIN_PIECE_BYTES: Final = 6
"""Of a message's payload in a frame, however slow the line is."""
BATCH_SHARE: Final = 2
"""A frame of several messages is so much shorter than the longest may be: a stop waits for it."""
ACK_BYTES: Final = frames.AckBody.sizeof()
NUMBERED: Final = frozenset({Kind.DGRAM, Kind.LOG})
"""Unreliable frames whose losses are counted."""
HELLO_FAST_S: Final = 0.1
HELLO_SLOW_S: Final = 0.5
HELLO_FAST: Final = 10
"""The first ten HELLOs follow each other fast; a board that boots takes a second or two."""
GIVE_UP_TIMEOUTS: Final = 8
"""Of one frame, each twice as long as the one before: seconds, from a board that is else alive."""
FRESH_S: Final = 0.05
"""A board that was heard so lately is not starting: none has begun its program so soon after a reset."""
QUIET_S: Final = 0.1
"""A line without a delimiter is handed on as text when nothing follows for so long."""


class Link:
    """One end of a line.

    Args:
        frame_bytes: longest reliable frame on the line; what is longer is cut. 0: as the wire format says.
    """

    # Of the session: made anew by `_begin`.
    _seed: int
    _sending: SendWindow
    _acks: Acks
    _wire: bytes
    """Frames that have arrived, of a message that has not yet."""
    _datagrams: deque[tuple[Kind, int, bytes, int]]
    _datagram: int
    """Number of the next one."""
    _report: int
    """Number of the peer's next one."""
    _urgent: deque[tuple[Kind, int, bytes]]
    _hello_at: float | None
    _heard_at: float
    """When the last frame of the session came."""

    def __init__(self, frame_bytes: int = 0) -> None:
        self.counters = Counters()
        self._piece_bytes = max(frame_bytes - OVERHEAD_BYTES, MIN_PIECE_BYTES) if frame_bytes else MAX_PAYLOAD
        self._batch_bytes = frame_bytes // BATCH_SHARE - OVERHEAD_BYTES if frame_bytes else MAX_PAYLOAD
        self._heartbeat = Heartbeat()
        self._deframer = Deframer()
        self._nonce = 0
        self._token = 0
        self._greeting = b""
        self._hellos = 0
        self._quiet_at: float | None = None
        self._begin(NO_SESSION, 1, MAX_PAYLOAD, 0.0)

    @property
    def is_open(self) -> bool:
        """Whether there is a session."""
        return self._seed != NO_SESSION

    @property
    def clock(self) -> BoardClock:
        """The board's."""
        return self._heartbeat.clock

    @property
    def piece_bytes(self) -> int:
        """Longest payload that goes in one frame."""
        return self._sending.piece_bytes

    def open(self, nonce: int, now: float) -> None:
        """Ask the board for a new session, again and again until it answers (`Opened`).

        Args:
            nonce: random, 32 bits, not 0.
            now: monotonic seconds, here and everywhere.
        """
        self._begin(NO_SESSION, 1, MAX_PAYLOAD, now)
        self._nonce = nonce
        self._greeting = greeting(nonce)
        self._hello_at = now
        self._hellos = 0

    def set_moving(self, moving: bool, now: float) -> None:
        """Whether something moves, so that silence must be noticed soon."""
        self._heartbeat.set_moving(moving, now)

    # Sending ------------------------------------------------------------------------------------

    def send(self, type_: int, payload: bytes, expires: float | None = None) -> int:
        """Queue a reliable frame; returns the token by which events name it.

        Args:
            type_: what it means.
            payload: at most `MAX_PAYLOAD` bytes.
            expires: when it is too late to begin. `payload` then begins with the same as a deadline
                by the board's clock (u32). Unsent, it is dropped then; once sent it is repeated even
                then, since the board's answer tells whether an earlier copy came in time.

        Raises:
            LinkBusy: too many wait already.
            SessionLost: there is no session.
            TooLong: the payload is.
        """
        _check_size(payload)
        if not self.is_open:
            raise SessionLost("there is no session with the board")
        if len(self._sending.queue) >= QUEUE_FRAMES:
            raise LinkBusy(f"{QUEUE_FRAMES} frames wait for the line already; try again later")
        self._token += 1
        self._sending.queue.append(Item(self._token, type_, payload, expires))
        return self._token

    def send_datagram(self, type_: int, payload: bytes, kind: Kind = Kind.DGRAM) -> None:
        """Queue a frame that may be lost. Raises TooLong."""
        _check_size(payload)
        number = self._datagram if kind in NUMBERED else 0
        self._datagram = (self._datagram + (kind in NUMBERED)) & MASK
        self._datagrams.append((kind, type_, payload, number))

    def send_urgent(self, type_: int, payload: bytes) -> None:
        """Queue a frame ahead of all others, once. Its sender repeats it until answered."""
        self._urgent.append((Kind.URGENT, type_, payload))

    def withdraw(self, now: float) -> None:
        """Let everything expire that was to `send` until some time: a stop came."""
        self._sending.withdraw(now)

    def undelivered(self) -> Iterator[Undelivered]:
        """What was sent and is not acknowledged."""
        wire = self._wire
        for item in self._sending.in_flight():
            wire += item.wire
            for part in item.parts or (item,):
                if part.token and item.tries:
                    yield Undelivered(part.token, item.tries, wire)
            if not item.more:
                wire = b""

    def to_send(self, now: float, room: int = WRITE_BYTES) -> bytes:
        """The next bytes for the line: small frames together, b"" if there is nothing to say.

        Args:
            now: monotonic seconds.
            room: no further frame follows beyond so many bytes: what is written, stop can't overtake.
        """
        out = bytearray()
        while len(out) < room and (data := self._next_frame(now)):
            self.counters.sent += 1
            out += data
        return bytes(out)

    def deadline(self) -> float | None:
        """When `receive` and `to_send` must be called at the latest, even if nothing comes."""
        times = (self._hello_at, self._acks.at, self._heartbeat.due, self._quiet_at)
        waiting = [item.expires for item in self._sending.queue]
        return min((at for at in (*times, *waiting, self._sending.due()) if at is not None), default=None)

    # Receiving ----------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Event]:
        """What came, and what the passing of time brought about. Never raises, whatever `data` is."""
        events: list[Event] = []
        for item in self._deframer.feed(data):
            if isinstance(item, Frame):
                events += self._on_frame(item, now)
            elif isinstance(item, Text):
                events.append(item)
            else:
                self._on_bad()
        events += self._watch(bool(data), now)
        return events

    # Frames in ----------------------------------------------------------------------------------

    def _on_frame(self, frame: Frame, now: float) -> Iterator[Event]:
        self.counters.received += 1
        if frame.kind is Kind.HELLO:
            yield from self._on_hello(frame, now)
            return
        self._heartbeat.missed = 0
        self._heard_at = now
        self._sending.release()
        yield from self._acknowledged(frame, now)
        match frame.kind:
            case Kind.DATA:
                yield from self._on_data(frame, now)
            case Kind.NAK:
                self._sending.refuse(frame.ack, now)
            case Kind.TIME:
                yield from self._on_time(frame.payload, now)
            case Kind.ACK:
                pass
            case Kind.DGRAM | Kind.LOG:
                self._count_lost(frame.seq)
                yield frame
            case _:
                yield frame

    def _acknowledged(self, frame: Frame, now: float) -> Iterator[Event]:
        for item in self._sending.acknowledge(frame.ack, self._sack(frame), now):
            self._wire += item.wire
            for part in item.parts or (item,):
                if part.token:
                    yield Delivered(part.token, item.tries, self._wire, now - item.first_at)
            if not item.more:
                self._wire = b""

    def _on_data(self, frame: Frame, now: float) -> list[Frame]:
        return self._acks.accept(frame, now)

    def _on_bad(self) -> None:
        self.counters.bad += 1
        self._acks.refusing = self.is_open

    def _count_lost(self, number: int) -> None:
        gap = (number - self._report) & MASK
        if gap <= MASK >> 1:  # else it came before
            self.counters.lost += gap
            self._report = (number + 1) & MASK

    def _on_time(self, payload: bytes, now: float) -> Iterator[Event]:
        first = self.clock.read(now) is None
        missing = self._heartbeat.answered(payload, now)
        if missing is None:
            return
        self.counters.missed = missing
        if first:
            yield Timed()

    def _sack(self, frame: Frame) -> int:
        if frame.kind not in {Kind.ACK, Kind.NAK} or len(frame.payload) < ACK_BYTES:
            return 0
        self._sending.grant(int.from_bytes(frame.payload[4:6], "little"))
        return int.from_bytes(frame.payload[:4], "little")

    # Sessions -----------------------------------------------------------------------------------

    def _on_hello(self, frame: Frame, now: float) -> Iterator[Event]:
        hello = parse_hello(frame.payload)
        if hello is None:
            self.counters.bad += 1
        elif hello.host_nonce == 0:
            if self.is_open:
                yield self._end(SessionLost(f"the board restarted ({hello.reset})"))
            elif self._hello_at is not None:
                self._hello_at = now
        elif hello.host_nonce == self._nonce and not self.is_open:
            yield self._opened(hello, now)

    def _opened(self, hello: Hello, now: float) -> Event:
        if hello.version != frames.VERSION:
            return self._end(
                VersionError(
                    f"the board ({hello.firmware}) does not speak protocol version {frames.VERSION}: "
                    "put this gateway's client on it"
                )
            )
        seed = frames.session_seed(self._nonce, hello.boot, hello.dictionary)
        self._begin(seed, hello.window, max(hello.buffer, MAX_PAYLOAD), now)
        self._sending.piece_bytes = max(min(self._piece_bytes, hello.max_payload), MIN_PIECE_BYTES)
        if hello.max_payload < MAX_PAYLOAD:
            self._sending.batch_bytes = 0
        self._heartbeat.begin(now)
        return Opened(hello)

    def _begin(self, seed: int, window: int, credit: int, now: float) -> None:
        self._seed = self._deframer.seed = seed
        self._sending = SendWindow(window, credit, self._piece_bytes, self._batch_bytes)
        self._acks = Acks(now)
        self._wire = b""
        self._datagrams = deque(maxlen=DATAGRAMS)
        self._datagram = self._report = 0
        self._urgent = deque(maxlen=DATAGRAMS)
        self._hello_at = None
        self._heard_at = now
        self._heartbeat.begin(None)

    def _end(self, error: SessionError) -> Ended:
        undelivered = tuple(self.undelivered())
        self._begin(NO_SESSION, 1, MAX_PAYLOAD, 0.0)
        return Ended(error, undelivered)

    # The passing of time --------------------------------------------------------------------------

    def _watch(self, heard: bool, now: float) -> Iterator[Event]:
        if heard:
            self._quiet_at = now + QUIET_S
        elif self._quiet_at is not None and self._quiet_at <= now:
            self._quiet_at = None
            yield from self._deframer.flush()
        for item in self._sending.expire(now):
            yield Expired(item.token)
        due = self._sending.due()
        if due is not None and due <= now and self._sending.timeouts() >= GIVE_UP_TIMEOUTS:
            yield self._end(SessionLost("the board does not acknowledge what it is sent"))
        elif self._heartbeat.silent(now):
            yield self._end(SessionLost("the board fell silent"))

    # Frames out ---------------------------------------------------------------------------------

    def _next_frame(self, now: float) -> bytes:
        """The most urgent frame, as bytes. The order of this method is the order of precedence."""
        if self._hello_at is not None and self._hello_at <= now:
            return self._hello(now)
        if not self.is_open:
            return b""
        if self._urgent:
            return self._once(*self._urgent.popleft())
        if self._acks.refusing and (frame := self._unless_starting(self._refuse(now), now)):
            return frame
        while (item := self._sending.take(now)) is not None:
            if frame := self._unless_starting(self._data(item), now):
                return frame
            self._sending.withhold(item)
        if self._datagrams and (frame := self._unless_starting(self._once(*self._datagrams[0]), now)):
            self._datagrams.popleft()
            return frame
        due = self._heartbeat.due
        if due is not None and due <= now:
            return self._heartbeat.ask(now, self._question)
        if self._acks.at is not None and self._acks.at <= now:
            return self._unless_starting(self._acknowledge(Kind.ACK), now)
        return b""

    def _unless_starting(self, frame: bytes, now: float) -> bytes:
        """A frame; nothing if it has a Ctrl-C and the board may be starting: it would stay at its prompt.

        That is so if it was not heard lately: then it is asked first.
        """
        if CTRL_C not in frame or now - self._heard_at <= FRESH_S:
            return frame
        self._heartbeat.hurry(now)
        return b""

    def _hello(self, now: float) -> bytes:
        self._hellos += 1
        pause = HELLO_FAST_S if self._hellos < HELLO_FAST else HELLO_SLOW_S
        self._hello_at = now + pause
        return self._greeting

    def _data(self, item: Item) -> bytes:
        again = item.tries > 1
        self.counters.resent += again
        item.wire = self._encode(Kind.DATA, item.type, item.payload, item.seq, again=again, more=item.more)
        return item.wire

    def _once(self, kind: Kind, type_: int, payload: bytes, number: int = 0) -> bytes:
        return self._encode(kind, type_, payload, number)

    def _refuse(self, now: float) -> bytes:
        return self._acknowledge(self._acks.refuse(now))

    def _acknowledge(self, kind: Kind) -> bytes:
        return self._encode(kind, Type.NONE, self._acks.body)

    def _question(self, payload: bytes) -> bytes:
        ack = self._acks.expected
        if ack != CTRL_C[0]:
            return self._encode(Kind.TIME, Type.TIME, payload)
        before = ack - 1  # that was true, too
        return encode(Kind.TIME, Type.TIME, payload, seq=0, ack=before, retry=False, seed=self._seed)

    def _encode(
        self,
        kind: Kind,
        type_: int,
        payload: bytes,
        seq: int = 0,
        *,
        again: bool = False,
        more: bool = False,
    ) -> bytes:
        ack = self._acks.expected
        self._acks.sent()
        return encode(kind, type_, payload, seq=seq, ack=ack, retry=again, seed=self._seed, more=more)


def _check_size(payload: bytes) -> None:
    if len(payload) > MAX_PAYLOAD:
        raise TooLong(f"{len(payload)} bytes on the line, but only {MAX_PAYLOAD} fit: say it in fewer words")
