"""Several boards with release 1, in a group, and their gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from boardtalk.hil.gateway import GatewayProcess
from boardtalk.hil.micropython.board import MicroPythonBoard
from boardtalk.hil.paced import PacedLine

from .rig import CONF, HEAP, Site, flash

BLOCK = """\
board {name} {{
    port = {port}
}}
"""
GROUP = """\
group crew {{
    members = alice, {members}
}}
"""


class Fleet(Site):
    """Boards by name, and the gateway."""

    def __init__(self, boards: Mapping[str, MicroPythonBoard], gateway: GatewayProcess) -> None:
        super().__init__(next(iter(boards.values())), gateway)
        self.boards = boards

    def label(self, name: str) -> str:
        """Which release a board has in the slot that an update would go into first."""
        try:
            return self.boards[name].files.read("b.txt").split(b"version ")[1].split(b"+")[0].decode()
        except OSError:
            return ""


@asynccontextmanager
async def fleet(folder: Path, *names: str, absent: str = "", baud: int = 0) -> AsyncIterator[Fleet]:
    """Boards with these names, on lines so fast; one more is known, and not there."""
    state = folder / "state"
    state.mkdir()
    boards = {}
    for number, name in enumerate(names, 1):
        uid = f"{number:016x}"
        robot = flash(folder / name, state, uid)
        boards[name] = MicroPythonBoard(
            robot, uid=uid, heap=HEAP, flash="littlefs", line=PacedLine(baud) if baud else None
        )
    async with AsyncExitStack() as stack:
        for board in boards.values():
            await stack.enter_async_context(board)
        ports = {name: board.port for name, board in boards.items()}
        ports |= {absent: str(folder / "nothing")} if absent else {}
        first, *others = ports
        conf = CONF.format(port=ports[first]).replace("board lamp", f"board {first}")
        conf += "".join(BLOCK.format(name=name, port=ports[name]) for name in others)
        conf += GROUP.format(members=", ".join(ports))
        gateway = await stack.enter_async_context(GatewayProcess(state, conf))
        for name in names:
            await gateway.online(name, "alice")
        found = Fleet(boards, gateway)
        try:
            yield found
        finally:
            await found.end()
