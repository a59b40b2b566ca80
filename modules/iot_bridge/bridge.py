"""The bridge: a chat message to a robot becomes a typed command; what the board says becomes chat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import msgspec

from boardtalk.modules.iot_bridge import commands
from boardtalk.modules.iot_bridge import service_api as api
from boardtalk.modules.iot_bridge.dictionary import DictionaryError
from boardtalk.modules.iot_bridge.frames import Outcome
from boardtalk.modules.iot_bridge.robots import Robot, Running
from boardtalk.modules.iot_bridge.service_client import LinkClient
from boardtalk.sdk import (
    CONSUMED,
    PASS,
    Code,
    Completion,
    Config,
    Flag,
    Message,
    Module,
    Refused,
    ServiceError,
    State,
    Status,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_TTL_S: Final = {"query": 10, "action": 10, "motion": 1, "config": 60, "stop": 1}
"""Seconds within which a command must start, by class; `expiry` of the message overrides."""
MAX_TTL_S: Final = 300
NOW_OR_NEVER_S: Final = 1
"""What `expiry = 0` means on a line that takes its time."""
RENEWALS_PER_LEASE: Final = 5
"""Three of five may be lost before the board stops."""
MAX_RUNNING: Final = 50
"""Commands under way per robot; more are refused as busy."""

OUTCOMES: Final[Mapping[Outcome, tuple[Code, State]]] = {
    Outcome.DONE: (Code.DONE, State.DONE),
    Outcome.FAILED: (Code.FAILED, State.FAILED),
    Outcome.REJECTED: (Code.FAILED, State.REJECTED),
    Outcome.EXPIRED: (Code.EXPIRED, State.EXPIRED),
    Outcome.CANCELLED: (Code.FAILED, State.CANCELLED),
}
UNKNOWN: Final = (Code.FAILED, State.UNKNOWN)


class BoardBlock(Config):
    """A board that this gateway knows, and what it is called here."""

    port: str = "auto"
    """`auto`, or a device such as `/dev/serial/by-id/…`."""
    uid: str = ""
    """The board's unique id; another board on the port is then refused."""
    baud: Annotated[int, msgspec.Meta(ge=1200, le=4_000_000)] = 115_200
    """Bits per second; USB-CDC ports ignore it."""
    lease: Annotated[int, msgspec.Meta(ge=200, le=2000)] = 500
    """Milliseconds after which the board stops a motion that nobody renews."""


class IotBridge(Module):
    """See the module's docstring."""

    name = "iot_bridge"
    description = "talks to boards over serial ports"
    version = "1"
    blocks: ClassVar[Mapping[str, type[Config]]] = {"board": BoardBlock}

    class Config(Config):
        """Settings of the bridge."""

        adopt: Literal["all", "listed"] = "listed"
        """`listed`: boards without a block wait for `boardtalk boards adopt`."""

    _link: LinkClient

    async def on_start(self) -> None:
        """Find or start the link process and attach to it."""
        self._robots: dict[str, Robot] = {}
        boards: Any = self.context.blocks("board")
        self._leases = {name: block.lease for name, block in boards.items()}
        wanted = [api.WantedBoard(name=name, uid=block.uid, port=block.port, baud=block.baud)
                  for name, block in boards.items()]  # fmt: skip
        self._link = await LinkClient.start(self.context.state, wanted, adopt_all=self.config.adopt == "all")
        self.context.spawn(self._events(), "events")

    async def on_cleanup(self) -> None:
        """Leave; the link process ends too when the gateway stops in an orderly way."""
        await self._link.close()

    def on_complete(self, to: str, line: str) -> list[Completion]:
        """Completion from the board's dictionary."""
        robot = self._robots.get(to)
        return commands.complete(line, robot.dictionary) if robot and robot.dictionary else []

    def on_message(self, message: Message) -> Verdict:
        """Take what is for a robot."""
        robot = self._robots.get(message.to)
        if robot is None:
            return PASS
        try:
            self._take(robot, message)
        except (commands.CommandError, DictionaryError) as error:
            self._end(message, (Code.FAILED, State.REJECTED), str(error))
        except Refused as refused:
            state = State.EXPIRED if refused.code is Code.EXPIRED else State.REJECTED
            self._end(message, (refused.code, state), refused.reason)
        except ServiceError as error:
            self._end(message, (Code.OFFLINE, State.FAILED), f"the link process is away: {error}")
        return CONSUMED

    # Chat to board ----------------------------------------------------------------------------

    def _take(self, robot: Robot, message: Message) -> None:
        """Do what a message asks.

        Raises:
            CommandError: it can't be understood.
            Refused: it is not allowed or comes at the wrong time.
        """
        robot.followers.add(message.sender)
        line = message.body.strip()
        if line.lower() == "rearm":
            self._allow(message, "rearm")
            self._link.rearm(robot.name, message.sender)
            robot.rearming.append(message)
            return
        dictionary = robot.require_dictionary()
        if commands.is_help(line):
            self._allow(message, "query")
            self._end(message, (Code.DONE, State.DONE), commands.help_for(line, dictionary))
            return
        order = commands.read(line, dictionary)
        self._allow(message, order.command.cls)
        self._command(robot, message, order)

    def _allow(self, message: Message, action: Any) -> None:
        if not self.context.allowed(message.sender, action, message.to):
            raise Refused(Code.DENIED, f"{message.sender} may not do that: {action} needs the role operator")

    def _command(self, robot: Robot, message: Message, order: commands.Order) -> None:
        """Send a command on its way."""
        robot.require_ready()
        if len(robot.running) >= MAX_RUNNING:
            raise Refused(Code.BUSY, f"{robot.name} has {MAX_RUNNING} commands under way; try again in a moment")
        ttl_s = self._time_left(message, order)
        motion = order.command.cls == "motion"
        lease_ms = self._leases.get(robot.name, DEFAULT_LEASE_MS) if motion else 0
        command_id = robot.command_id(message)
        robot.running[command_id] = Running(message, order.command, lease_ms)
        self._link.command(
            api.Command(
                board=robot.name,
                id=command_id,
                index=order.index,
                ttl_ms=int(ttl_s * 1000),
                lease_ms=lease_ms,
                args=order.command.args_format.pack(order.args),
            )
        )
        if motion:
            self.context.spawn(self._renew(robot, command_id), f"lease of {robot.name}")

    def _time_left(self, message: Message, order: commands.Order) -> float:
        """Seconds within which the command must start, counted from the gateway's acceptance."""
        asked = DEFAULT_TTL_S[order.command.cls] if message.expiry is None else message.expiry or NOW_OR_NEVER_S
        left = min(asked, MAX_TTL_S) - (self.context.now() - message.accepted)
        if left <= 0:
            raise Refused(Code.EXPIRED, f"too late: it was to start within {asked} s")
        return left

    async def _renew(self, robot: Robot, command_id: int) -> None:
        """Keep a motion's lease alive while it runs; it ends by itself within its declared limit."""
        running = robot.running[command_id]
        while command_id in robot.running:
            self._link.renew(robot.name, command_id, running.lease_ms)
            await asyncio.sleep(running.lease_ms / 1000 / RENEWALS_PER_LEASE)

    def _end(self, message: Message, end: tuple[Code, State], text: str) -> None:
        """Answer a message and report how it ended."""
        code, state = end
        status = Status(code=code, state=state, detail="" if code is Code.DONE else text)
        self.reply(message, text, status)
        self.context.report(message, status)

    # Board to chat ----------------------------------------------------------------------------

    async def _events(self) -> None:
        """Everything that the link process tells, until it goes away for good."""
        async for event in self._link.events():
            match event:
                case api.BoardChanged():
                    await self._board_changed(event)
                case api.Progress():
                    self._progress(event)
                case api.Result():
                    self._result(event)
                case api.Report():
                    self._report(event)
                case api.LogLine():
                    self._tell_followers(event.board, event.text)
