"""Bytes of a line to frames in words. Pure: knows neither ports nor files."""

from __future__ import annotations

from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from construct import ConstructError

from boardtalk.modules.iot_bridge import frames, trace
from boardtalk.modules.iot_bridge.dictionary import digest, parse
from boardtalk.modules.iot_bridge.errors import DictionaryError
from boardtalk.modules.iot_bridge.frames import Kind, Type
from boardtalk.modules.iot_bridge.language.words import line, unit_suffix
from boardtalk.modules.iot_bridge.link import framing
from boardtalk.modules.iot_bridge.sniff.seed import Guess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from construct import Container

    from boardtalk.modules.iot_bridge.dictionary import Command, Dictionary

KEPT_PIECES: Final = 64
"""Of messages in pieces: more than a window."""
KEPT_COMMANDS: Final = 256
ID_IN_COMMAND: Final = slice(frames.CommandHead.deadline.sizeof(), frames.CommandHead.deadline.sizeof() + 4)
ID_IN_RESULT: Final = slice(0, 4)


class Check(Enum):
    """What a frame's CRC says."""

    GOOD = "good"
    BAD = "damaged"
    UNKNOWN = "not checked"
    """The beginning of the session was not seen, and no second frame has confirmed its seed yet."""


class Seen(NamedTuple):
    """Something that went over the line."""

    at: float
    """When, seconds."""
    down: bool | None
    """Whether from the gateway to the board; None: not known."""
    kind: Kind | None
    """None: console text, or nothing that can be read."""
    type: int
    label: str
    """``DATA 17 ack 3``, ``text``, ``noise``."""
    words: str
    raw: bytes
    """The frame without COBS and delimiters, with its CRC; text and noise as they were."""
    size: int
    """Bytes on the line."""
    check: Check
    board: str = ""
    """Whose line it was, where there are several."""

    @property
    def retry(self) -> bool:
        """Whether it was sent before."""
        return self.kind is not None and bool(self.raw[0] & frames.CTL_RETRY)

    @property
    def type_name(self) -> str:
        """Of the type, in small letters; "" if there is no such type."""
        base = trace.base_of(self.type)
        return Type(base).name.lower() if base in trace.TYPES else ""


class Reading(NamedTuple):
    """A value of telemetry."""

    name: str
    """Its channel's too, unless they are the same."""
    value: Any
    unit: str
    """As it follows a number: ` cm`, `°`."""


class Decoder:
    """Both directions of one line.

    Args:
        dictionary: a board's dictionary, if it is known.
        find: the text of a dictionary by its hash, if it is at hand; the line shows it once only.
    """

    def __init__(
        self,
        dictionary: Dictionary | None = None,
        find: Callable[[bytes], bytes | None] = lambda _: None,
    ) -> None:
        self._dictionary = dictionary
        self._find = find
        self._deframers: dict[bool | None, framing.Deframer] = {}
        self._seed = framing.NO_SESSION
        self._guess = Guess()
        self._pieces: dict[tuple[bool | None, int], tuple[bool, bytes]] = {}
        self._learning = bytearray()
        self._sent: dict[bytes, int] = {}
        """The index of each command by its id, for its result."""

    def feed(self, at: float, down: bool | None, data: bytes) -> Iterator[Seen]:
        """What `data` completes.

        Args:
            at: when it went over the line.
            down: whether from the gateway; None: not known, as with a single wire.
            data: any piece of the stream.
        """
        deframer = self._deframers.setdefault(down, framing.Deframer())
        for piece in deframer.pieces(data):
            yield self._piece(at, down, piece)

    def flush(self, at: float) -> Iterator[Seen]:
        """Console text that no line end has finished, once the line is quiet."""
        for down, deframer in self._deframers.items():
            for text in deframer.flush():
                yield self._text(at, down, text.text.encode())

    def packet(self, at: float, down: bool | None, raw: bytes, *, text: bool = False) -> Seen:
        """A frame that came whole, as on MQTT or from a file; or text that did."""
        if text or len(raw) < frames.HEADER_BYTES + frames.CRC_BYTES:
            return self._text(at, down, raw)
        return self._frame(at, down, raw, len(raw))

    def readings(self, seen: Seen) -> tuple[Reading, ...]:
        """The values of a piece of telemetry; none if it is something else, or can't be read."""
        channels = self._dictionary.telemetry if self._dictionary else ()
        index = seen.type - Type.TELEMETRY
        if seen.kind is None or seen.check is Check.BAD or not 0 <= index < len(channels):
            return ()
        channel = channels[index]
        try:
            row = channel.format.unpack(frames.Frame.parse(seen.raw[: -frames.CRC_BYTES]).payload)
        except DictionaryError:
            return ()
        return tuple(
            Reading(
                channel.name if spec.name in {"value", channel.name} else f"{channel.name} {spec.name}",
                row[spec.name],
                unit_suffix(spec),
            )
            for spec in channel.values
        )

    def _piece(self, at: float, down: bool | None, piece: bytes) -> Seen:
        if framing.is_text(piece):
            return self._text(at, down, piece)
        sized = framing.MIN_PIECE_BYTES <= len(piece) <= framing.MAX_PIECE_BYTES
        raw = framing.unstuff(piece) if sized else None
        if raw is not None:
            return self._frame(at, down, raw, len(piece) + 2)
        said = f"{len(piece)} bytes that are no frame: {piece[:32].hex(' ')}"
        return Seen(at, down, None, 0, "noise", said, piece, len(piece), Check.BAD)

    def _text(self, at: float, down: bool | None, text: bytes) -> Seen:
        said = line(text.decode(errors="replace").rstrip())
        return Seen(at, down, None, 0, "text", said, text, len(text), Check.GOOD)

    def _frame(self, at: float, down: bool | None, raw: bytes, size: int) -> Seen:
        check = self._checked(raw)
        frame = frames.Frame.parse(raw[: -frames.CRC_BYTES])
        control = frame.header.ctl
        kind = Kind((control & frames.CTL_KIND_MASK) >> frames.CTL_KIND_SHIFT)
        if down is None:
            down = trace.from_host(kind, frame.header.type, frame.payload)
        payload, more = frame.payload, bool(control & frames.CTL_MORE)
        if kind is Kind.DATA:
            payload = self._joined(down, frame.header.seq, payload, more=more)
        if check is not Check.BAD:
            self._learn(kind, frame.header.type, payload, down)
        asked = None
        with suppress(ConstructError):
            for type_, part in frames.messages(frame.header.type, payload):
                asked = self._asked(type_, part)
        said = trace.words(
            kind, frame.header.type, payload, down=down, dictionary=self._dictionary, asked=asked
        )
        if more:
            said = f"a piece of {said}"
        label = _label(kind, frame.header, more=more)
        return Seen(at, down, kind, frame.header.type, label, said, raw, size, check)

    def _asked(self, type_: int, payload: bytes) -> Command | None:
        """The command that a RESULT answers; takes note of those that are sent."""
        id_ = payload[ID_IN_COMMAND] if trace.base_of(type_) == Type.COMMAND else payload[ID_IN_RESULT]
        if trace.base_of(type_) == Type.COMMAND:
            self._sent[id_] = type_ - Type.COMMAND
            while len(self._sent) > KEPT_COMMANDS:
                del self._sent[next(iter(self._sent))]
        commands = self._dictionary.commands if self._dictionary else ()
        index = self._sent.get(id_, len(commands))
        return commands[index] if type_ == Type.RESULT and index < len(commands) else None

    # Sessions -----------------------------------------------------------------------------------

    def _checked(self, raw: bytes) -> Check:
        if framing.unpack(raw, self._seed) is not None:
            return Check.GOOD
        if (raw[0] & frames.CTL_KIND_MASK) >> frames.CTL_KIND_SHIFT == Kind.HELLO:
            return Check.BAD
        found = self._guess.learn(raw)
        if found is not None:
            self._seed = found
            return Check.GOOD
        return Check.UNKNOWN if self._seed == framing.NO_SESSION else Check.BAD

    def _learn(self, kind: Kind, type_: int, payload: bytes, down: bool | None) -> None:
        """What a frame tells about all that follow."""
        try:
            if kind is Kind.HELLO and not down:
                hello = frames.HelloBoard.parse(payload)
                self._pieces.clear()
                self._know(hello.dictionary, self._find(hello.dictionary))
                if hello.host_nonce:
                    self._seed = frames.session_seed(hello.host_nonce, hello.boot_nonce, hello.dictionary)
            elif type_ == Type.DICTIONARY and down is False:
                self._collect(frames.Dictionary.parse(payload))
        except ConstructError:
            return

    def _collect(self, piece: Container[Any]) -> None:
        """A dictionary that goes over the line."""
        if piece.offset == 0:
            self._learning.clear()
        if piece.offset == len(self._learning):
            self._learning += piece.data
        if len(self._learning) == piece.total:
            text = bytes(self._learning)
            self._know(digest(text), text)

    def _know(self, hash_: bytes, text: bytes | None) -> None:
        if text is None or digest(text) != hash_:
            return
        try:
            self._dictionary = parse(text)
        except DictionaryError:
            return

    # Messages in pieces -------------------------------------------------------------------------

    def _joined(self, down: bool | None, seq: int, payload: bytes, *, more: bool) -> bytes:
        """A message's payload up to this piece; its repetitions don't count twice."""
        self._pieces.pop((down, seq), None)
        self._pieces[down, seq] = more, payload
        while len(self._pieces) > KEPT_PIECES:
            del self._pieces[next(iter(self._pieces))]
        whole, before = payload, (seq - 1) & 0xFF
        while (known := self._pieces.get((down, before))) is not None and known[0]:
            whole = known[1] + whole
            before = (before - 1) & 0xFF
        return whole


def _label(kind: Kind, header: Container[Any], *, more: bool) -> str:
    """``DATA 17 ack 3 retry``."""
    number = f" {header.seq}" if kind is Kind.DATA else ""
    ack = "" if kind is Kind.HELLO else f" ack {header.ack}"
    retry = " retry" if header.ctl & frames.CTL_RETRY else ""
    return f"{kind.name}{number}{ack}{retry}{' more' if more else ''}"
