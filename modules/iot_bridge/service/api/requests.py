"""What the gateway asks of the link process, and others by `link.sock`."""

from __future__ import annotations

import msgspec


class WantedBoard(msgspec.Struct, frozen=True, kw_only=True):
    """A board that the gateway knows."""

    name: str
    uid: str = ""
    """"" = whichever board is at the port."""
    port: str = "auto"
    """`auto` (found by `uid`), or a device."""
    baud: int = 115_200


class Request(msgspec.Struct, tag_field="op", kw_only=True, omit_defaults=True):
    """Base of all requests."""

    re: int = 0
    """Comes back in the answer; 0: no answer wanted."""


class Attach(Request, tag="attach"):
    """The gateway is here: answered by `Attached`; from now on it receives all events.

    Refused while another gateway is attached.
    """

    boards: tuple[WantedBoard, ...] = ()
    adopt_all: bool = False
    """Take boards without a block under the name that they declare."""
    usb: tuple[tuple[int, int], ...] = ()
    """(vendor, product) of USB devices that may be opened to look for boards."""


class Timed(Request, kw_only=True):
    """Base of what is of use for some time only."""

    at: float = 0.0
    """When it was sent, seconds of this machine's monotonic clock; 0: just now. Time runs on while it
    waits in the socket of a link process that does not run."""

    def left_ms(self, given_ms: int, now: float) -> int:
        """What is left of so many milliseconds."""
        return max(0, given_ms - int((now - self.at) * 1000)) if self.at else given_ms


class Command(Timed, tag="command", kw_only=True):
    """Carry out a command; `Progress` and one `Result` follow. An id is executed at most once.

    Given again, it is not carried out again: its result is told, or follows.
    """

    board: str
    id: int
    """1 … 2³²-1."""
    index: int
    """In the board's dictionary."""
    ttl_ms: int
    """Milliseconds within which it must start."""
    lease_ms: int = 0
    """Motion: the board stops it if nobody renews within this."""
    args: bytes = b""
    epoch: int | None = None
    """The board's epoch when the gateway accepted it: it dies if a stop came since. None: as it is now."""
    boot: int | None = None
    """None: it is new. Otherwise an earlier link process may have given it to the board, whose boot nonce
    this was then: the board is asked, or if it has started anew, nobody knows. 0: that was not noted."""


class Renew(Timed, tag="renew", kw_only=True):
    """The lease of a running motion, again. Nothing else renews it."""

    board: str
    id: int
    lease_ms: int


class Cancel(Request, tag="cancel"):
    """End a running command; its `Result` follows."""

    board: str
    id: int


class SetPoint(Timed, tag="setpoint", kw_only=True):
    """Live values for a control channel; outputs go off if none follow within the lease.

    A lease of 0 ms takes the control or lets it go, outputs off. After a lease has run out nothing
    counts until then, and `Lapsed` is told.
    """

    board: str
    index: int
    lease_ms: int
    values: bytes = b""


class Stop(Request, tag="stop"):
    """Stop boards; all, if none is named, or one that nobody knows: in doubt, stop.

    Anybody may; answered by `Stopped` after 1 s at the latest.
    """

    boards: tuple[str, ...]
    by: str


class Rearm(Request, tag="rearm"):
    """Let a stopped board move again. Answered by `Done` when the board has agreed."""

    board: str
    by: str


class ListBoards(Request, tag="boards"):
    """Answered by `Boards`."""


class GetDictionary(Request, tag="dictionary"):
    """Answered by `DictionaryText`."""

    board: str


class Tap(Request, tag="tap"):
    """Tell on this connection what goes over a board's line from now on: `Done`, then `Traffic`."""

    board: str | None
    """None: over all lines, and `Asked` and `Heard` too: what the gateway asks, and is told."""


class Borrow(Request, tag="borrow"):
    """Close a board's port for another program, as long as this connection lasts. Answered by `Lent`."""

    board: str
    """Its address; or the path of a port, where another board may be, or none."""
    by: str
    """What for, in words."""


class Printed(Request, tag="printed"):
    """What a board printed while it was lent: told as if it had come over its line. Answered by `Done`."""

    board: str
    text: str


class Update(Request, tag="update"):
    """Update a board, as long as this connection lasts: what it says to the steps is told as `UpdateTold`.

    Answered by `Updating`. Refused while somebody else does, or while it is away.
    """

    board: str
    by: str
    """What for, in words."""


class UpdateStep(Request, tag="update-step"):
    """A step of the update, or data for it. Answered by `Done` when the board has it."""

    step: bytes = b""
    """`frames.OtaStep` and the like; empty: there is data."""
    data: bytes = b""
    """At most `MAX_UPDATE_BYTES`."""


class Adopt(Request, tag="adopt"):
    """Give a waiting board a name, for good. Answered by `Done`."""

    uid: str
    name: str


class Shutdown(Request, tag="shutdown"):
    """End the link process: motions end with their leases. Answered by `Done`."""


AnyRequest = (
    Attach
    | Command
    | Renew
    | Cancel
    | SetPoint
    | Stop
    | Rearm
    | ListBoards
    | GetDictionary
    | Tap
    | Borrow
    | Printed
    | Update
    | UpdateStep
    | Adopt
    | Shutdown
)
