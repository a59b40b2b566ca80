"""The format of a recording: JSON lines, one entry each, gzip if the file's name ends in `.gz`.

The first entry is a `Head`, the last one an `End`: without it the recording is incomplete. Times are seconds
of the recording machine's monotonic clock, which gateway and link process share; entries stand in the order
of their arrival. There are no secrets in it: tokens and passwords never pass where it listens, and are left
out of the configuration and of URLs.
"""

from __future__ import annotations

import gzip
import time
import zlib
from collections import Counter
from contextlib import contextmanager
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
FLUSH_S: Final = 5.0
"""What is older than that is in the file, should the recorder be killed."""


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


class End(Entry, frozen=True, tag="end"):
    """The recorder has written all that it wanted to."""


AnyEntry = Head | Dictionary | Gateway | Link
"""What there is between the two."""

_encoder = msgspec.json.Encoder()


def encode(entry: AnyEntry | End) -> bytes:
    """Its line."""
    return _encoder.encode(entry) + b"\n"


def summary(entries: Iterable[AnyEntry]) -> str:
    """What there is, in numbers."""
    counts: Counter[str] = Counter()
    for entry in entries:
        if isinstance(entry, Gateway | Link):
            what = entry.seen if isinstance(entry, Gateway) else entry.event
            counts[type(what).__name__] += 1
    told = {
        "message": counts["Said"] + counts["Sent"],
        "request to boards": counts["Asked"],
        "piece of traffic": counts["Traffic"],
    }
    return ", ".join(_counted(count, thing) for thing, count in told.items() if count) or "nothing happened"


@contextmanager
def writing(path: Path) -> Iterator[Callable[[AnyEntry], None]]:
    """Write entries to a new file while the context lasts; it ends as a whole one unless there is an error.

    Raises:
        RecordingError: it can't be written, such as on a full disk; what is there by then can be read.
    """
    flushed = time.monotonic()

    def write(entry: AnyEntry | End) -> None:
        nonlocal flushed
        try:
            stream.write(encode(entry))
            if time.monotonic() - flushed > FLUSH_S:
                stream.flush()
                flushed = time.monotonic()
        except OSError as error:
            raise _unwritable(path, error) from error

    try:
        with _opened(path, "wb") as stream:
            yield write
            write(End())
    except OSError as error:
        raise _unwritable(path, error) from error


def refuse(why: str) -> None:
    """Take no recording that is incomplete. Raises RecordingError."""
    raise RecordingError(why)


def read(path: Path, incomplete: Callable[[str], object] = refuse) -> Iterator[AnyEntry]:
    """The entries of a file, as they stand there, up to where it is torn or damaged.

    Args:
        path: of the file.
        incomplete: is told in words if the recording has no end, where it ends, and why.

    Raises:
        RecordingError: it is none, of a format that is not known, or incomplete and that is refused.
    """
    decoder = msgspec.json.Decoder(AnyEntry | End)
    number, begun = 0, False
    why = "the recorder was killed, or its disk was full"
    try:
        with _opened(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    break
                entry = decoder.decode(line)
                if number == 1 and not (isinstance(entry, Head) and entry.format == FORMAT):
                    raise RecordingError(f"{path}: no recording of format {FORMAT}")
                if isinstance(entry, End):
                    return
                begun = True
                yield entry
    except EOFError:
        pass  # gzip that is torn
    except (msgspec.DecodeError, UnicodeDecodeError, zlib.error, gzip.BadGzipFile) as error:
        if not begun:
            raise RecordingError(f"{path}:1: no entry of a recording: {error}") from error
        why = f"it is damaged there: {error}"
    except OSError as error:
        raise RecordingError(f"{path}: can't be read: {error.strerror or error}") from error
    if not begun:
        raise RecordingError(f"{path}: there is nothing in it: {why}")
    incomplete(f"{path}:{number}: the recording ends here, and is incomplete: {why}")


def _opened(path: Path, mode: str) -> BinaryIO:
    return gzip.open(path, mode) if path.suffix == ".gz" else path.open(mode)  # type: ignore[return-value]


def _unwritable(path: Path, error: OSError) -> RecordingError:
    return RecordingError(f"{path}: can't be written: {error.strerror or error}; the recording is incomplete")


def _counted(count: int, thing: str) -> str:
    first, _, rest = thing.partition(" ")
    return f"{count} {first}{'' if count == 1 else 's'} {rest}".rstrip()
