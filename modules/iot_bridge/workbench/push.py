"""The command `boardtalk push`."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.language.words import clean
from boardtalk.modules.iot_bridge.transports.ports import transport
from boardtalk.modules.iot_bridge.workbench.loan import BAUD, MPREMOTE, borrowed
from boardtalk.sdk import BoardtalkError
from boardtalk.sdk.audit import Attempt, audited
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import StateFolder, me

if TYPE_CHECKING:
    from collections.abc import Iterable

START_S: Final = 3.0
"""A program that runs for so long without a word of our client is one without it."""
START_AGAIN: Final = b"\r\x03\x03\x02\x04"
"""Ctrl-C twice ends what runs, Ctrl-B leaves the raw prompt, Ctrl-D starts anew."""
REBOOTED: Final = "soft reboot\n"
PROMPT: Final = ">>> "
LOOK_S: Final = 0.2
"""How often files are looked at."""
ASK_LOADER: Final = """\
import os
try:
    os.stat("/slots.py")
except OSError:
    pass
else:
    import slots
    raise RuntimeError("slot %d, %d left" % slots.load()[1:3])
"""
"""Fails, so that nothing is copied, if the loader is on the board: its main.py must stay."""
SLOT: Final = re.compile(r"RuntimeError: slot (?P<stays>[01]), (?P<left>\d+) left")
RESERVED: Final = re.compile(r"(boot|slots|ota[^./]*)(?=[./]|$)", re.IGNORECASE)
"""The loader's own names, whatever their case or ending: no slot and no release has them."""

out = Console(highlight=False, soft_wrap=True)


def push(
    board: str,
    files: tuple[Path, ...],
    /,
    *,
    watch: bool = False,
    state: StateFolder = None,
) -> int:
    """Copy files to a board, those that have changed, and start its program again.

    What it prints then, a traceback above all, is shown until it answers. The gateway leaves the port alone
    meanwhile and is back at once. With the loader of `boardtalk ota` on the board they go into the slot that
    runs, where its program is.

    Example: boardtalk push rover main.py chassis.py

    Args:
        board: its address, or a port without a gateway.
        files: files and folders; they go to the board's root folder, or its slot.
        watch: do it again whenever one of them is saved, until Ctrl-C.
    """
    missing = [str(path) for path in files if not path.exists()]
    if missing or not files:
        raise LinkError(
            f"{missing[0]}: no such file" if missing else "which files? `boardtalk push rover main.py`"
        )
    folder = state or running_folder()
    pushed = _ages(files)
    code = asyncio.run(_push(board, files, folder))
    with suppress(KeyboardInterrupt):
        while watch:
            if (now := _ages(files)) == pushed:
                time.sleep(LOOK_S)
                continue
            pushed = now  # what is saved while it is copied is seen at the next look
            try:
                code = asyncio.run(_push(board, files, folder))
            except BoardtalkError as error:  # the next save may find the board again
                out.print(f"boardtalk: {error}", markup=False, style="red")
    return code


async def _push(board: str, files: tuple[Path, ...], state: Path) -> int:
    began = time.monotonic()
    attempt = Attempt(me(), "push", board, ", ".join(path.name for path in files))
    async with audited(state, attempt), borrowed(board, state, "`boardtalk push`") as loan:
        where = await _copy(loan.port, files)
        text, runs = await started_anew(loan.port)
        loan.printed(board, text)
    out.print(clean(text), markup=False, style="dim", end="")
    copied = f"{len(files)} files" if len(files) > 1 else str(files[0])
    words = "runs" if runs else "is at its prompt: its program has ended"
    copied += f" in slot {where}" if where else ""
    out.print(f"{copied}: {board} {words}, after {time.monotonic() - began:.1f} s", markup=False)
    return 0 if runs else 1


async def _copy(port: str, files: tuple[Path, ...]) -> str:
    """Copy files to where the program is; the slot, "" for none. Raises LinkError."""
    copy = "resume", "cp", "-r", *map(str, files)
    try:
        await mpremote("connect", port, "resume", "exec", ASK_LOADER, "+", *copy, ":")
    except LinkError as error:
        found = SLOT.search(str(error))
        if found is None:
            raise
    else:
        return ""
    if found["left"] != "0":
        raise LinkError(
            f"{port}: a release is on trial there; wait for its end: `boardtalk ota status` tells"
        )
    if theirs := [path for path in files if RESERVED.match(path.name)]:
        raise LinkError(f"{theirs[0]}: the loader on the board has that name; call it otherwise")
    slot = "ab"[int(found["stays"])]
    await mpremote("connect", port, *copy, f":/{slot}/")
    return slot


async def mpremote(*arguments: str) -> None:
    """Run it. Raises LinkError with the last line that it said."""
    process = await asyncio.create_subprocess_exec(
        *MPREMOTE, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines()
        raise LinkError(lines[-1] if lines else "mpremote failed")


async def started_anew(port: str) -> tuple[str, bool]:
    """Start the board's program again; what it prints, and whether it runs then or has ended in the prompt.

    A soft reset: USB stays up, so that not a word is lost.

    Raises:
        PortError: the port can't be opened.
        LinkError: it does not start again.
    """
    text = ""
    async with transport(port, BAUD) as line:
        line.write(START_AGAIN)
        with suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                while data := await line.read():
                    head, frame, _ = data.partition(b"\0")
                    text += head.decode(errors="replace").replace("\r", "")
                    _, rebooted, said = text.partition(REBOOTED)
                    if rebooted and (frame or said.endswith(PROMPT)):
                        return said.removesuffix(PROMPT), not said.endswith(PROMPT)
    _, rebooted, said = text.partition(REBOOTED)
    if not rebooted:
        raise LinkError(
            f"{port}: the files are on the board, but it does not start again; press its reset button"
        )
    return said, True


def _ages(files: Iterable[Path]) -> dict[Path, int]:
    inside = [each for path in files for each in ([path] if path.is_file() else path.rglob("*"))]
    ages = {}
    for path in inside:
        with suppress(OSError):  # an editor may be about to replace it
            ages[path] = path.stat().st_mtime_ns
    return ages
