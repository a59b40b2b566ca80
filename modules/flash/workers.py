"""The processes that do it: what crashes or hangs in one hurts nobody, and none outlives the gateway."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from boardtalk.sdk import Code, Refused
from boardtalk.sdk.leash import leashed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

T = TypeVar("T")
PROGRAMS: Final = {
    "flash": "boardtalk.flash.worker",
    "ota": "boardtalk.modules.iot_bridge.ota.worker",
}
"""Named, not imported: they are other processes."""
CANCELLED: Final = "cancelled"
"""The code of what ended because somebody wanted that."""
SILENCE_S: Final = 180.0
"""A worker that says nothing for so long hangs: longer than an update is waited for."""
ROWS_S: Final = 15.0
MAX_LINE_BYTES: Final = 1 << 20


class Told(msgspec.Struct, kw_only=True):
    """A line of a worker."""

    event: str
    """`step`, `progress`, `checked` or `ended`."""
    step: str = ""
    detail: str = ""
    done: int = 0
    total: int = 0
    ok: bool = False
    written: int = 0
    seconds: float = 0.0
    firmware: str = ""
    code: str | None = None
    reason: str = ""
    cure: str = ""
    note: str = ""
    name: str = ""
    version: str = ""
    sha256: str = ""
    size: int = 0
    blind: bool = False
    runs: str = ""
    trial: bool = False
    before: str | None = None
    id: str = ""
    program: str = ""


class Device(msgspec.Struct, kw_only=True):
    """What is plugged in."""

    port: str
    usb: str
    boards: list[str]
    """Kinds that it may be, by its USB id."""
    name: str
    serial: str

    @property
    def identity(self) -> str:
        """What another device at the same port has not, as far as devices tell."""
        return " ".join(filter(None, (self.usb, self.serial)))


class Row(msgspec.Struct, kw_only=True):
    """How the link process knows a board."""

    address: str
    uid: str
    port: str
    firmware: str
    state: str


async def work(
    program: str, order: dict[str, Any], cancelled: asyncio.Event | None = None
) -> AsyncGenerator[Told, None]:
    """Have an order carried out; what is told of it. The last one is `checked` or `ended`, whatever happens.

    Args:
        program: one of `PROGRAMS`.
        order: what its worker reads.
        cancelled: set: it ends as soon as it can, and tells how far it was.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *leashed(sys.executable, "-m", PROGRAMS[program]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=MAX_LINE_BYTES,
        )
    except OSError as error:
        yield Told(event="ended", code="fault", reason=f"no worker can be started: {error}")
        return
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    ending = asyncio.create_task(_end(process, cancelled), name="cancels a worker")
    try:
        with suppress(OSError):  # it has ended already, and how is told below
            process.stdin.write(msgspec.json.encode(order) + b"\n")
            await process.stdin.drain()
        while True:
            async with asyncio.timeout(SILENCE_S):
                line = await process.stdout.readline()
            if not line:
                break
            told = msgspec.json.decode(line, type=Told)
            yield told
            if told.event in ("checked", "ended"):
                return
        code = await process.wait()
        if code == -signal.SIGTERM and cancelled is not None and cancelled.is_set():
            yield Told(event="ended", code=CANCELLED, reason="cancelled before it began")
            return
        reason = f"its worker has died ({_ended(code)})"
    except TimeoutError:
        reason = f"its worker said nothing for {SILENCE_S:g} s, and was ended"
    except (msgspec.DecodeError, ValueError) as error:
        reason = f"its worker said what nobody understands: {error}"
    finally:
        ending.cancel()
        if process.returncode is None:
            process.kill()
            await asyncio.shield(process.wait())
    yield Told(event="ended", code="fault", reason=reason)


async def _end(process: asyncio.subprocess.Process, cancelled: asyncio.Event | None) -> None:
    if cancelled is not None:
        await cancelled.wait()
        with suppress(ProcessLookupError):
            process.terminate()


async def answer(program: str, order: dict[str, Any]) -> Told:
    """The last thing that a worker tells.

    Raises:
        Refused: it could not do it.
    """
    told = [each async for each in work(program, order)][-1]
    if told.event == "ended" and not told.ok:
        raise Refused(Code.FAILED, f"{told.reason}{f'; {told.cure}' if told.cure else ''}")
    return told


async def rows(state: Path) -> list[Row]:
    """The boards that the link process knows; those that wait for one have no address.

    Raises:
        Refused: it does not tell.
    """
    return await _told(list[Row], "boards", "--json", "--state", str(state))


async def plugged() -> list[Device]:
    """What is plugged in that could be a board; nothing is opened.

    Raises:
        Refused: nobody can tell.
    """
    return await _told(list[Device], "flash", "detect", "--json")


async def _told(kind: type[T], *command: str) -> T:
    """What a command of `boardtalk` tells programs. Raises Refused."""
    process = await asyncio.create_subprocess_exec(
        *leashed(sys.executable, "-m", "boardtalk", *command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    err = b""
    try:
        async with asyncio.timeout(ROWS_S):
            out, err = await process.communicate()
        return msgspec.json.decode(out, type=kind)
    except (TimeoutError, msgspec.DecodeError) as error:
        reason = err.decode(errors="replace").strip() or str(error) or f"nothing within {ROWS_S:g} s"
        raise Refused(Code.FAILED, f"the boards are not known: {reason}") from error
    finally:
        if process.returncode is None:
            process.kill()
            await asyncio.shield(process.wait())


def _ended(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
