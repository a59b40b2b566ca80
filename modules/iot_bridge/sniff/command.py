"""The command `boardtalk sniff`."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, aclosing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.cache import DictionaryCache
from boardtalk.modules.iot_bridge.dictionary import Dictionary, parse
from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import ask
from boardtalk.modules.iot_bridge.sniff import pcapng, sources
from boardtalk.modules.iot_bridge.sniff.decoder import Check, Decoder, Seen
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import AsJson, StateFolder
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
    from typing import BinaryIO

STYLES: Final = {
    "URGENT": "bold red",
    "DATA": "green",
    "DGRAM": "cyan",
    "HELLO": "bold magenta",
    "NAK": "yellow",
    "LOG": "blue",
    "text": "blue",
    "noise": "red",
}
"""By the beginning of the label; what is not here is dim."""
ARROWS: Final = {True: "→", False: "←", None: "·"}
QUIET_S: Final = 0.2
"""A line that is quiet for so long has finished its console text."""
LABEL_CHARS: Final = 21
KINDS: Final = tuple(kind.name.lower() for kind in frames.Kind)
TYPES: Final = tuple(type_.name.lower() for type_ in frames.Type)
NAMES: Final = frozenset({*KINDS, *TYPES, "text", "noise", "damaged"})

Names = Annotated[tuple[str, ...], Parameter(consume_multiple=True)]


def sniff(
    source: str = "",
    /,
    *,
    only: Names = (),
    hide: Names = (),
    bytes: bool = False,  # noqa: A002 - what the option is called
    write: Path | None = None,
    board: str = "",
    baud: int = 115_200,
    dissector: bool = False,
    state: StateFolder = None,
    json: AsJson = False,
) -> int:
    """Show what goes over a board's line, frame by frame and in words, live or from a file.

    → goes to the board, ← comes from it. Ctrl-C ends it.

    Example: boardtalk sniff rover --hide time ack

    Args:
        source: a board's address; a port that listens to a line (/dev/ttyUSB1, rfc2217://HOST:PORT);
            or a file: of `boardtalk record`, pcapng, or a line's bytes as they were.
        only: show these only: kinds and types of frames (data, stop, command, …), text, noise, damaged.
        hide: don't show these.
        bytes: show the bytes of each frame too.
        write: also put everything into this pcapng file, which Wireshark opens.
        board: of a file of `boardtalk record` only this board's line.
        baud: bits per second of the port.
        dissector: print the Lua dissector with which Wireshark shows the fields of frames, and end.
    """
    if dissector:
        from boardtalk.modules.iot_bridge.sniff.dissector import lua  # noqa: PLC0415 - not for the others

        print(lua(), end="")  # noqa: T201 - the command's output
        return 0
    wrong = [name for name in (*only, *hide) if name.lower() not in NAMES]
    if wrong or not source:
        what = f"{wrong[0]!r} is no kind or type of frame; there are {', '.join(sorted(NAMES))}"
        raise LinkError(
            what if wrong else "what? A board's address, a port, or a file: `boardtalk sniff rover`"
        )
    screen = _Screen(set(map(str.lower, only)), set(map(str.lower, hide)), with_bytes=bytes, as_json=json)
    with ExitStack() as stack:
        show: list[Callable[[Seen], None]] = [screen.show]
        if write is not None:
            show.append(_recorder(stack, write))
        with suppress(KeyboardInterrupt):
            _run(
                _Source(source, state or running_folder(), board, baud),
                lambda seen: [each(seen) for each in show],
            )
    screen.end()
    return 0


class _Source(NamedTuple):
    name: str
    state: Path
    board: str
    baud: int


def _run(source: _Source, show: Callable[[Seen], Any]) -> None:
    path = Path(source.name)
    cached = source.state / "link" / "dictionaries"
    decoder = Decoder(find=DictionaryCache(cached).read)
    if path.is_file():
        _each(sources.file(path, decoder, source.board), show)
        return
    if path.exists() or "://" in source.name:
        asyncio.run(_live(sources.port(source.name, source.baud), decoder, show))
        return
    asyncio.run(_board(source.state, source.name, show))


async def _board(state: Path, name: str, show: Callable[[Seen], Any]) -> None:
    await _live(sources.board(state, name), Decoder(await _dictionary(state, name)), show)


async def _dictionary(state: Path, name: str) -> Dictionary | None:
    """The board's, unless it was never here."""
    answer = await ask(state, api.GetDictionary(board=name, re=1))
    if isinstance(answer, api.DictionaryText):
        return parse(answer.data)
    return None


async def _live(pieces: AsyncGenerator[sources.Bytes], decoder: Decoder, show: Callable[[Seen], Any]) -> None:
    """Show pieces as they come; console text without a line end when the line falls silent."""
    async with aclosing(pieces):
        while True:
            coming = asyncio.ensure_future(anext(pieces, None))
            try:
                done, _ = await asyncio.wait({coming}, timeout=QUIET_S)
                if not done:
                    _each(decoder.flush(time.time()), show)
                piece = await coming
            finally:
                await cancel_and_wait(coming)
            if piece is None:
                return
            _each(decoder.feed(*piece), show)


def _each(items: Iterable[Seen], show: Callable[[Seen], Any]) -> None:
    for seen in items:
        show(seen)


class _Screen:
    """Prints what passes the filters, and counts."""

    def __init__(self, only: set[str], hide: set[str], *, with_bytes: bool, as_json: bool) -> None:
        self._only, self._hide = only, hide
        self._with_bytes, self._as_json = with_bytes, as_json
        self._console = Console(highlight=False, soft_wrap=True)
        self._counts = dict.fromkeys(Check, 0)

    def show(self, seen: Seen) -> None:
        """One frame, text or piece of noise."""
        self._counts[seen.check] += 1
        names = set(_names(seen))
        if names & self._hide or (self._only and not names & self._only):
            return
        if self._as_json:
            print(msgspec.json.encode(_row(seen)).decode(), flush=True)  # noqa: T201 - the command's output
            return
        self._console.print(self._line(seen))

    def end(self) -> None:
        """Say how many there were."""
        good, bad, unknown = (self._counts[check] for check in (Check.GOOD, Check.BAD, Check.UNKNOWN))
        parts = [f"{good} good"] + [f"{bad} damaged"] * bool(bad) + [f"{unknown} not checked"] * bool(unknown)
        Console(stderr=True, highlight=False).print(f"{', '.join(parts)}")

    def _line(self, seen: Seen) -> Text:
        clock = time.strftime("%H:%M:%S", time.localtime(seen.at)) + f".{int(seen.at * 1e6) % 1_000_000:06}"
        style = "red" if seen.check is Check.BAD else STYLES.get(seen.label.split()[0], "dim")
        line = Text(f"{clock} " if seen.at else "", style="dim")
        of = f"{seen.board} " if seen.board else ""
        line.append(f"{ARROWS[seen.down]} {of}{seen.label:<{LABEL_CHARS}} {seen.words}", style=style)
        if seen.check is not Check.GOOD and seen.kind is not None:
            line.append(f"  [{seen.check.value}]", style="red")
        if self._with_bytes:
            line.append(f"\n    {seen.raw.hex(' ')}", style="dim")
        return line


def _names(seen: Seen) -> Iterable[str]:
    """By what a filter finds it."""
    if seen.kind is None:
        yield seen.label
    else:
        yield seen.kind.name.lower()
        yield seen.type_name
    if seen.check is Check.BAD:
        yield "damaged"


def _row(seen: Seen) -> dict[str, object]:
    return {
        "at": seen.at,
        "board": seen.board,
        "to": {True: "board", False: "gateway", None: ""}[seen.down],
        "frame": seen.label,
        "words": seen.words,
        "bytes": seen.raw.hex(),
        "check": seen.check.value,
    }


def _recorder(stack: ExitStack, path: Path) -> Callable[[Seen], None]:
    """Writes what is seen; the file is whole whenever it ends. Raises LinkError."""
    with _written(path):
        file = path.open("wb")
        stack.callback(_close, path, file)
        writer = pcapng.Writer(file)

    def put(seen: Seen) -> None:
        with _written(path):
            writer.put(sources.packet(seen))

    return put


def _close(path: Path, file: BinaryIO) -> None:
    """What could not be written before is tried again here."""
    with _written(path):
        file.close()


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LinkError(f"{path}: can't be written: {error.strerror or error}") from error
