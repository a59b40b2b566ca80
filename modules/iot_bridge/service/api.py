"""What gateway and link process say to each other over ``link.sock``, one JSON object a line.

Requests carry `op`, everything that the link process says carries `ev`. A request with `re` ≠ 0 is
answered by an object with the same `re`: the answer named at the request, or `Refused`. `bytes`
travel as base64. Values of arguments and telemetry are packed as the board's dictionary says; the
link process does not look into them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from boardtalk.modules.iot_bridge.frames import Outcome

SOCKET: Final = "link.sock"

MAX_UPDATE_BYTES: Final = 2048
"""Data of an update in one request: other messages to the board wait behind it."""

STOPPED_FIRST: Final = "a stop, or a restart of the board, came first"
"""Why a command of an older epoch comes to nothing."""


class BoardState(StrEnum):
    """How things stand with a board."""

    OFFLINE = "offline"
    """Not there; `detail` says why."""
    WAITING = "waiting"
    """There, but nobody has adopted it: `name` is empty."""
    READY = "ready"
    LATCHED = "latched"
    """Stopped; takes queries, but no motion or action until re-armed."""


# Requests ---------------------------------------------------------------------------------------


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


# Answers ----------------------------------------------------------------------------------------


class Answer(msgspec.Struct, tag_field="ev", kw_only=True, omit_defaults=True):
    """Base of all that the link process says."""

    re: int = 0
    """Of the request that this answers; 0: it came by itself."""


class Done(Answer, tag="done"):
    """It is done."""


class Refused(Answer, tag="refused"):
    """It is not done."""

    reason: str


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """What a board's clock shows."""

    offset_ms: float
    """How much more than the link process's monotonic clock."""
    drift_ppm: float
    """How many millionths faster it is; 0 while unknown."""
    error_ms: float
    """How much the offset may be wrong."""


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """Frames that nobody repeats and that did not come, since the session began."""

    from_board: int
    """Reports, log lines and progress."""
    to_board: int
    """Renewals and set-points."""


class BoardChanged(Answer, tag="board"):
    """A board as it is now; sent for all boards on attaching, then at each change."""

    name: str
    """Its address; "" while it waits for adoption."""
    uid: str
    """"" if not known."""
    port: str
    firmware: str
    state: BoardState
    epoch: int
    dictionary: str
    """Hash, hex; "" if not known yet."""
    detail: str = ""
    """In words: what is wrong and what to do."""
    declared: str = ""
    """The name that it gave itself."""
    boot: int = 0
    """Its nonce of the last start that we know of; 0: it was never met."""
    clock: Clock | None = None
    """Only when boards are listed, and there is a session."""
    lost: Lost | None = None
    """Likewise."""


class Attached(Answer, tag="attached"):
    """Welcome."""

    pid: int
    """Of the link process."""
    boards: tuple[BoardChanged, ...]


class Boards(Answer, tag="boards"):
    """All boards, and the ports that were opened for one that has not answered."""

    boards: tuple[BoardChanged, ...]


class DictionaryText(Answer, tag="dictionary"):
    """A board's dictionary, as it sent it; checked."""

    data: bytes


class Lent(Answer, tag="lent"):
    """The port is free for who borrowed it."""

    port: str
    """As pyserial takes it: a device or a URL."""
    baud: int


class Updating(Answer, tag="updating"):
    """The board can be updated."""

    uid: str
    latched: bool
    """Whether it is stopped: it must be, but for asking."""
    piece_bytes: int
    """Data in pieces of so many bytes makes full frames."""


class UpdateTold(Answer, tag="update-told"):
    """What the board says to the steps of an update."""

    data: bytes
    """`frames.OtaAnswer`, and what follows it."""


class BoardStopped(msgspec.Struct, frozen=True, kw_only=True):
    """How one board took a stop."""

    board: str
    confirmed: bool
    ms: float


class Stopped(Answer, tag="stopped"):
    """The result of a stop; boards that have not confirmed are asked on and on."""

    stopped: tuple[BoardStopped, ...]


class StopNotice(Answer, tag="stop"):
    """Somebody has stopped boards, for the audit."""

    by: str
    stopped: tuple[BoardStopped, ...]


# Events -----------------------------------------------------------------------------------------


class Stage(StrEnum):
    """How far a command has come."""

    SENT = "sent"
    """The board has it."""
    STARTED = "started"


class Progress(Answer, tag="progress"):
    """A command goes on."""

    board: str
    id: int
    stage: Stage
    percent: int | None = None
    """How far it is, if it has started and says so."""
    frame: bytes = b""
    """SENT: what was on the line; likewise the next two."""
    tries: int = 0
    ms: float = 0.0
    """Until it was acknowledged."""


class Result(Answer, tag="result"):
    """A command ended."""

    board: str
    id: int
    outcome: Outcome | None
    """None: unknown; the board restarted or vanished in mid-command."""
    data: bytes = b""
    """DONE: the returned values."""
    detail: str = ""
    """Otherwise: why, in words."""


class ReportKind(StrEnum):
    """What a `Report` is."""

    TELEMETRY = "telemetry"
    EVENT = "event"


class Report(Answer, tag="report"):
    """Values that the board sent by itself."""

    board: str
    kind: ReportKind
    index: int
    """In the dictionary's telemetry or events."""
    data: bytes


class LogLine(Answer, tag="log"):
    """A line that the board logged or printed; control characters are gone."""

    board: str
    level: int
    """10 debug, 20 info, 30 warning, 40 error; 0: console output."""
    text: str


class Lapsed(Answer, tag="lapsed"):
    """A set-point came after the lease of the last one, and was thrown away."""

    board: str
    index: int


class Traffic(Answer, tag="traffic"):
    """Bytes on a board's line, for those who have asked by `Tap`."""

    at: float
    """Seconds of this machine's monotonic clock."""
    board: str
    down: bool
    """Whether to the board."""
    data: bytes


class Asked(Answer, tag="asked"):
    """What the gateway asked, for those who have tapped everything."""

    at: float
    request: AnyRequest


class Heard(Answer, tag="heard"):
    """What the gateway was told: an event, or the answer to what it asked."""

    at: float
    event: AnyEvent | Done | Refused | Stopped


class Dropped(Answer, tag="dropped"):
    """A board sends more than it may; so many reports and log lines were thrown away since."""

    board: str
    count: int


AnyEvent = BoardChanged | StopNotice | Progress | Result | Report | LogLine | Lapsed | Dropped

AnyAnswer = (
    Done
    | Refused
    | Attached
    | BoardChanged
    | Boards
    | DictionaryText
    | Lent
    | Updating
    | UpdateTold
    | Stopped
    | StopNotice
    | Progress
    | Result
    | Report
    | LogLine
    | Lapsed
    | Traffic
    | Asked
    | Heard
    | Dropped
)
