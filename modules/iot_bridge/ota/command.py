"""The command `boardtalk ota`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.frames import Ota
from boardtalk.modules.iot_bridge.language.words import clean
from boardtalk.modules.iot_bridge.ota.conversation import converse
from boardtalk.modules.iot_bridge.ota.install import install as put_on
from boardtalk.modules.iot_bridge.ota.keys import board_key
from boardtalk.modules.iot_bridge.ota.push import Push
from boardtalk.modules.iot_bridge.ota.release import collect
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import ask
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import AsJson, StateFolder

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from construct import Container

Files = Annotated[tuple[Path, ...], Parameter(negative="")]
Label = Annotated[str, Parameter(help="What people call the release; else the beginning of its digest.")]

SLOTS: Final = ("a", "b")

ota = App(name="ota", help="Updates of a robot's program over its own link, and back.")
out = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


class Shown(Progress):
    """A bar with rate and time left, and lines above it."""

    def __init__(self) -> None:
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        super().__init__(*columns, console=errors, transient=True)
        self._task = self.add_task("", total=None, visible=False)

    def total(self, size: int) -> None:
        """So many bytes are to be sent, from now on."""
        self.reset(self._task, total=size, visible=size > 0)

    def sent(self, size: int) -> None:
        """So many more have arrived."""
        self.advance(self._task, size)

    def say(self, text: str) -> None:
        """Something for people."""
        self.console.print(clean(text), markup=False)


@ota.command
def push(
    robot: str,
    files: Files,
    /,
    *,
    label: Label = "",
    wait: bool = True,
    state: StateFolder = None,
) -> int:
    """Send a new release of a robot's program over its link, and see that it proves itself.

    The robot is stopped first, and stays so until somebody re-arms it. The release goes into the slot that
    does not run, is checked there, and starts on trial: it stays when it was in touch with the gateway for
    30 s, else the one before runs again. Interrupted, the same command goes on where it was.

    Example: boardtalk ota push rover robot/

    Args:
        robot: its address.
        files: the whole program: its folder, or its files, main.py among them.
        wait: until it has proved itself.
    """
    release = collect(files, label)
    folder = state or running_folder()
    with Shown() as shown:
        if _failed(_push(Push(folder, robot, release, shown), wait=wait)):
            return 1
    what = "runs and stays" if wait else "is on trial: `boardtalk ota status` tells how it ends"
    out.print(f"{robot}: {release.label} {what}; `rearm` in a chat lets it move", markup=False)
    return 0


async def _push(push: Push, *, wait: bool) -> None:
    await push.transfer()
    if wait:
        await push.proof()


def _failed(work: Coroutine[Any, Any, None]) -> bool:
    """Do it. Whether a board has refused, or was not there."""
    try:
        asyncio.run(work)
    except LinkError as error:
        errors.print(f"boardtalk: {clean(str(error))}", markup=False)
        return True
    return False


@ota.command
def status(robot: str, /, *, state: StateFolder = None, json: AsJson = False) -> int:
    """Tell which release a robot runs, and whether it can go back.

    Example: boardtalk ota status rover

    Args:
        robot: its address.
    """
    found = _told(asyncio.run(_status(state or running_folder(), robot)))
    if json:
        print(msgspec.json.encode(found).decode())  # noqa: T201 - the command's output
        return 0
    trial = ", on trial" if found["trial"] else ""
    out.print(f"{robot} runs {found['runs'] or 'an unnamed release'}{trial}", markup=False)
    if found["before"] is not None:
        out.print(
            f"`boardtalk ota rollback {robot}` runs {found['before'] or 'the one before'}", markup=False
        )
    return 0


async def _status(state: Path, robot: str) -> Container[Any]:
    async with converse(state, robot, "its status") as talk:
        return await talk.status()


def _told(status: Container[Any]) -> dict[str, object]:
    """What programs get."""
    labels = [*status.versions.split("\n"), ""][:2]
    other = 1 - status.running
    return {
        "runs": clean(labels[status.running]),
        "trial": bool(status.trial),
        "slot": SLOTS[status.running],
        "before": clean(labels[other]) if status.good & 1 << other else None,
        "newest": status.floor,
    }


@ota.command
def confirm(robot: str, /, *, state: StateFolder = None) -> int:
    """Keep the release that is on trial, without waiting for its proof.

    Example: boardtalk ota confirm rover

    Args:
        robot: its address.
    """
    return _decide(robot, state, Ota.CONFIRM, "the release that runs stays")


@ota.command
def rollback(robot: str, /, *, state: StateFolder = None) -> int:
    """Start the release before the one that runs.

    Example: boardtalk ota rollback rover

    Args:
        robot: its address.
    """
    return _decide(robot, state, Ota.ROLLBACK, "starts the release before")


def _decide(robot: str, state: Path | None, step: Ota, done: str) -> int:
    if _failed(_decided(state or running_folder(), robot, step)):
        return 1
    out.print(f"{robot}: {done}", markup=False)
    return 0


async def _decided(state: Path, robot: str, step: Ota) -> None:
    async with converse(state, robot, f"ota {step.name.lower()}") as talk:
        if step is Ota.ROLLBACK and not talk.latched:
            await talk.stop("ota rollback")
        await talk.decide(step, board_key(state, talk.uid))


@ota.command
def install(robot: str, files: Files, /, *, label: Label = "", state: StateFolder = None) -> int:
    """Make a board one that can be updated over its link: once, by its cable.

    Puts loader, key and program on it. Its client is there already, and its main.py is replaced.

    Example: boardtalk ota install rover robot/

    Args:
        robot: its address.
        files: the whole program: its folder, or its files, main.py among them.
    """
    release = collect(files, label)
    folder = state or running_folder()
    text, runs = asyncio.run(put_on(folder, robot, asyncio.run(_uid(folder, robot)), release))
    out.print(clean(text), markup=False, style="dim", end="")
    words = "runs" if runs else "is at its prompt: its program has ended"
    out.print(f"{robot} {words}; from now on `boardtalk ota push` updates it", markup=False)
    return 0 if runs else 1


async def _uid(state: Path, robot: str) -> str:
    """A robot's unique id, from which its key follows. Raises LinkError: it is not known."""
    answer = await ask(state, api.ListBoards(re=1))
    for board in answer.boards if isinstance(answer, api.Boards) else ():
        if board.name == robot and board.uid:
            return board.uid
    raise LinkError(f"there is no board {robot!r} that was met: `boardtalk boards` lists them")
