"""Reliable frames over a byte stream, by selective repeat; the mirror of the host's link.

Frames of the kind DATA are numbered, kept until acknowledged and repeated meanwhile; those that
come out of order wait for the missing ones, which are asked for at once. All other kinds are sent
once. Every buffer is made at the start.
"""

from struct import pack_into, unpack_from

from micropython import const

from boardtalk import frames, framing
from boardtalk.hal import ticks_diff, ticks_ms
from boardtalk.values import clip
from boardtalk.window import ReceiveWindow, SendWindow

INFO = const(20)
ERROR = const(40)

NOTHING = const(-1)
DAMAGED = const(-2)

RECEIVE_BYTES = const(1024)
"""Buffer for what comes over the line."""

OUTBOX = const(16)
"""Frames that may wait for room in the window."""

_MAX_LOG_BYTES = const(242)
_PEER_SILENCE_MS = const(5000)  # five heartbeats missed: nobody is there
_RTO_MIN_MS = const(25)
_RTO_MAX_MS = const(5000)
_RTO_START_MS = const(200)


class Link:
    """One end of the line.

    `receive` returns the kind of each frame that can't wait, `take` finds the reliable ones in
    order; both describe the frame by `type`, `payload` with `at` and `end`, and `arrived`.
    """

    def __init__(self, stream, window=frames.WINDOW):
        self.seed = -1
        """Where CRCs start in this session; -1: there is none."""
        self.dropped = 0
        """Frames for which there was no room."""
        self.type = 0
        self.payload = None
        """The buffer that holds the payload, from `at` to `end`."""
        self.at = 0
        self.end = 0
        self.arrived = 0
        """When it came, in ticks."""
        self._stream = stream
        self._deframer = framing.Deframer(RECEIVE_BYTES)
        self._sending = SendWindow(window)
        self._receiving = ReceiveWindow(window)
        self._outbox = []
        self._buffer = bytearray(framing.LINE_BYTES)
        self._view = memoryview(self._buffer)
        self._rest = bytearray(framing.LINE_BYTES)
        self._rest_size = 0
        self._heard = 0
        self._rtt8 = 0  # smoothed round trip, ms · 8
        self._deviation4 = 0  # its mean deviation, ms · 4
        self._timeout = _RTO_START_MS
        self._ack_due = False
        self._nak_due = False
        self._nak_for = -1
        self._nak_time = 0

    # Receiving ----------------------------------------------------------------------------------

    def fill(self):
        """Read what has come over the line; returns the number of bytes."""
        return self._deframer.fill(self._stream)

    def receive(self):
        """The kind of the next frame that can't wait; NOTHING: there is none.

        DAMAGED: one that failed its check, or of a session that this end does not know.
        """
        while True:
            found = self._deframer.next(self.seed)
            if found == framing.NONE:
                return NOTHING
            if found == framing.BAD:
                self._nak_due = True
                return DAMAGED
            kind = self._sort(ticks_ms())
            if kind != NOTHING:
                return kind

    def take(self):
        """Whether there is a next reliable frame; not while its answers would find no room."""
        if self.crowded():
            return False
        window = self._receiving
        slot = window.take()
        if slot < 0:
            return False
        self.arrived = window.arrivals[slot]
        self._describe(window.buffers[slot], 0, window.end)
        return True

    def interrupted(self):
        """Whether a Ctrl-C stands outside of a frame."""
        return self._deframer.interrupted()

    def give_up(self):
        """Drop an unfinished frame: the line has been quiet for too long."""
        self._deframer.give_up()

    # Sending ------------------------------------------------------------------------------------

    def send(self, type_, payload):
        """Send a frame reliably, as soon as the window has room.

        Answers are few, since `take` waits for room; whoever sends anything else asks `crowded`.
        """
        self._outbox.append((type_, payload))
        self._pump()

    def crowded(self):
        """Whether so many frames wait for room in the window that nothing should be added."""
        return len(self._outbox) >= OUTBOX

    def datagram(self, kind, type_, payload):
        """Send a frame once. False: the line is full."""
        size = len(payload)
        self._buffer[framing.PAYLOAD_AT : framing.PAYLOAD_AT + size] = payload
        if self._send_once(kind, type_, size):
            return True
        self.dropped += 1
        return False

    def log(self, level, text):
        """Send a line of text for people; printed on the console if nobody is there."""
        if self.connected():
            self.datagram(frames.KIND_LOG, frames.TYPE_NONE, bytes([level]) + clip(text, _MAX_LOG_BYTES))
        else:
            print(text)

    def flush(self):
        """Acknowledge what has come, unless a frame has done so on its way."""
        if self.seed < 0:
            return
        if self._nak_due:
            self._ask_again(ticks_ms())
        if self._ack_due:
            self._send_ack(frames.KIND_ACK)

    def tick(self):
        """Repeat what has not been acknowledged in time."""
        self._finish_rest()
        self.flush()
        if self.seed < 0:
            return
        now = ticks_ms()
        while (number := self._sending.overdue(now, self._timeout, _RTO_MAX_MS)) >= 0:
            self._transmit(number, now)

    def connected(self):
        """Whether there is a session and the peer was heard lately."""
        return self.seed >= 0 and ticks_diff(ticks_ms(), self._heard) < _PEER_SILENCE_MS

    def open(self, seed):
        """Begin a session. What the peer had not acknowledged goes again."""
        self._outbox = self._sending.drain() + self._outbox
        self._receiving = ReceiveWindow(self._receiving.size)
        self.seed = seed
        self._heard = ticks_ms()
        self._timeout = _RTO_START_MS
        self._rtt8 = self._deviation4 = 0
        self._ack_due = self._nak_due = False

    # Inside -------------------------------------------------------------------------------------

    def _sort(self, now):
        """Deal with the frame found; its kind if it is for the board at once."""
        deframer = self._deframer
        buffer = deframer.buffer
        at = deframer.at
        kind = (buffer[at] & frames.CTL_KIND_MASK) >> frames.CTL_KIND_SHIFT
        if kind != frames.KIND_HELLO:
            if buffer[at] & frames.CTL_VERSION_MASK != frames.VERSION:
                return NOTHING
            self._heard = now
            self._acknowledged(buffer[at + 2], now)
        if kind == frames.KIND_DATA:
            self._ack_due = True
            if self._receiving.keep(buffer[at + 1], deframer.frame, now):
                self._nak_due = True
            return NOTHING
        self.arrived = now
        self._describe(buffer, at, deframer.end)
        if kind == frames.KIND_ACK or kind == frames.KIND_NAK:
            self._repair(kind, buffer[at + 2], now)
            return NOTHING
        if kind == frames.KIND_TIME:
            self._tell_time(now)
            return NOTHING
        return kind

    def _describe(self, buffer, header_at, end):
        self.type = buffer[header_at + 4] | buffer[header_at + 5] << 8
        self.payload = buffer
        self.at = header_at + frames.HEADER_BYTES
        self.end = end

    def _acknowledged(self, ack, now):
        round_trip = self._sending.acknowledge(ack, now)
        if round_trip >= 0:
            self._learn(round_trip)
        if self._outbox:
            self._pump()

    def _learn(self, round_trip):
        """Jacobson's estimate of the retransmission timeout."""
        error = round_trip - (self._rtt8 >> 3)
        self._rtt8 += error
        self._deviation4 += abs(error) - (self._deviation4 >> 2)
        self._timeout = min(max((self._rtt8 >> 3) + self._deviation4, _RTO_MIN_MS), _RTO_MAX_MS)

    def _repair(self, kind, ack, now):
        """Repeat what the peer misses."""
        if self.end - self.at < frames.ACK_BODY_BYTES:
            return
        sending = self._sending
        sending.mark(ack, unpack_from(frames.ACK_BODY, self.payload, self.at)[0])
        if kind == frames.KIND_NAK and ack == sending.base != sending.next:
            if ticks_diff(now, sending.times[ack % sending.size]) >= self._rtt8 >> 3:
                self._transmit(ack, now)
        while (number := sending.overtaken()) >= 0:
            self._transmit(number, now)

    def _tell_time(self, now):
        if self.end - self.at == frames.TIME_BODY_BYTES:
            host_ms = self.payload[self.at : self.at + 4]
            self._buffer[framing.PAYLOAD_AT : framing.PAYLOAD_AT + 4] = host_ms
            pack_into("<I", self._buffer, framing.PAYLOAD_AT + 4, now & 0xFFFFFFFF)
            self._send_once(frames.KIND_TIME, frames.TYPE_TIME, frames.TIME_BODY_BYTES)

    def _ask_again(self, now):
        self._nak_due = False
        expected = self._receiving.expected
        if expected == self._nak_for and ticks_diff(now, self._nak_time) < _RTO_MIN_MS:
            return
        self._nak_for = expected
        self._nak_time = now
        self._send_ack(frames.KIND_NAK)

    def _send_ack(self, kind):
        receiving = self._receiving
        credit = receiving.free() * framing.LINE_BYTES
        pack_into(frames.ACK_BODY, self._buffer, framing.PAYLOAD_AT, receiving.sack(), credit)
        self._send_once(kind, frames.TYPE_NONE, frames.ACK_BODY_BYTES)

    def _pump(self):
        """Move frames from the outbox into the window and onto the line."""
        while self._outbox and self.seed >= 0 and not self._sending.full():
            type_, payload = self._outbox.pop(0)
            self._transmit(self._sending.add(type_, payload), ticks_ms())

    def _transmit(self, number, now):
        sending = self._sending
        slot = number % sending.size
        buffer = sending.buffers[slot]
        control = frames.VERSION  # kind DATA is 0
        if sending.attempts[slot]:
            sending.reopen(slot)
            control |= frames.CTL_RETRY
        sending.count_attempt(slot, now)
        buffer[framing.HEADER_AT] = control
        buffer[framing.ACK_AT] = self._receiving.expected
        view = sending.views[slot]
        size = framing.seal(buffer, view, sending.payload_sizes[slot], self.seed)
        self._write(buffer, view, size)

    def _send_once(self, kind, type_, size):
        seed = 0 if kind == frames.KIND_HELLO else self.seed
        if seed < 0:
            return False
        control = frames.VERSION | kind << frames.CTL_KIND_SHIFT
        expected = self._receiving.expected
        pack_into(frames.HEADER, self._buffer, framing.HEADER_AT, control, 0, expected, 0, type_)
        return self._write(self._buffer, self._view, framing.seal(self._buffer, self._view, size, seed))

    def _write(self, buffer, view, size):
        """Write a frame as a whole: what finds no room now is written before anything else."""
        self._finish_rest()
        if self._rest_size:
            return False
        done = self._stream.write(buffer, size)
        if 0 < done < size:
            self._rest_size = size - done
            self._rest[: self._rest_size] = view[done:size]
        if done and not self._nak_due:
            self._ack_due = False  # every frame acknowledges
        return done > 0

    def _finish_rest(self):
        if self._rest_size:
            done = self._stream.write(self._rest, self._rest_size)
            self._rest_size -= done
            self._rest[: self._rest_size] = self._rest[done : done + self._rest_size]
