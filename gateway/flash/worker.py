"""Flashing for who watches from another process: an order in, JSON lines out.

Run as `python -m boardtalk.flash.worker`, for each board one: what becomes of it hurts no gateway.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Literal

import msgspec

from boardtalk import boards as definitions
from boardtalk import stop as stopping
from boardtalk.flash import firmware as files
from boardtalk.flash import fleet
from boardtalk.flash.errors import Code, FlashError
from boardtalk.flash.events import Ended, Event, Step
from boardtalk.flash.job import Job
from boardtalk.flash.protocol import flasher
from boardtalk.flash.provision import ClientJob
from boardtalk.sdk import provision
from boardtalk.sdk.errors import BoardtalkError, ServiceError

WAIT_S = 5.0
"""For MicroPython, afterwards."""
PRESS_S = 30.0
"""… that is needed to go on, and which somebody may have to start by a button."""


class Order(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What shall be done; one line on standard input."""

    what: Literal["check", "write"]
    """`check` looks at definition and image only: no board is touched."""
    robot: str
    board: str
    """An id of `boardtalk boards list`."""
    image: str
    sha256: str = ""
    """What its digest must be; "": any."""
    erase: bool = False
    backup: bool = False
    by: str
    """Who wants it, for the stop."""
    state: str
    new: bool = False
    """It has no address yet, and `robot` is its port: there is nobody to be stopped."""
    program: str = ""
    """The folder of the program that such a board gets besides, with the client; "": none."""
    program_sha256: str = ""
    """What its digest must be; "": any."""


class Checked(Event, frozen=True, tag="checked"):
    """The image is right for the board."""

    name: str
    version: str
    sha256: str
    size: int
    blind: bool
    """Its loader lets nobody read what is on the flash."""


async def main() -> None:
    """Carry out the order; the last line is an `Ended`, or a `Checked`."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    try:
        await (_check(order) if order.what == "check" else _write(order))
    except FlashError as error:
        _say(Ended(port=order.robot, ok=False, code=error.code, reason=error.reason, cure=error.cure))
    except BoardtalkError as error:  # of a definition
        _say(Ended(port=order.robot, ok=False, code=Code.UNSUPPORTED, reason=str(error)))


async def _check(order: Order) -> None:
    board, firmware = _loaded(order)
    kind = flasher(board.definition)
    at = board.definition.flash.offset if firmware.offset is None else firmware.offset
    kind.checked(board.definition, firmware.data, at)
    _say(
        Checked(
            port=order.robot,
            name=firmware.name,
            version=firmware.version,
            sha256=firmware.sha256,
            size=len(firmware.data),
            blind=kind.blind,
        )
    )


async def _write(order: Order) -> None:
    board, firmware = _loaded(order)
    job = Job(
        what="write",
        port=order.robot,
        boards=[board],
        state=Path(order.state),
        firmware=firmware,
        erase=order.erase,
        backup=order.backup,
        wait_s=WAIT_S,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, job.stop.set)
    if not order.new:
        await _stop(order)
    async with aclosing(fleet.run([_with_client(order, job) if order.program else job], 1)) as events:
        async for event in events:
            _say(event)


def _with_client(order: Order, job: Job) -> ClientJob:
    """The same with client and program behind it, so that it says HELLO; its program can be updated."""
    program = Path(order.program)
    wanted = provision.Order(
        port=job.port,
        state=job.state,
        robot=(program,),
        label=program.name,
        sha256=order.program_sha256,
        loader=True,
        stop=job.stop,
    )
    return ClientJob(wanted, replace(job, wait_s=0), PRESS_S)


async def _stop(order: Order) -> None:
    """Have it stand before its line is taken away, and stay so afterwards, until somebody re-arms it."""
    try:
        told = stopping.describe(await stopping.stop(Path(order.state), (order.robot,), order.by))
    except ServiceError as error:
        told = str(error)
    _say(Step(port=order.robot, step="stop", detail=told))


def _loaded(order: Order) -> tuple[definitions.BoardFile, files.Firmware]:
    board = definitions.definition(order.board)
    return board, files.from_file(Path(order.image), board, order.sha256)


def _say(event: Event) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    asyncio.run(main())
