"""`boardtalk flash`: firmware onto boards, one or many."""

from __future__ import annotations

import asyncio
import signal
from contextlib import aclosing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from rich.markup import escape
from rich.table import Table

from boardtalk import boards as definitions
from boardtalk.cli import flash_client
from boardtalk.cli.common import DONE, INTERRUPTED, REFUSED, MoreBoards, await_, errors, print_json, tables
from boardtalk.cli.flash_client import NONE, Client
from boardtalk.cli.flash_view import View, summary
from boardtalk.flash import firmware as files
from boardtalk.flash import fleet
from boardtalk.flash.detect import plugged
from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.events import Ended
from boardtalk.flash.provision import ClientJob
from boardtalk.flash.session import Job
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import AsJson, StateFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boardtalk.boards import BoardFile
    from boardtalk.flash.detect import Plugged
    from boardtalk.flash.firmware import Firmware
    from boardtalk.flash.session import What

Ports = Annotated[
    tuple[str, ...],
    Parameter(
        name="--port", negative="", help="A serial port, a drive's folder, or a board's address; repeatable."
    ),
]
All = Annotated[
    bool,
    Parameter(
        name="--all",
        negative="",
        help="All boards whose USB id says what they are; with --board, all that may be it.",
    ),
]
Board = Annotated[str, Parameter(name="--board", help="What it is: an id of `boardtalk boards list`.")]
Image = Annotated[
    Path | None, Parameter(name="--image", help="The firmware; default: what the definition pins.")
]
Digest = Annotated[str, Parameter(name="--sha256", help="What the digest of --image must be.")]
Jobs = Annotated[
    int, Parameter(name="--jobs", help="At most so many boards at a time; 0: two for each core.")
]

flash = App(name="flash", help="Put firmware on boards; what breaks off is gone on with by the same command.")


@flash.command
def detect(
    *,
    probe: Annotated[bool, Parameter(negative="")] = False,
    port: Ports = (),
    board: Board = "",
    folder: MoreBoards = (),
    state: StateFolder = None,
    json: AsJson = False,
) -> int:
    """List what is plugged in, and which boards it may be.

    Example: boardtalk flash detect

    Args:
        probe: ask the chip, its address and flash size, which resets the board.
    """
    known = definitions.definitions([*definitions.folders(), *folder])
    if probe:
        chosen = _chosen(known, port, board, everything=not port)
        return _do("probe", chosen, state=state, json=json)
    found = plugged(known)
    if json:
        print_json([{**each._asdict(), "boards": [board.id for board in each.boards]} for each in found])
        return DONE
    table = Table(box=None)
    for heading in ("port", "USB id", "device", "may be"):
        table.add_column(heading, no_wrap=True, overflow="ignore")
    for each in found:
        table.add_row(*map(escape, (each.port, each.usb, each.name, _may_be(each))))
    if found:
        tables.print(table)
    else:
        errors.print("nothing is plugged in that could be a board")
    return DONE


@flash.command
def plan(
    *,
    port: Ports = (),
    every: All = False,
    board: Board = "",
    image: Image = None,
    sha256: Digest = "",
    jobs: Jobs = 0,
    folder: MoreBoards = (),
    state: StateFolder = None,
    json: AsJson = False,
) -> int:
    """Say what would be written, by comparing digests with the board, which it resets; no more.

    Example: boardtalk flash plan --port /dev/ttyUSB0 --board esp32 --image firmware.bin
    """
    known = definitions.definitions([*definitions.folders(), *folder])
    chosen = _chosen(known, port, board, everything=every)
    return _do("plan", chosen, image=image, sha256=sha256, jobs=jobs, state=state, json=json)


@flash.command
def write(
    *,
    port: Ports = (),
    every: All = False,
    board: Board = "",
    image: Image = None,
    sha256: Digest = "",
    erase: Annotated[bool, Parameter(negative="")] = False,
    backup: Annotated[bool, Parameter(negative="")] = False,
    wait: float = 5.0,
    client: Annotated[bool, Parameter(negative="")] = False,
    its: Client = NONE,
    jobs: Jobs = 0,
    folder: MoreBoards = (),
    state: StateFolder = None,
    json: AsJson = False,
) -> int:
    """Write firmware, verify it by digests that the board makes, and start it.

    What is on the board already is not written again. Ctrl-C ends it behind the piece that is being written.

    Example: boardtalk flash write --board esp32 --image ESP32_GENERIC-v1.27.0.bin

    Args:
        erase: erase all of the flash before, the board's files too.
        backup: save all of the flash before.
        wait: seconds for MicroPython to answer afterwards; 0: it is not asked.
        client: then put boardtalk's client on it too, as `flash client` does.
    """
    if its.named and not client:
        raise FlashError(Code.UNSUPPORTED, f"{its.named[0]} goes with --client")
    known = definitions.definitions([*definitions.folders(), *folder])
    return _do(
        "write",
        _chosen(known, port, board, everything=every),
        image=image,
        sha256=sha256,
        erase=erase,
        backup=backup,
        wait=wait,
        client=its if client else None,
        jobs=jobs,
        state=state,
        json=json,
    )


@flash.command(name="client")
def put_client(
    *,
    port: Ports,
    board: Board = "",
    its: Client = NONE,
    jobs: Jobs = 0,
    folder: MoreBoards = (),
    state: StateFolder = None,
    json: AsJson = False,
) -> int:
    """Put boardtalk's client and the robot's program on a board that runs MicroPython, and start it.

    Files that it has already are not copied again. Whatever breaks off, the same command goes on.

    Example: boardtalk flash client --port /dev/ttyACM0 --robot robot/ --name rover
    """
    kind = [definitions.definition(board, [*definitions.folders(), *folder])] if board else []
    stop = asyncio.Event()
    orders = flash_client.orders(port, its, state or running_folder(), stop, [kind] * len(port))
    work = [ClientJob(order) for order in orders]
    return await_(_run(work, stop, jobs or fleet.default_jobs(), json=json))


@flash.command
def verify(
    *,
    port: Ports = (),
    every: All = False,
    board: Board = "",
    image: Image = None,
    sha256: Digest = "",
    jobs: Jobs = 0,
    folder: MoreBoards = (),
    state: StateFolder = None,
    json: AsJson = False,
) -> int:
    """Compare what is on a board with a file. It resets the board.

    Example: boardtalk flash verify --port /dev/ttyUSB0 --board esp32 --image firmware.bin
    """
    known = definitions.definitions([*definitions.folders(), *folder])
    chosen = _chosen(known, port, board, everything=every)
    return _do("verify", chosen, image=image, sha256=sha256, jobs=jobs, state=state, json=json)


@flash.command
def erase(
    *,
    port: Ports,
    board: Board = "",
    jobs: Jobs = 0,
    folder: MoreBoards = (),
    state: StateFolder = None,
    json: AsJson = False,
) -> int:
    """Erase all of the flash: firmware, programs and files. The board does nothing until it is written.

    Example: boardtalk flash erase --port /dev/ttyUSB0 --board esp32
    """
    known = definitions.definitions([*definitions.folders(), *folder])
    return _do("erase", _chosen(known, port, board), jobs=jobs, state=state, json=json)


@flash.command
def backup(
    file: Path | None = None,
    /,
    *,
    port: Ports,
    board: Board = "",
    folder: MoreBoards = (),
    state: StateFolder = None,
    json: AsJson = False,
) -> int:
    """Save all of a board's flash to a file. It resets the board.

    Example: boardtalk flash backup rover.bin --port /dev/ttyUSB0 --board esp32

    Args:
        file: default: one with the date, in the state folder.
    """
    known = definitions.definitions([*definitions.folders(), *folder])
    chosen = _chosen(known, port, board)
    if file is not None and len(chosen) > 1:
        raise FlashError(Code.DISK, "one file is not for several boards", "leave the file's name out")
    return _do("backup", chosen, backup=True, file=file, state=state, json=json)


@flash.command
def restore(
    file: Path,
    /,
    *,
    port: Ports,
    board: Board = "",
    jobs: Jobs = 0,
    folder: MoreBoards = (),
    state: StateFolder = None,
    json: AsJson = False,
) -> int:
    """Write a backup back: firmware, programs and files, as they were.

    Example: boardtalk flash restore rover.bin --port /dev/ttyUSB0 --board esp32
    """
    known = definitions.definitions([*definitions.folders(), *folder])
    return _do("restore", _chosen(known, port, board), image=file, jobs=jobs, state=state, json=json)


# What they have in common ---------------------------------------------------------------------------


def _may_be(found: Plugged) -> str:
    if not found.boards:
        return "unknown; `boardtalk boards show esp32` prints a definition to begin yours with"
    names = ", ".join(board.id for board in found.boards)
    return f"{names} (a USB chip of many boards: its loader tells)" if found.bridge else names


def _chosen(
    known: dict[str, BoardFile], ports: Sequence[str], board: str, *, everything: bool = False
) -> list[tuple[str, list[BoardFile]]]:
    """Ports, and what may be there. Raises FlashError or DefinitionError if that does not say enough."""
    named = [known[board]] if board in known else []
    if board and not named:
        definitions.definition(board, [each.path.parent for each in known.values()])
    found = plugged(known)
    if not ports:
        may_be = [each for each in found if each.boards and (not board or named[0] in each.boards)]
        if not board:
            may_be = [each for each in may_be if not each.bridge]
        if not may_be or (len(may_be) > 1 and not everything):
            raise FlashError(
                Code.PORT_MISSING, _which(found, len(may_be)), "name one: --port PORT --board ID"
            )
        ports = [each.port for each in may_be]
    if named:
        return [(port, named) for port in ports]
    return [(port, _alike(port, found)) for port in ports]


def _which(found: Sequence[Plugged], fit: int) -> str:
    seen = ", ".join(f"{each.port} ({each.usb or each.name})" for each in found) or "nothing"
    return f"which board? {fit or 'none'} can be told by its USB id; plugged in: {seen}"


def _alike(port: str, found: Sequence[Plugged]) -> list[BoardFile]:
    """What may be at a port, flashed in one way."""
    real = str(Path(port).resolve())
    here = next((each for each in found if each.port in {port, real}), None)
    if here is None or not here.boards:
        ids = f"its USB id is {here.usb}, which no definition has" if here else "it is no USB device"
        raise FlashError(
            Code.UNSUPPORTED,
            f"{port}: which board is it? {ids}",
            f"say so with --board, or put a definition into {definitions.user_folder()} "
            "(`boardtalk boards show` prints one to begin with)",
        )
    if len({board.definition.flash.protocol for board in here.boards}) > 1:
        names = ", ".join(board.id for board in here.boards)
        raise FlashError(Code.UNSUPPORTED, f"{port}: it may be {names}", "say which with --board")
    return here.boards


def _do(
    what: What,
    chosen: Sequence[tuple[str, list[BoardFile]]],
    *,
    state: Path | None,
    json: bool,
    image: Path | None = None,
    sha256: str = "",
    erase: bool = False,
    backup: bool = False,
    file: Path | None = None,
    wait: float = 0.0,
    client: Client | None = None,
    jobs: int = 0,
) -> int:
    stop = asyncio.Event()
    work = [
        Job(
            what=what,
            port=port,
            boards=kinds,
            state=state or running_folder(),
            firmware=_firmware(image, kinds, sha256)
            if what in {"plan", "write", "verify", "restore"}
            else None,
            erase=erase,
            backup=backup,
            file=file,
            wait_s=wait,
            stop=stop,
        )
        for port, kinds in chosen
    ]
    all_of_it = work if client is None else flash_client.jobs(work, client, stop)
    return await_(_run(all_of_it, stop, jobs or fleet.default_jobs(), json=json))


def _firmware(image: Path | None, kinds: Sequence[BoardFile], sha256: str) -> Firmware:
    return files.from_file(image, kinds[0], sha256) if image else files.pinned(kinds[0])


async def _run(work: Sequence[Job | ClientJob], stop: asyncio.Event, at_once: int, *, json: bool) -> int:
    """Do the jobs and show them; the exit code."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def interrupted() -> None:
        if stop.is_set() and task is not None:
            task.cancel()  # the second time: at once
        stop.set()
        errors.print("ending behind the piece that is being written; Ctrl-C again ends at once")

    loop.add_signal_handler(signal.SIGINT, interrupted)
    ended: list[Ended] = []
    view = View(errors)
    with nullcontext() if json else view:
        async with aclosing(fleet.run(work, at_once)) as events:
            async for event in events:
                if isinstance(event, Ended):
                    ended.append(event)
                if json:
                    print_json(event)
                else:
                    view.show(event)
    if not json:
        _report(ended)
    if stop.is_set():
        return INTERRUPTED
    return DONE if all(each.ok for each in ended) else REFUSED


def _report(ended: Sequence[Ended]) -> None:
    tables.print(summary(ended))
    for each in ended:
        if each.reason:
            reason = each.reason.removeprefix(f"{each.port}: ")
            errors.print(f"[red]{escape(each.port)}:[/] {escape(reason)}", soft_wrap=True)
