"""The wire format: the one definition, in construct.

Everything about bytes on a line is defined here and nowhere else: host code (`framing`, `link`,
`device`), the firmware's constants (`firmware/boardtalk/frames.py`) and `docs/protocol.md` follow
from it, the last two by :mod:`~boardtalk.modules.iot_bridge.codegen`.

All integers are little-endian. A frame travels as::

    0x00 | COBS( ctl seq ack node type:u16 | payload 0..243 | crc32:u32 ) | 0x00

Text between frames (it never holds 0x00) is the board's console. On MQTT one publish carries one
raw frame: no COBS, no delimiters. The CRC is CRC-32 (ISO-HDLC, `binascii.crc32`) over header and
payload, seeded with 0 for HELLO and with `session_seed` for all else, so that frames of an earlier
session, or of a peer with another dictionary, fail it.

What both ends keep to:

- *Session.* The host repeats HELLO until the board answers. A nonce that is new to the board begins
  a session: numbers start at 0 in both directions. The same nonce again is only answered again.
  A board that has started says so by a HELLO with `host_nonce` 0; that ends the session.
- *Reliability.* DATA only. `ack` is valid in every frame but HELLO. A damaged frame or a gap is
  answered by a NAK at once; otherwise the next frame acknowledges, or an ACK after some milliseconds.
  A frame that came before is acknowledged again. At most `window` frames are beyond `ack`.
- *Losses.* DGRAM and LOG are numbered too, from 0 in each direction, also those that are dropped before they
  are sent. A gap is a loss: it is counted, and nothing else.
- *Pieces.* The host cuts a message that is longer than the board takes, or whose frame would hold up a
  slow line for more than 20 ms. All pieces have its type, and all but the last the flag `more`.
- *Batches.* The host puts messages that wait for the line anyway into one frame, on a slow line of
  10 ms at most. They count as if each had come by itself, in their order. A board whose `max_payload` is
  less than the most gets none.
- *Life.* The host sends TIME as soon as a session is open, then each second, more often while something
  moves; the board answers at once. Eight unanswered ones end the session.
- *Time.* What must not happen too late has its deadline with it, in milliseconds of the board's clock, so
  that it may be held up anywhere and for how long it will. The host knows that clock from the answers to
  TIME and sends no deadline before the first one; it takes what it may be wrong off each. A deadline is in
  the past if it is more than half of `CLOCK_MASK` ahead; 0 is always in the past.
- *Once.* A COMMAND whose id the board knows is answered from memory (STARTED, or its RESULT again)
  before anything else is looked at. Only then come epoch, latch, `deadline` (past: EXPIRED, so that asking
  again with 0 tells whether it ever came) and arguments.
- *Leases.* Motion goes on until its `lease`, which each RENEW moves on, and for 2 s at most from when that
  came. A lease in the past changes nothing: what was held up moves nothing. A RENEW has its lease short, in
  units of 16 ms, which come round every 17 minutes (`RENEW_MASK`): the motion that it could move on by
  mistake then has long ended, and a line of 9600 baud is not under way with it for over 20 ms.
- *Updates.* A slot that does not run gets the files of a manifest, starts on trial and stays once it has
  spoken with the gateway for 30 s; else the slot before it runs again: `docs/ota.md`.
- *Stop.* Each STOP is answered by STOPPED, also a repeated one, and latches; only REARM with the
  board's current epoch releases. REARM is answered by STATE.
"""

from __future__ import annotations

from binascii import crc32
from enum import IntEnum
from typing import Final

from construct import (
    Bytes,
    Flag,
    Float32l,
    GreedyBytes,
    GreedyString,
    Int8ul,
    Int16ul,
    Int32sl,
    Int32ul,
    PascalString,
    Struct,
)

VERSION: Final = 2
"""Protocol version, 2 bits in `ctl`; a peer with another one is told so, not guessed at."""

MAX_PAYLOAD: Final = 243
"""Bytes; keeps a frame ≤ 253 bytes before COBS, so that COBS costs exactly one byte."""
HEADER_BYTES: Final = 6
CRC_BYTES: Final = 4
OVERHEAD_BYTES: Final = HEADER_BYTES + CRC_BYTES + 3
"""Bytes on the line beyond the payload: header, CRC, one COBS code, two delimiters."""

WINDOW: Final = 16
"""Frames in flight per direction unless HELLO says less (1 … 32): two round trips of a fast line, so that
it goes on while a lost frame is repeated."""
BUFFER_BYTES: Final = 1024
"""What a board holds of frames that it can't hand on yet; so much may be in flight to it."""
CLOCK_MASK: Final = 0x3FFFFFFF
RENEW_SHIFT: Final = 4
RENEW_MASK: Final = 0xFFFFF
RENEW_HALF: Final = 0x80000
"""Of the board's clock: milliseconds modulo 2³⁰, which MicroPython has without allocating on 32 bits too."""
MAX_COMMANDS: Final = 50
"""Commands under way per board; more are refused as busy. The board remembers as many ids that it has
executed: after a lost session the gateway asks again for all that it has no result of."""


class Kind(IntEnum):
    """What the link does with a frame; bits 2 to 4 of `ctl`."""

    DATA = 0
    """Reliable and in order: numbered, acknowledged, repeated."""
    ACK = 1
    """Acknowledges; payload: `AckBody`."""
    NAK = 2
    """Asks for the frame `ack` at once; payload: `AckBody`."""
    HELLO = 3
    """Opens a session; CRC seed 0."""
    DGRAM = 4
    """Unacknowledged, may be lost: telemetry, lease renewals."""
    LOG = 5
    """A log line of the board; payload: `LogBody`."""
    TIME = 6
    """Heartbeat and clock; payload: `TimeHost`, answered with `TimeBoard`."""
    URGENT = 7
    """Stop: outside the window, repeated by its sender until answered."""


CTL_VERSION_MASK: Final = 0x03
CTL_KIND_SHIFT: Final = 2
CTL_KIND_MASK: Final = 0x1C
CTL_MORE: Final = 0x20
"""The message goes on in the next DATA frame; only from the host."""
CTL_RETRY: Final = 0x40
"""A repetition: its round trip says nothing about the line (Karn)."""


class Type(IntEnum):
    """What a frame means to the application."""

    NONE = 0x0000
    """Nothing: takes the place of a frame that expired unacknowledged."""
    HELLO = 0x0001
    DICTIONARY_GET = 0x0002
    DICTIONARY = 0x0003
    RENEW = 0x0004
    """Host: a new lease for a running command (DGRAM); a lease of 0 cancels a command (DATA)."""
    STOP = 0x0006
    """Host: outputs off, latch (URGENT)."""
    STOPPED = 0x0007
    """Board: outputs are off (URGENT)."""
    REARM = 0x0008
    STATE = 0x0009
    """Board: epoch and latch."""
    TIME = 0x000A
    BATCH = 0x000B
    """Host: several messages in one frame (DATA), each as `BatchItem` and its payload."""
    OTA = 0x000C
    """Host: a step of an update (DATA), as `OtaStep`, `OtaManifest`, `OtaFile` or `OtaSigned`."""
    OTA_DATA = 0x000D
    """Host: what comes next of the manifest, or of the file that `OtaFile` has named (DATA)."""
    OTA_ANSWER = 0x000E
    """Board: how a step ended, or what it found (DATA)."""
    STARTED = 0x0010
    """Board: a command began."""
    RESULT = 0x0011
    """Board: a command ended."""
    PROGRESS = 0x0012
    """Board: how far a command is (DGRAM)."""
    SETPOINT = 0x0020
    """Host: live values for a control channel, plus its index (DGRAM)."""
    COMMAND = 0x0100
    """Host: plus the command's index in the dictionary."""
    TELEMETRY = 0x0200
    """Board: plus the channel's index (DGRAM)."""
    EVENT = 0x0300
    """Board: plus the event's index (DATA)."""


TYPE_BASE_MASK: Final = 0xFF00
"""Of COMMAND, TELEMETRY and EVENT; the low byte is the index."""


class Outcome(IntEnum):
    """How a command ended, in RESULT."""

    DONE = 0
    FAILED = 1
    REJECTED = 2
    EXPIRED = 3
    CANCELLED = 4


class Ota(IntEnum):
    """Steps of an update. The robot is stopped for all but STATUS, CONFIRM and ROLLBACK."""

    STATUS = 0
    """Which slot runs, and in which release; answered by `OtaStatus`."""
    MANIFEST = 1
    """The manifest follows as OTA_DATA."""
    BEGIN = 2
    """Check the manifest, take unchanged files from the running slot; then tell what is missing."""
    FILE = 3
    """A file follows as OTA_DATA. Answered only if it can't be written."""
    COMMIT = 4
    """All there: check each file, then start the new release on trial."""
    CONFIRM = 5
    """The release on trial is to stay; it stays by itself after 30 s with the gateway."""
    ROLLBACK = 6
    """Back to the release before."""
    HAVE = 7
    """Board, before its answer to BEGIN: an `OtaHave` for each file that is not complete."""


class OtaCode(IntEnum):
    """How a step of an update ended."""

    DONE = 0
    REFUSED = 1
    """The reason follows."""
    BUSY = 2
    """With the step before."""


class ResetCause(IntEnum):
    """Why the board started, as far as it knows."""

    UNKNOWN = 0
    POWER_ON = 1
    HARD = 2
    WATCHDOG = 3
    DEEPSLEEP = 4
    SOFT = 5


Header = Struct(
    "ctl" / Int8ul * "version (2 bits), kind (3), more (1), retry (1), reserved (1)",
    "seq" / Int8ul * "number of this frame: of DATA, and counted apart of DGRAM and LOG; else 0",
    "ack" / Int8ul * "next number expected from the peer: acknowledges all before it",
    "node" / Int8ul * "0; address on a shared line, not used yet",
    "type" / Int16ul * "a `Type`, plus an index where it says so",
)

AckBody = Struct(
    "sack" / Int32ul * "bit n set: frame ack+1+n has arrived too",
    "credit" / Int16ul * "bytes beyond `ack` that there is room for",
)

LogBody = Struct(
    "level" / Int8ul * "10 debug, 20 info, 30 warning, 40 error",
    "text" / GreedyString("utf8") * "one line",
)

TimeHost = Struct("question" / Int32ul * "any number: its answer has the same")

TimeBoard = Struct(
    "question" / Int32ul * "what the host has sent",
    "board_ms" / Int32ul * "the board's clock, modulo 2³⁰",
    "lost" / Int16ul * "DGRAM frames of the host that the board has missed in this session; wraps",
)

HelloHost = Struct(
    "oldest" / Int8ul * "oldest protocol version that the host speaks",
    "newest" / Int8ul * "newest",
    "nonce" / Int32ul * "random, new for each session",
)

HelloBoard = Struct(
    "version" / Int8ul * "protocol version chosen; 0 = none in common",
    "host_nonce" / Int32ul * "from the host's HELLO; 0 = the board announces its start",
    "boot_nonce" / Int32ul * "random, new at each start of the board",
    "dictionary" / Bytes(8) * "first 8 bytes of the SHA-256 of the dictionary",
    "reset_cause" / Int8ul * "a `ResetCause`",
    "last_command" / Int32ul * "id of the last command executed; 0 = none",
    "epoch" / Int16ul * "raised by each stop",
    "latched" / Flag * "stopped, waiting for re-arm",
    "max_payload" / Int8ul * "longest payload that the board takes, bytes",
    "window" / Int8ul * "frames that the board takes in flight",
    "buffer" / Int16ul * "what may be in flight to the board, bytes",
    "uid" / PascalString(Int8ul, "ascii") * "unique id, lower-case hex",
    "name" / PascalString(Int8ul, "utf8") * "what the robot calls itself",
    "firmware" / PascalString(Int8ul, "utf8") * "client and robot version, for people",
)

DictionaryGet = Struct("offset" / Int16ul * "first byte wanted")

Dictionary = Struct(
    "offset" / Int16ul * "of `data` in the whole",
    "total" / Int16ul * "bytes of the whole",
    "data" / GreedyBytes * "JSON text, a piece of it",
)

CommandHead = Struct(
    "deadline" / Int32ul * "by the board's clock: the command must have begun before; 0 = it must not begin",
    "id" / Int32ul * "the ledger row's low 32 bits; the board executes an id at most once",
    "epoch" / Int16ul * "older than the board's: rejected",
    "lease" / Int32ul * "motion, long actions: by the board's clock, ended then unless renewed; else 0",
)
"""Followed by the arguments, packed as the dictionary says."""

BatchItem = Struct(
    "type" / Int16ul * "of the message",
    "size" / Int8ul * "of its payload, which follows, bytes",
)

Renew = Struct(
    "id" / Int32ul * "of the running command",
    "lease" / Int16ul * "by the board's clock, in units of 16 ms; 0 = cancel it, whatever its class",
)

Stop = Struct("epoch" / Int16ul * "new, higher than the board's")

StateBody = Struct(
    "epoch" / Int16ul,
    "latched" / Flag,
)
"""Of STOPPED and STATE."""

Rearm = Struct("epoch" / Int16ul * "the board's current one; another is refused")

Started = Struct("id" / Int32ul)

Progress = Struct(
    "id" / Int32ul,
    "percent" / Int8ul * "0 to 100",
)

ResultHead = Struct(
    "id" / Int32ul,
    "outcome" / Int8ul * "an `Outcome`",
)
"""Followed by the returned values if DONE, else by the reason in UTF-8."""

SetpointHead = Struct(
    "epoch" / Int16ul * "older than the board's: ignored",
    "lease" / Int32ul * "by the board's clock: outputs off then, unless a further set-point comes; 0 = now",
)
"""Followed by the values."""

OtaStep = Struct("step" / Int8ul * "an `Ota`")

OtaManifest = Struct(
    "step" / Int8ul * "MANIFEST",
    "size" / Int16ul * "of the manifest, bytes",
)

OtaFile = Struct(
    "step" / Int8ul * "FILE",
    "file" / Int16ul * "in the order of the manifest, from 0",
    "offset" / Int32ul * "of what follows: what the board has of it, or 0",
)

OtaData = Struct("data" / GreedyBytes * "of the manifest, or of a file")

OtaSigned = Struct(
    "step" / Int8ul * "CONFIRM or ROLLBACK",
    "mac" / Bytes(32) * "HMAC-SHA256 with the board's key, of step (u8) and nonce (u32) of `OtaStatus`",
)

OtaAnswer = Struct(
    "step" / Int8ul * "an `Ota`",
    "code" / Int8ul * "an `OtaCode`",
)
"""Followed by the reason in UTF-8 if REFUSED, `OtaStatus` or several `OtaHave`."""

OtaStatus = Struct(
    "running" / Int8ul * "the slot that runs: 0 or 1",
    "trial" / Flag * "whether it is on trial",
    "left" / Int8ul * "boots that the trial has left",
    "good" / Int8ul * "bit n set: slot n holds a release that was confirmed",
    "floor" / Int32ul * "the newest release that ever began; an update must be newer",
    "nonce" / Int32ul * "random, new at each start",
    "versions" / GreedyString("utf8") * "of slot 0, a line feed, of slot 1; empty if not known",
)

OtaHave = Struct(
    "file" / Int16ul * "in the order of the manifest, from 0",
    "size" / Int32ul * "bytes that the board has of it",
    "crc" / Int32ul * "CRC-32 of them",
)

FROM_HOST: Final[dict[int, Struct]] = {
    Type.HELLO: HelloHost,
    Type.DICTIONARY_GET: DictionaryGet,
    Type.RENEW: Renew,
    Type.STOP: Stop,
    Type.REARM: Rearm,
    Type.TIME: TimeHost,
    Type.BATCH: BatchItem,
    Type.SETPOINT: SetpointHead,
    Type.COMMAND: CommandHead,
    Type.OTA: OtaStep,
    Type.OTA_DATA: OtaData,
}
"""What the host's frames carry, by type; the beginning of it where values follow."""

FROM_BOARD: Final[dict[int, Struct]] = {
    Type.HELLO: HelloBoard,
    Type.DICTIONARY: Dictionary,
    Type.STOPPED: StateBody,
    Type.STATE: StateBody,
    Type.TIME: TimeBoard,
    Type.STARTED: Started,
    Type.RESULT: ResultHead,
    Type.PROGRESS: Progress,
    Type.OTA_ANSWER: OtaAnswer,
}
"""Likewise the board's. TELEMETRY and EVENT carry values only."""

VALUE_FORMATS: Final = {
    "int": Int32sl,
    "float": Float32l,
    "bool": Flag,
    "choice": Int8ul,
    "str": PascalString(Int8ul, "utf8"),
}
"""How a value of each dictionary type is packed; a choice as the index of its word."""

Frame = Struct(
    "header" / Header,
    "payload" / GreedyBytes,
)
"""What the CRC covers. The hand-written path in `framing` is proven equal to this."""


def messages(type_: int, payload: bytes) -> list[tuple[int, bytes]]:
    """The messages of a frame, as type and payload: several if it is a BATCH. Raises ConstructError."""
    if type_ != Type.BATCH:
        return [(type_, payload)]
    found = []
    while payload:
        item = BatchItem.parse(payload)
        end = BatchItem.sizeof() + item.size
        found.append((item.type, payload[BatchItem.sizeof() : end]))
        payload = payload[end:]
    return found


def session_seed(host_nonce: int, boot_nonce: int, dictionary: bytes) -> int:
    """The CRC seed of a session: CRC-32 of both nonces (u32 little-endian) and dictionary hash."""
    nonces = host_nonce.to_bytes(4, "little") + boot_nonce.to_bytes(4, "little")
    return crc32(nonces + dictionary)
