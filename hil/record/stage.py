"""Where people of a recording meet a robot again: a board, and a gateway for it alone."""

from __future__ import annotations

import asyncio
import re
import tempfile
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boardtalk import conf
from boardtalk import stop as stopping
from boardtalk.frontends.client import GatewayClient
from boardtalk.hil.firmware import MAIN, assemble, example
from boardtalk.hil.gateway import GatewayError, GatewayProcess
from boardtalk.hil.janitor import Janitor
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.hil.record.entries import Head, RecordingError
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import ask
from boardtalk.sdk import Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

EMULATED: Final = "emulated"
PORT: Final = re.compile(r"/.+|(tcp|rfc2217)://.+:\d+")
ROVER: Final = "rover"
DIRECTOR: Final = "replay"
"""The user who brings the robot into the state in which it was."""
PATIENCE_S: Final = 10.0
POLL_S: Final = 0.02
CONF: Final = """\
log_level = warning
broker {
  port = 0
}
module iot_bridge {
  discover = no
}
"""


@dataclass(frozen=True, kw_only=True)
class Board:
    """What a recording is played against.

    Raises:
        RecordingError: there is no such port, or no program for an emulated one.
    """

    port: str = EMULATED
    """`emulated`, or where the real one is plugged in."""
    firmware: Path | None = None
    """Of an emulated one: a folder with a `main.py`; else the rover that comes with boardtalk."""

    def __post_init__(self) -> None:
        if self.is_real and not PORT.fullmatch(self.port):
            raise RecordingError(
                f"--against {self.port}: there are {EMULATED}, /dev/… (a port), tcp://HOST:PORT and "
                "rfc2217://HOST:PORT"
            )
        if self.is_real and self.firmware:
            raise RecordingError(f"--firmware is for an emulated board; {self.port} runs its own")
        if not (self.program / MAIN).is_file():
            raise RecordingError(f"--firmware {self.firmware}: there is no {MAIN} in it")

    @property
    def is_real(self) -> bool:
        """Whether it is one."""
        return self.port != EMULATED

    @property
    def program(self) -> Path:
        """The folder with its `main.py`."""
        return (self.firmware or example(ROVER)).resolve()


@asynccontextmanager
async def stage(head: Head, robot: str, board: Board, people: Iterable[str]) -> AsyncIterator[Path]:
    """A running gateway that has the board as `robot`; its state folder.

    It has no modules, and of the recorded configuration what is said of this robot.

    Raises:
        GatewayError: it does not start, or the board does not answer.
    """
    with _folder() as folder:
        async with _plugged_in(board, folder) as port:
            gateway = GatewayProcess(folder, _configuration(head, robot, port, people))
            async with gateway:
                await gateway.online(robot, DIRECTOR)
                yield folder


async def set_back(folder: Path, robot: str, *, latched: bool) -> None:
    """Stop the robot, or let it move again, as it was when the recording began.

    Raises:
        GatewayError: it does not do so.
    """
    wanted = api.BoardState.LATCHED if latched else api.BoardState.READY
    if await _state(folder, robot) is wanted:
        return
    if latched:
        await stopping.stop(folder, (robot,), DIRECTOR)
        return
    try:
        async with GatewayClient.connect(folder, DIRECTOR) as client, asyncio.timeout(PATIENCE_S):
            client.say(robot, "rearm")
            while True:
                if await _state(folder, robot) is wanted:
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        raise GatewayError(f"{robot} is stopped, and does not let itself be re-armed") from error


async def _state(folder: Path, robot: str) -> api.BoardState | None:
    answer = await ask(folder, api.ListBoards(re=1))
    boards = answer.boards if isinstance(answer, api.Boards) else ()
    return next((each.state for each in boards if each.name == robot), None)


@contextmanager
def _folder() -> Iterator[Path]:
    """Gone in the end, with what runs on it, also if this process is killed."""
    folder = Path(tempfile.mkdtemp(prefix="boardtalk-replay-"))
    with Janitor(folder):
        yield folder


@asynccontextmanager
async def _plugged_in(board: Board, folder: Path) -> AsyncIterator[str]:
    """The board; its port."""
    if board.is_real:
        yield board.port
        return
    async with MicroPythonBoard(assemble([board.program], folder), folder=folder) as emulated:
        yield emulated.port


def _configuration(head: Head, robot: str, port: str, people: Iterable[str]) -> str:
    recorded = conf.parse(head.gateway.configuration, "the recorded configuration")
    kept = (
        item
        for block in recorded.of("board")
        for item in block.items
        if block.name == robot and item.key not in ("port", "uid")
    )
    roles = {name: head.gateway.users.get(name, Role.OPERATOR) for name in people} | {DIRECTOR: Role.OPERATOR}
    blocks = [conf.Block("board", robot, (conf.Item("port", port), *kept))]
    blocks += [conf.Block("user", name, (conf.Item("role", role.value),)) for name, role in roles.items()]
    return CONF + conf.render(conf.Document(blocks=tuple(blocks)))
