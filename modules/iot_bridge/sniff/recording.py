"""The lines' traffic in a file of `boardtalk record`; docs/recording.md has the format."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING, Final

import msgspec

from boardtalk.modules.iot_bridge.dictionary import parse
from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.sniff.decoder import Decoder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from boardtalk.modules.iot_bridge.sniff.decoder import Seen

FORMAT: Final = 1
BEGINS: Final = b'{"entry":"head"'
GZIP: Final = b"\x1f\x8b"


class _Entry(msgspec.Struct, frozen=True):
    """What is of use here; other fields are passed over."""

    entry: str
    format: int = FORMAT
    utc: float = 0.0
    clock: float = 0.0
    hash: str = ""
    text: str = ""
    event: api.Traffic | api.Asked | api.Heard | None = None


_decoder: Final = msgspec.json.Decoder(_Entry)


def is_recording(path: Path) -> bool:
    """Whether a file is one. Raises OSError."""
    try:
        with _opened(path) as file:
            return file.read(len(BEGINS)) == BEGINS
    except (gzip.BadGzipFile, zlib.error, EOFError):
        return False


def file(path: Path, board: str = "") -> Iterator[Seen]:
    """What went over the lines, decoded, with the boards' names.

    Args:
        path: of the recording.
        board: only this one's; "" for all.

    Raises:
        LinkError: it can't be read, or there is nothing of that board in it.
    """
    wall, decoders = _known(path)  # first: their lines may begin before it is told what they are
    if board and board not in decoders:
        raise LinkError(f"{path}: nothing went over a line of {board!r}; there are {', '.join(decoders)}")
    at = 0.0
    for entry in _entries(path):
        event = entry.event
        if isinstance(event, api.Traffic) and board in {"", event.board}:
            at = event.at + wall
            for seen in decoders[event.board].feed(at, event.down, event.data):
                yield seen._replace(board=event.board)
    for name, decoder in decoders.items():
        for seen in decoder.flush(at):
            yield seen._replace(board=name)


def _known(path: Path) -> tuple[float, dict[str, Decoder]]:
    """From the recording's clock to the wall's, and a decoder for each board whose line is in it."""
    texts: dict[bytes, bytes] = {}
    hashes: dict[str, bytes] = {}
    names: dict[str, None] = {}
    wall = 0.0
    for entry in _entries(path):
        match entry:
            case _Entry(entry="head", utc=utc, clock=clock):
                wall = utc - clock
            case _Entry(entry="dictionary", hash=hash_, text=text):
                texts[bytes.fromhex(hash_)] = text.encode()
            case _Entry(event=api.Heard(event=api.BoardChanged(name=name, dictionary=hash_))) if hash_:
                hashes.setdefault(name, bytes.fromhex(hash_))
            case _Entry(event=api.Traffic(board=name)):
                names[name] = None
    first = {name: texts.get(hashes.get(name, b"")) for name in names}
    return wall, {name: Decoder(parse(text) if text else None, texts.get) for name, text in first.items()}


def _entries(path: Path) -> Iterator[_Entry]:
    """The entries; a last one that is torn is left out. Raises LinkError."""
    try:
        with _opened(path) as lines:
            for number, line in enumerate(lines, start=1):
                if line.endswith(b"\n"):
                    yield _entry(f"{path}:{number}", line)
    except EOFError:
        return  # the recorder was killed
    except zlib.error as error:
        raise LinkError(f"{path}: damaged: {error}") from error


def _entry(where: str, line: bytes) -> _Entry:
    try:
        entry = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LinkError(f"{where}: no entry of a recording: {error}") from error
    if entry.format != FORMAT:
        raise LinkError(f"{where}: a recording of format {entry.format}; only {FORMAT} is known")
    return entry


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        zipped = file.read(len(GZIP)) == GZIP
    return gzip.open(path, "rb") if zipped else path.open("rb")  # type: ignore[return-value]
