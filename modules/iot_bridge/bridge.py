"""The bridge: a chat message to a robot becomes a typed command; what the board says becomes chat."""

from __future__ import annotations

import asyncio
from itertools import chain, repeat
from math import ceil
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, TypeAlias

import msgspec

from boardtalk.boards import usb_ids
from boardtalk.modules.iot_bridge.adoption import Adoption
from boardtalk.modules.iot_bridge.clearance import LEAST_LEASE_MS, overrun_m, require_room
from boardtalk.modules.iot_bridge.dictionary import parse
from boardtalk.modules.iot_bridge.errors import DictionaryError, LinkError
from boardtalk.modules.iot_bridge.journal import Journal
from boardtalk.modules.iot_bridge.language import commands
from boardtalk.modules.iot_bridge.live import Calls
from boardtalk.modules.iot_bridge.quality import EVERY_S, Quality
from boardtalk.modules.iot_bridge.reports import Reports
from boardtalk.modules.iot_bridge.requests import Requests
from boardtalk.modules.iot_bridge.robots import Robot, unseen
from boardtalk.modules.iot_bridge.roster import DEFAULT_LEASE_MS, Roster
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import LinkClient
from boardtalk.modules.iot_bridge.speech import Speech
from boardtalk.modules.iot_bridge.underway import UnderWay
from boardtalk.sdk import (
    CONSUMED,
    PASS,
    AddressError,
    Call,
    CallState,
    Completion,
    Message,
    Module,
    Refused,
    ServiceError,
    Settings,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

RESTART_PAUSES_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Before each attempt to start the link process again."""
LOST_S: Final = 10.0
"""A command that was under way ends as unknown if so long nobody is found who could be asked about it."""
LEARN_AGAIN_S: Final = 1.0
"""Before the link process is asked again for a dictionary."""
SHOW_HOLDERS_S: Final = 0.25
"""Between two looks at who has which robot."""
OWN_WORDS: Final = (
    Completion("help", "what it can do"),
    Completion("stop", "stop at once, until rearm"),
    Completion("rearm", "let it move again after a stop"),
    Completion("take over", "stop it and have it for yourself, whoever drives it now"),
    Completion("cancel", "end what you have begun; `cancel ID`: that command, whoever began it"),
    Completion("watch", "CHANNEL: show telemetry as it comes; `unwatch` ends that"),
)
"""What the bridge itself understands, for every robot."""


Positive: TypeAlias = Annotated[float, msgspec.Meta(gt=0)]


class BoardBlock(Settings):
    """A board that this gateway knows, and what it is called here."""

    port: Annotated[
        str, msgspec.Meta(description="`auto`, a device, `mqtt`, tcp://HOST:PORT or rfc2217://HOST:PORT")
    ] = "auto"
    uid: Annotated[str, msgspec.Meta(description="unique id; other boards are then refused")] = ""
    baud: Annotated[
        int, msgspec.Meta(ge=1200, le=4_000_000, description="bits per second of the line; USB ignores it")
    ] = 115_200
    lease: Annotated[
        int,
        msgspec.Meta(ge=LEAST_LEASE_MS, le=2000, description="ms after which an unrenewed motion stops"),
    ] = DEFAULT_LEASE_MS
    clearance: Annotated[
        Positive | None,
        msgspec.Meta(description="m that it may roll on by itself; needs `speed` and `brakes`"),
    ] = None
    speed: Annotated[Positive | None, msgspec.Meta(description="with `clearance`: its highest, m/s")] = None
    brakes: Annotated[
        Positive | None,
        msgspec.Meta(
            description="with `clearance`: by how much it slows down when its outputs are off, m/s²"
        ),
    ] = None

    def __post_init__(self) -> None:
        """Raises ValueError if it would roll on for longer than it may."""
        if self.clearance is not None and self.speed is not None and self.brakes is not None:
            require_room(self.clearance, self.speed, self.brakes, self.lease)
        elif (self.clearance, self.speed, self.brakes) != (None, None, None):
            raise ValueError("`clearance`, `speed` and `brakes` belong together")

    @property
    def overrun(self) -> str:
        """How far it rolls on by itself, for who drives it; "" if that is not known."""
        if self.clearance is None or self.speed is None or self.brakes is None:
            return ""
        overrun_cm = ceil(100 * overrun_m(self.speed, self.brakes, self.lease))
        return f"up to {overrun_cm / 100:.2f} m; keep {self.clearance:g} m clear"


class IotBridge(Module):
    """Takes the messages to robots, and speaks for them."""

    name = "iot_bridge"
    description = "talks to boards over serial ports, the network and MQTT"
    version = "1"
    blocks: ClassVar[Mapping[str, type[Settings]]] = {"board": BoardBlock}

    class Config(Settings):
        """Settings of the bridge."""

        adopt: Annotated[
            Literal["listed", "all"],
            msgspec.Meta(description="`all`: boards without a block need no `boardtalk boards adopt`"),
        ] = "listed"
        discover: Annotated[
            bool, msgspec.Meta(description="open USB ports that may be boards; that resets some of them")
        ] = True

    async def on_start(self) -> None:
        """Find or start the link process and attach to it."""
        blocks: Mapping[str, Any] = self.context.blocks("board")
        self._wanted = [
            api.WantedBoard(name=name, uid=block.uid, port=block.port, baud=block.baud)
            for name, block in blocks.items()
        ]
        self._overruns = {name: block.overrun for name, block in blocks.items()}
        self._usb = usb_ids() if self.config.discover else set()
        self._roster = roster = Roster({name: block.lease for name, block in blocks.items()})
        self._speech = Speech(self, roster)
        self._calls = Calls(self.context, roster)
        self._reports = Reports(self.context, roster, self._speech)
        self._adoption = Adoption(self, roster)
        self._journal = Journal(self.context.notes)
        self._under_way = UnderWay(self.context, roster, self._speech, self._journal)
        self._requests = Requests(
            self.context,
            roster,
            self._speech,
            calls=self._calls,
            reports=self._reports,
            under_way=self._under_way,
        )
        await self._attach()
        if not roster.link.boards:
            self.context.log.info("no board yet: plug one in; `boardtalk boards` lists what is found")
        self.context.every(EVERY_S, Quality(self.context, roster).look)
        self.context.every(SHOW_HOLDERS_S, self._show_holders)
        self._keeper = self.context.spawn(self._keep_link(), "link process")
        self._patience = self.context.after(LOST_S, self._under_way.give_up)

    async def on_cleanup(self) -> None:
        """Leave; the link process ends too when the gateway stops in an orderly way."""
        self._keeper.cancel()
        await self._roster.link.close()

    # From chat ------------------------------------------------------------------------------------

    def on_unfinished(self, message: Message) -> Verdict:
        """Find out what became of a command that the gateway before had under way."""
        running = self._under_way.recall(message)
        if running is None:
            return PASS
        robot = self._roster.robots.setdefault(message.to, unseen(message.to))
        robot.running[running.request.id] = running
        self._under_way.catch_up(robot)
        return CONSUMED

    def unfinished(self) -> list[Message]:
        """The commands under way."""
        return self._under_way.messages()

    def on_complete(self, to: str, line: str) -> list[Completion]:
        """Completion from the board's dictionary, and our own words."""
        robot = self._roster.robots.get(to)
        if robot is None or robot.dictionary is None:
            return []
        word, space, begun = line.partition(" ")
        if space and word in ("watch", "unwatch"):
            return commands.complete_channel(begun, robot.dictionary)
        own = [word for word in OWN_WORDS if word.text.startswith(line)]
        return own + commands.complete(line, robot.dictionary)

    def on_message(self, message: Message) -> Verdict | Awaitable[Verdict]:
        """Take what is for a robot."""
        robot = self._roster.robots.get(message.to)
        if robot is None:
            return self._adoption.take(message) if self._adoption.is_asked(message) else PASS
        self._requests.take(robot, message)
        return CONSUMED

    async def on_show(self, user: str) -> dict[str, Any]:
        """The boards that are no robots yet."""
        return await self._adoption.shown(user)

    def on_call(self, call: Call) -> Verdict:
        """Take a call to a robot."""
        robot = self._roster.robots.get(call.to)
        if robot is None:
            return PASS
        self._calls.take(call, robot)
        return CONSUMED

    def on_set_point(self, call: Call, text: str) -> None:
        """Pass live values on."""
        self._calls.set_point(call, text)

    def on_call_status(self, call: Call, state: CallState) -> None:
        """Let the robot go when the call is over."""
        if state.over:
            self._calls.over(call)

    # The link process -------------------------------------------------------------------------

    async def _attach(self) -> None:
        """Find the link process or start it, and learn about the boards.

        Raises:
            ServiceError: it does not start, or belongs to another gateway.
        """
        self._roster.link = await LinkClient.start(
            self.context.state,
            self._wanted,
            adopt_all=self.config.adopt == "all",
            usb=self._usb,
        )
        for board in self._roster.link.boards:
            await self._board_changed(board)

    async def _keep_link(self) -> None:
        """Listen to the link process; whenever it goes away, start another one."""
        while True:
            await self._listen()
            await self._roster.link.close(shutdown=False)
            self.context.log.error("the link process went away; it is started again")
            for robot in self._roster.robots.values():
                robot.gone()
                self._calls.check(robot)
                self.context.register(robot.contact)
            self._patience.cancel()
            self._patience = self.context.after(LOST_S, self._under_way.give_up)
            for pause_s in chain(RESTART_PAUSES_S, repeat(RESTART_PAUSES_S[-1])):
                await asyncio.sleep(pause_s)
                try:
                    await self._attach()
                except (ServiceError, OSError) as error:  # as when no process can be started just now
                    self.context.log.error("no link process", error=str(error))
                else:
                    break

    # To chat --------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Everything that the link process tells, until it goes away.

        A mistake of ours with one event must not make us deaf to all others: no command would ever end.
        """
        async for event in self._roster.link.events():
            try:
                await self._heed(event)
            except Exception as error:
                self.context.log.error(
                    "an event was not understood",
                    kind=type(event).__name__,
                    error=repr(error),
                    exc_info=error,
                )

    async def _heed(self, event: api.AnyAnswer) -> None:
        match event:
            case api.BoardChanged():
                await self._board_changed(event)
            case api.Progress():
                self._under_way.progress(event)
            case api.Result():
                self._under_way.result(event)
            case api.Report():
                self._reports.show(event)
            case api.LogLine():
                self._reports.log(event)
            case api.StopNotice():
                self._stopped(event)
            case api.Lapsed():
                self._calls.lapsed(event.board)
            case api.Dropped():
                text = f"{event.count} reports and log lines were thrown away: it sends too much"
                self._speech.tell(event.board, text)

    def _show_holders(self) -> None:
        """Have everybody see who has a robot for himself, when that has changed."""
        now = self.context.now()
        for robot in self._roster.robots.values():
            if (holder := robot.holder(now)) != robot.held_by:
                robot.held_by = holder
                if self.context.contact(robot.name):
                    self.context.register(robot.contact)

    def _stopped(self, event: api.StopNotice) -> None:
        for board in event.stopped:
            self._speech.tell(board.board, f"stopped by {event.by}", but=event.by)

    async def _board_changed(self, board: api.BoardChanged) -> None:
        """Note how a board is now, and learn its dictionary if that is new."""
        if not board.name:
            cure = f"boardtalk boards adopt {board.uid} NAME"
            self.context.log.info("a board waits for adoption", port=board.port, cure=cure)
            return
        known = self._roster.robots.get(board.name)
        learned = known.board.dictionary if known else ""
        robot = known or Robot(board)
        robot.overrun = self._overruns.get(board.name, "")
        robot.update(board, self.context.now())
        self._journal.met(board)
        self._calls.check(robot)
        if board.dictionary and (board.dictionary != learned or robot.dictionary is None):
            await self._learn(robot)
        try:
            self.context.register(robot.contact)
        except (Refused, AddressError) as error:
            self._roster.robots.pop(board.name, None)  # what is said to this address is for somebody else
            cure = f"remove that user or group, or call the board (uid {board.uid}) otherwise"
            self.context.log.error("a board has no address", reason=str(error), cure=cure)
        else:
            self._roster.robots[board.name] = robot
            self._adoption.came(board.name)
        self._under_way.catch_up(robot)

    async def _learn(self, robot: Robot) -> None:
        """Read its dictionary."""
        try:
            robot.dictionary = parse(await self._roster.link.dictionary(robot.name))
        except (DictionaryError, LinkError, ServiceError) as error:
            robot.dictionary = None
            self.context.log.error("no usable dictionary", board=robot.name, error=str(error))
            if isinstance(error, ServiceError):
                self.context.spawn(self._learn_later(robot), f"dictionary of {robot.name}")

    async def _learn_later(self, robot: Robot) -> None:
        """The link process did not answer in time; it will not tell of a board that does not change."""
        await asyncio.sleep(LEARN_AGAIN_S)
        if robot.here and robot.dictionary is None:
            await self._board_changed(robot.board)
