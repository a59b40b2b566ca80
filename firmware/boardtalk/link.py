"""Reliable frames over a byte stream, by selective repeat; the mirror of the host's link.

Frames of the kind DATA are numbered, kept until acknowledged and repeated meanwhile; those that
come out of order wait for the missing ones, which are asked for at once. All other kinds are sent
once. Every buffer is made at the start.
"""

from struct import pack, pack_into, unpack_from

from micropython import const

from boardtalk import framing, frames
from boardtalk.hal import ticks_diff, ticks_ms

OUTBOX = const(16)
"""Frames that wait for room in the window; beyond that `send` refuses."""

RECEIVE_BYTES = const(1024)

PEER_SILENCE_MS = const(5000)
"""Heartbeats come each second; after this long nobody is there."""

_RTO_MIN_MS = const(25)
_RTO_MAX_MS = const(5000)
_RTO_START_MS = const(200)
_ARRIVED = const(255)  # as number of attempts: the peer has it, but not yet all before it
_SLOT_BYTES = const(256)
_CTL = const(1)  # version


class Link:
    """One end of the line.

    `receive` returns what concerns the board at once, `take` the reliable frames in order; both
    leave the frame in `type`, `payload`, `at` and `end`.
    """

    def __init__(self, stream, window=frames.WINDOW):
        self.type = 0
        self.payload = b""
        """The buffer that holds the payload, from `at` to `end`."""
        self.at = 0
        self.end = 0
        self.arrived = 0
        """When the frame came, ticks in ms."""
        self.window = window
        self.opened = False
        """Whether a session is open."""
        self.dropped = 0
        """Frames that found no room."""
        self._stream = stream
        self._deframer = framing.Deframer(RECEIVE_BYTES)
        self._seed = -1
        self._heard = 0
        self._out = bytearray(framing.LINE_BYTES)
        self._out_view = memoryview(self._out)
        self._rest = bytearray(framing.LINE_BYTES)
        self._rest_size = 0
        self._srtt = 0
        self._rttvar = 0
        self._rto = _RTO_START_MS
        # What we send.
        self._outbox = []
        self._sent = [bytearray(framing.LINE_BYTES) for _ in range(window)]
        self._sent_views = [memoryview(slot) for slot in self._sent]
        self._sizes = bytearray(window)
        self._attempts = bytearray(window)
        self._times = [0] * window
        self._base = 0
        self._next = 0
        # What we receive.
        self._held = [bytearray(_SLOT_BYTES) for _ in range(window)]
        self._held_sizes = bytearray(window)
        self._arrivals = [0] * window
        self._taken = 0
        self._expected = 0
        self._ack_due = False
        self._nak_due = False
        self._nak_for = -1
        self._nak_time = 0
