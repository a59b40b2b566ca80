"""The format of a recording: JSON lines, one entry each, gzip if the file's name ends in `.gz`.

The first entry is a `Head`. Times are seconds of the recording machine's monotonic clock, which gateway and
link process share; entries stand in the order of their arrival. There are no secrets in it: tokens and
passwords never pass where it listens, and are left out of the configuration and of URLs.
"""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from boardtalk.frontends.control import Recording
from boardtalk.modules.iot_bridge.service.api import Asked, Heard, Traffic
from boardtalk.sdk import BoardtalkError
from boardtalk.witness import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FORMAT: Final = 1


class RecordingError(BoardtalkError):
    """A recording can't be written or read."""


class Entry(msgspec.Struct, frozen=True, tag_field="entry"):
    """Base of all entries."""


class Head(Entry, frozen=True, tag="head"):
    """What was recorded, and when it began."""

    format: int
    utc: float
    """UTC seconds when it began."""
    clock: float
    """The monotonic clock at that moment."""
    gateway: Recording


class Dictionary(Entry, frozen=True, tag="dictionary"):
    """A board's dictionary, once for each hash."""

    hash: str
    text: str


class Gateway(Entry, frozen=True, tag="gateway"):
    """Something that the gateway saw or said."""

    seen: Seen

    @property
    def at(self) -> float:
        """When."""
        return self.seen.at


class Link(Entry, frozen=True, tag="link"):
    """Something between gateway and link process, or on a board's line."""

    event: Traffic | Asked | Heard

    @property
    def at(self) -> float:
        """When."""
        return self.event.at


AnyEntry = Head | Dictionary | Gateway | Link


_encoder = msgspec.json.Encoder()


def encode(entry: AnyEntry) -> bytes:
    """Its line."""
    return _encoder.encode(entry) + b"\n"


def summary(entries: Iterable[AnyEntry]) -> str:
    """What there is, in numbers."""
    counts: Counter[str] = Counter()
    for entry in entries:
        if isinstance(entry, Gateway | Link):
            what = entry.seen if isinstance(entry, Gateway) else entry.event
            counts[type(what).__name__] += 1
    said = counts["Said"] + counts["Sent"]
    return f"{said} messages, {counts['Asked']} requests to boards, {counts['Traffic']} pieces of traffic"


def open_for_writing(path: Path) -> BinaryIO:
    """A new file. Raises RecordingError."""
    try:
        return gzip.open(path, "wb") if path.suffix == ".gz" else path.open("wb")  # type: ignore[return-value]
    except OSError as error:
        raise RecordingError(f"{path}: can't be written: {error.strerror or error}") from error


def writing(stream: BinaryIO) -> Callable[[AnyEntry], None]:
    """Writes entries. Raises RecordingError."""

    def write(entry: AnyEntry) -> None:
        try:
            stream.write(encode(entry))
        except OSError as error:
            name = getattr(stream, "name", "the recording")
            raise RecordingError(f"{name}: can't be written: {error.strerror or error}") from error

    return write


def read(path: Path) -> Iterator[AnyEntry]:
    """The entries of a file, as they stand there. A last line that is torn is left out.

    Raises:
        RecordingError: it is none, of a format that is not known, or damaged; the text names the line.
    """
    decoder = msgspec.json.Decoder(AnyEntry)
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                entry = decoder.decode(line)
                if number == 1 and not (isinstance(entry, Head) and entry.format == FORMAT):
                    raise RecordingError(f"{path}: no recording of format {FORMAT}")
                yield entry
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path}:{number}: no entry of a recording: {error}") from error
    except EOFError:
        return  # gzip: the recorder was killed
    except OSError as error:
        raise RecordingError(f"{path}: can't be read: {error.strerror or error}") from error
