"""What the link process says: answers to requests, and what happens by itself."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from boardtalk.modules.iot_bridge.frames import Outcome
from boardtalk.modules.iot_bridge.service.api.requests import AnyRequest

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
    round_trip_ms: float = 0.0
    """How long the board's last answer took."""


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """Frames that nobody repeats and that did not come, since the session began."""

    from_board: int
    """Reports, log lines and progress."""
    to_board: int
    """Renewals and set-points."""


class Frames(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted since the session began."""

    sent: int
    """Those sent again, too."""
    resent: int
    received: int
    missing: int
    """Those of the board that did not come."""
    bad: int
    """Missing ones of both sides, and those sent again."""


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
    line_bytes: int = 0
    """Longest frame that does not hold up its line for too long: a stop may wait for it; 0: any."""
    clock: Clock | None = None
    """Only when boards are listed, and there is a session."""
    lost: Lost | None = None
    """Likewise."""
    frames: Frames | None = None
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
    """As pyserial takes it: a device or a URL; "": the path that was asked for is no port of ours."""
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

    UNACKNOWLEDGED = "unacknowledged"
    """It was on the line, and nobody knows whether the board has it."""
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
    """SENT, UNACKNOWLEDGED: what was on the line; likewise the next one."""
    tries: int = 0
    ms: float = 0.0
    """SENT: until it was acknowledged."""


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
