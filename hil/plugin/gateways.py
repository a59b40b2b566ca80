"""The fixture `gateway`: broker, hub, chain and bridge on a temporary folder, with a board."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from boardtalk.frontends import control
from boardtalk.frontends.client import Denied
from boardtalk.hil.gateway import GatewayProcess
from boardtalk.hil.plugin.chats import Chat
from boardtalk.hil.plugin.rig import Done, done
from boardtalk.hil.plugin.talk import Talk
from boardtalk.sdk import Role

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from boardtalk.hil.plugin.boards import Board
    from boardtalk.hil.plugin.rig import Rig
    from boardtalk.hil.plugin.talk import Note
    from boardtalk.hil.plugin.traffic import Traffic

TESTER: Final = "tester"
"""The user of the fixture `chat`; an operator."""
CONF: Final = """\
log_level = warning
{more}
broker {{
    port = 0
}}
module iot_bridge {{
    discover = no
}}
user {tester} {{
    role = operator
}}
board {name} {{
    port = {port}
    {uid}
}}
"""


class Gateway:
    """A running gateway."""

    folder: Path
    """Where it keeps its state."""

    def __init__(self, rig: Rig, process: GatewayProcess, board: Board) -> None:
        self.folder = process.folder
        self.told: list[Note] = []
        """What users said and were told."""
        self._rig = rig
        self._process = process
        self._board = board
        self._stack = ExitStack()
        self._talks: dict[str, Talk] = {}

    @property
    def mqtt(self) -> tuple[str, int]:
        """Where its broker listens: host and port."""
        return self._process.mqtt

    @property
    def log(self) -> str:
        """What gateway and link process have logged last."""
        return self._process.logged()

    def kill(self) -> Done:
        """Kill it. Its link process stays, and stops what moves."""
        return self._rig.run(done(self._process.kill))

    def start(self) -> Done:
        """Start it again; returns when it reaches the board."""
        return self._rig.run(self._start)

    def chat(self, user: str = TESTER, role: str = "operator") -> Chat:
        """A user at the gateway's local door, who is added if need be, as viewer, operator or admin."""
        if user not in self._talks:
            if user != TESTER:
                self.token(user, role)
            talk = Talk(self.folder, user, self.told)
            self._talks[user] = self._stack.enter_context(self._rig.entered(talk))
        return Chat(self._rig, self._talks[user])

    def token(self, user: str, role: str = "operator") -> str:
        """A fresh token, with which a user logs in at the broker; who is added if need be."""
        self.chat()
        return self._rig.wait(partial(self._token, user, role))

    def board_login(self, address: str) -> dict[str, Any]:
        """What an MQTT board needs as its `boardtalk.json`; its block stands in `gateway_conf`."""
        self.chat()
        request = control.ChangeBoard(address)
        made = self._rig.wait(partial(self._talks[TESTER].ask, request, control.BoardChanged))
        return {
            "host": made.host,
            "port": made.port,
            "user": made.login,
            "password": made.token,
            "topic": f"boards/{made.address}",
        }

    async def _token(self, user: str, role: str) -> str:
        tester = self._talks[TESTER]
        try:
            change = control.ChangeUser("add", user, Role(role))
            return (await tester.ask(change, control.UserChanged)).token
        except Denied:
            return (await tester.ask(control.ChangeUser("token", user), control.UserChanged)).token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    async def _start(self) -> Done:
        await self._process.start()
        await self._process.online(self._board.name, TESTER)
        return Done()


@contextmanager
def running(rig: Rig, traffic: Traffic, board: Board, more: str) -> Iterator[Gateway]:
    """A gateway that knows this board, with `more` in its configuration."""
    uid = f"uid = {board.uid}" if board.uid else ""
    conf = CONF.format(more=more, tester=TESTER, name=board.name, port=board.port, uid=uid)
    with ExitStack() as stack:
        stack.enter_context(rig.entered(traffic))
        process = stack.enter_context(rig.entered(GatewayProcess(traffic.folder, conf)))
        rig.wait(partial(process.online, board.name, TESTER))
        gateway = stack.enter_context(Gateway(rig, process, board))
        if board.kind.port:  # the test before may have left it stopped
            gateway.chat().send(board.name, "rearm")
        yield gateway
