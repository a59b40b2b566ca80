"""What an end of a line says to what it gets: when an acknowledgement is due, and when a NAK. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge.frames import Kind
from boardtalk.modules.iot_bridge.link.window import RTO_MIN_S, ReceiveWindow

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.link.framing import Frame

ACK_DELAY_S: Final = 0.005
"""How long an acknowledgement waits for a frame to ride on."""
ACK_FRAMES: Final = 2
"""… or for a second frame."""
_ANY_CREDIT: Final = b"\xff\xff"


class Acks:
    """Of one session.

    Args:
        now: when it begins, monotonic seconds.
    """

    def __init__(self, now: float) -> None:
        self.at: float | None = None
        """When an acknowledgement must go by itself."""
        self.refusing = False
        """Something is damaged or missing: a NAK must go, now."""
        self._window = ReceiveWindow()
        self._unacknowledged = 0
        self._asked_for = -1
        self._asked_at = now

    @property
    def expected(self) -> int:
        """Number of the next frame that has not come; each frame of ours carries it."""
        return self._window.expected

    @property
    def body(self) -> bytes:
        """Of an acknowledgement, `frames.AckBody`: what has come beyond that, and room for more."""
        return self._window.sack().to_bytes(4, "little") + _ANY_CREDIT

    def accept(self, frame: Frame, now: float) -> list[Frame]:
        """The frames that can be handed on now, in order."""
        ready = self._window.accept(frame)
        self._unacknowledged += len(ready)
        self.refusing = self.refusing or self._window.gap
        if self._unacknowledged >= ACK_FRAMES or not ready:
            self.at = now
        elif self.at is None:
            self.at = now + ACK_DELAY_S
        return ready

    def sent(self) -> None:
        """A frame of ours goes, and acknowledges all that has come."""
        self._unacknowledged = 0
        self.at = None

    def refuse(self, now: float) -> Kind:
        """What goes because something is wrong: a NAK; right after one for the same frame, an ACK."""
        self.refusing = False
        if self._asked_for == self.expected and now - self._asked_at < RTO_MIN_S:
            return Kind.ACK
        self._asked_for, self._asked_at = self.expected, now
        return Kind.NAK
