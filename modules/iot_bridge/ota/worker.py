"""Updates for who watches from another process: an order in, JSON lines out.

Run as `python -m boardtalk.modules.iot_bridge.ota.worker`, for each board one.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.ota import robots
from boardtalk.modules.iot_bridge.ota.push import Push
from boardtalk.modules.iot_bridge.ota.release import collect
from boardtalk.sdk import BoardtalkError

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.ota.release import Release


PATIENCE_S: Final = 60.0
"""For a board that starts the release before."""
LOOK_S: Final = 0.5


class Order(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What shall be done; one line on standard input."""

    what: Literal["status", "check", "push", "rollback"]
    """`check` reads the release only; `status` asks the board. Neither stops it."""
    robot: str
    release: str = ""
    """The folder with its files; its name is the label."""
    sha256: str = ""
    """What its digest must be; "": any."""
    by: str
    state: str


class Teller:
    """Tells how a transfer goes on."""

    def __init__(self) -> None:
        self._total = self._done = 0

    def total(self, size: int) -> None:
        """So many bytes are to be sent, from now on."""
        self._total, self._done = size, 0
        self.sent(0)

    def sent(self, size: int) -> None:
        """So many more have arrived."""
        self._done += size
        say("progress", step="transfer", done=self._done, total=self._total)

    def say(self, text: str) -> None:
        """Something for people."""
        say("step", step="note", detail=text)


async def main() -> None:
    """Carry out the order; the last line is an `ended`, or a `checked`. SIGTERM cancels it."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - this is one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    try:
        match order.what:
            case "check":
                release = _collected(order)
                say("checked", name=release.label, sha256=release.sha256, size=release.size)
            case "status":
                say("ended", ok=True, **await _status(order))
            case "push":
                await _push(order)
            case "rollback":
                await _roll_back(order)
    except (BoardtalkError, OSError) as error:
        say("ended", ok=False, code="refused", reason=str(error))
    except asyncio.CancelledError:
        reason = "cancelled; a release that is on trial already is kept or not as the board finds it"
        say("ended", ok=False, code="cancelled", reason=reason, cure="the same plan goes on where it was")


async def _push(order: Order) -> None:
    release = _collected(order)
    say("step", step="transfer", detail="")
    push = Push(Path(order.state), order.robot, release, Teller())
    await push.transfer()
    say("step", step="trial", detail="")
    await push.proof()
    say("ended", ok=True, firmware=release.version)


async def _roll_back(order: Order) -> None:
    state = Path(order.state)
    before = (await robots.status(state, order.robot)).slot
    await robots.roll_back(state, order.robot, f"rollback by {order.by}")
    say("step", step="restart")
    say("ended", ok=True, firmware=await _changed(order, before))


async def _changed(order: Order, before: str) -> str:
    """Wait until another slot than `before` runs; the name of its release."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with suppress(BoardtalkError):  # it is just starting
                    status = await robots.status(Path(order.state), order.robot)
                    if status.slot != before:
                        return status.runs
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        reason = f"{order.robot} has not come back within {PATIENCE_S:g} s"
        raise LinkError(f"{reason}; `/ota {order.robot} status` tells when it has") from None


async def _status(order: Order) -> dict[str, Any]:
    status = await robots.status(Path(order.state), order.robot)
    return {"runs": status.runs, "trial": status.trial, "before": status.before}


def _collected(order: Order) -> Release:
    """Its files, read once, so that nobody can change them between the check and the transfer."""
    folder = Path(order.release)
    release = collect([folder], folder.name)
    if order.sha256 and release.sha256 != order.sha256:
        raise LinkError(f"the release {release.label} is another one than was planned")
    return release


def say(event: str, **more: object) -> None:
    """Write one line."""
    sys.stdout.buffer.write(msgspec.json.encode({"event": event, **more}) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    asyncio.run(main())
