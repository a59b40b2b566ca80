"""`boardtalk flash`: firmware onto boards, one or many."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import aclosing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter
from rich.markup import escape
from rich.table import Table

from boardtalk.cli import flash_client
from boardtalk.cli.common import DONE, INTERRUPTED, REFUSED, await_, errors, me, print_json, tables
from boardtalk.cli.flash_client import NONE, Client
from boardtalk.cli.flash_view import View, summary
from boardtalk.cli.flash_which import COMMON, All, Common, Ports, chosen
from boardtalk.flash import firmware as files
from boardtalk.flash import fleet
from boardtalk.flash.detect import plugged
from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.events import Ended
from boardtalk.flash.job import Job
from boardtalk.flash.provision import ClientJob
from boardtalk.sdk import BoardtalkError
from boardtalk.sdk.folders import running_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boardtalk.boards import BoardFile
    from boardtalk.flash.detect import Plugged
    from boardtalk.flash.firmware import Firmware
    from boardtalk.flash.job import What

Image = Annotated[
    Path | None, Parameter(name="--image", help="The firmware; default: what the definition pins.")
]
Digest = Annotated[str, Parameter(name="--sha256", help="What the digest of --image must be.")]
Yes = Annotated[bool, Parameter(name="--yes", help="Do not ask whether it is meant.")]

PROBE_S: Final = 3.0
"""For MicroPython to start and say its version."""
LOST: Final = "firmware, programs and files on it are lost, and no backup is made"

flash = App(name="flash", help="Put firmware on boards; what breaks off is gone on with by the same command.")


@flash.command
def detect(*, probe: bool = False, port: Ports = (), common: Common = COMMON) -> int:
    """List what is plugged in, and which boards it may be.

    Example: boardtalk flash detect

    Args:
        probe: ask the chip, its address, flash size, and then its MicroPython, which resets the board.
    """
    if probe:
        return _do("probe", common, chosen(common, port, everything=not port), wait=PROBE_S)
    found = plugged(common.known)
    if common.json:
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
    image: Image = None,
    sha256: Digest = "",
    common: Common = COMMON,
) -> int:
    """Say what would be written, by comparing digests with the board, which it resets; no more.

    Example: boardtalk flash plan --port /dev/ttyUSB0 --board esp32 --image firmware.bin
    """
    return _do("plan", common, chosen(common, port, everything=every), image=image, sha256=sha256)


@flash.command
def write(
    *,
    port: Ports = (),
    every: All = False,
    image: Image = None,
    sha256: Digest = "",
    erase: bool = False,
    backup: bool = False,
    wait: float = 5.0,
    client: bool = False,
    its: Client = NONE,
    yes: Yes = False,
    common: Common = COMMON,
) -> int:
    """Write firmware, verify it by digests that the board makes, and start it.

    What is on the board already is not written again. Ctrl-C ends it behind the piece that is being written.

    Example: boardtalk flash write --board esp32 --image ESP32_GENERIC-v1.27.0.bin

    Args:
        erase: erase all of the flash before, the board's files too; asks, unless there is a backup.
        backup: save all of the flash before.
        wait: seconds for MicroPython to answer afterwards; 0: it is not asked.
        client: then put boardtalk's client on it too, as `flash client` does.
    """
    if its.named and not client:
        raise FlashError(Code.UNSUPPORTED, f"{its.named[0]} goes with --client")
    return _do(
        "write",
        common,
        chosen(common, port, everything=every),
        image=image,
        sha256=sha256,
        erase=erase,
        backup=backup,
        wait=wait,
        client=its if client else None,
        lost=LOST if erase and not backup else "",
        yes=yes,
    )


@flash.command(name="client")
def put_client(
    *,
    port: Ports,
    its: Client = NONE,
    common: Common = COMMON,
) -> int:
    """Put boardtalk's client and the robot's program on a board that runs MicroPython, and start it.

    Files that it has already are not copied again. Whatever breaks off, the same command goes on.

    Example: boardtalk flash client --port /dev/ttyACM0 --robot robot/ --name rover
    """
    kinds = [kinds for _, kinds in chosen(common, port)] if common.board else [[]] * len(port)
    stop = asyncio.Event()
    orders = flash_client.orders(port, its, common.state or running_folder(), stop, kinds)
    work = [ClientJob(order, by=me()) for order in orders]
    return await_(_run(work, stop, common.jobs or fleet.default_jobs(), json=common.json))


@flash.command
def verify(
    *,
    port: Ports = (),
    every: All = False,
    image: Image = None,
    sha256: Digest = "",
    common: Common = COMMON,
) -> int:
    """Compare what is on a board with a file. It resets the board.

    Example: boardtalk flash verify --port /dev/ttyUSB0 --board esp32 --image firmware.bin
    """
    return _do("verify", common, chosen(common, port, everything=every), image=image, sha256=sha256)


@flash.command
def erase(*, port: Ports, yes: Yes = False, common: Common = COMMON) -> int:
    """Erase all of the flash: firmware, programs and files. The board does nothing until it is written.

    Example: boardtalk flash erase --port /dev/ttyUSB0 --board esp32
    """
    return _do("erase", common, chosen(common, port), lost=LOST, yes=yes)


@flash.command
def backup(file: Path | None = None, /, *, port: Ports, common: Common = COMMON) -> int:
    """Save all of a board's flash to a file. It resets the board.

    Example: boardtalk flash backup rover.bin --port /dev/ttyUSB0 --board esp32

    Args:
        file: default: one with the date, in the state folder.
    """
    places = chosen(common, port)
    if file is not None and len(places) > 1:
        raise FlashError(Code.DISK, "one file is not for several boards", "leave the file's name out")
    return _do("backup", common, places, backup=True, file=file)


@flash.command
def restore(file: Path, /, *, port: Ports, yes: Yes = False, common: Common = COMMON) -> int:
    """Write a backup back: firmware, programs and files, as they were.

    Example: boardtalk flash restore rover.bin --port /dev/ttyUSB0 --board esp32
    """
    return _do("restore", common, chosen(common, port), image=file, lost=LOST, yes=yes)


# What they have in common ---------------------------------------------------------------------------


def _may_be(found: Plugged) -> str:
    if not found.boards:
        return "unknown; `boardtalk boards show esp32` prints a definition to begin yours with"
    names = ", ".join(board.id for board in found.boards)
    return f"{names} (a USB chip of many boards: its loader tells)" if found.bridge else names


def _do(
    what: What,
    common: Common,
    places: Sequence[tuple[str, list[BoardFile]]],
    *,
    image: Path | None = None,
    sha256: str = "",
    erase: bool = False,
    backup: bool = False,
    file: Path | None = None,
    wait: float = 0.0,
    client: Client | None = None,
    lost: str = "",
    yes: bool = False,
) -> int:
    stop = asyncio.Event()
    work = [
        Job(
            what=what,
            port=port,
            boards=kinds,
            state=common.state or running_folder(),
            firmware=_firmware(image, kinds, sha256)
            if what in {"plan", "write", "verify", "restore"}
            else None,
            erase=erase,
            backup=backup,
            file=file,
            wait_s=wait,
            stop=stop,
            by=me(),
        )
        for port, kinds in places
    ]
    if lost and not yes and not _meant(what, work, lost):
        errors.print("nothing was done")
        return REFUSED
    all_of_it = work if client is None else flash_client.jobs(work, client, stop)
    return await_(_run(all_of_it, stop, common.jobs or fleet.default_jobs(), json=common.json))


def _firmware(image: Path | None, kinds: Sequence[BoardFile], sha256: str) -> Firmware:
    return files.from_file(image, kinds[0], sha256) if image else files.pinned(kinds[0])


def _meant(what: What, work: Sequence[Job], lost: str) -> bool:
    """Ask whether to do what has no way back. Raises BoardtalkError: nobody is there to be asked."""
    for job in work:
        names = " or ".join(board.definition.name for board in job.boards)
        errors.print(f"{job.port}, {names}: {lost}", markup=False, soft_wrap=True)
    if not sys.stdin.isatty():
        raise BoardtalkError(
            f"{what} has no way back, and nobody can be asked here: --yes says that it is meant"
        )
    try:
        return errors.input(f"{what}? [y/N] ", markup=False).strip().lower() in {"y", "yes"}
    except EOFError:
        return False


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
