"""The bridge: a chat message to a robot becomes a typed command; what the board says becomes chat."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import chain, repeat
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec.structs import replace

from boardtalk.boards import usb_ids
from boardtalk.modules.iot_bridge import live
from boardtalk.modules.iot_bridge.dictionary import Channel, parse
from boardtalk.modules.iot_bridge.errors import DictionaryError, LinkError
from boardtalk.modules.iot_bridge.frames import Outcome
from boardtalk.modules.iot_bridge.journal import Journal
from boardtalk.modules.iot_bridge.language import commands
from boardtalk.modules.iot_bridge.robots import ID_MASK, MAX_LISTENERS, TAKEN_S, Robot, Running
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import LinkClient
from boardtalk.modules.iot_bridge.trace import describe
from boardtalk.sdk import (
    CONSUMED,
    PASS,
    AddressError,
    Call,
    CallState,
    Code,
    Completion,
    Flag,
    Message,
    Module,
    Refused,
    ServiceError,
    Settings,
    State,
    Status,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from boardtalk.modules.iot_bridge.dictionary import Command
    from boardtalk.modules.iot_bridge.live import Live

DEFAULT_TTL_S: Final = {"query": 10, "action": 10, "motion": 1, "config": 60, "stop": 1}
"""Seconds within which a command must start, by class; `expiry` of the message overrides."""
MAX_TTL_S: Final = 300
MAX_UNDER_WAY: Final = 1000
"""Commands to all boards; more are refused as busy."""
NOW_OR_NEVER_S: Final = 1
"""What `expiry = 0` means on a line that takes its time."""
DEFAULT_LEASE_MS: Final = 500
UNATTENDED_LEASE_MS: Final = 2000
"""Of an action that takes long, such as heating: nobody looks, and a lease that runs out is no mere pause."""
RENEWALS_PER_LEASE: Final = 5
"""Three of five may be lost before the board stops."""
RESTART_PAUSES_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Before each attempt to start the link process again."""
LOST_S: Final = 10.0
"""A command that was under way ends as unknown if so long nobody is found who could be asked about it."""
WARNING: Final = 30
"""Log lines of this level and above, and console output (0), are shown in chat."""

OUTCOMES: Final[Mapping[Outcome | None, tuple[Code, State]]] = {
    Outcome.DONE: (Code.DONE, State.DONE),
    Outcome.FAILED: (Code.FAILED, State.FAILED),
    Outcome.REJECTED: (Code.FAILED, State.REJECTED),
    Outcome.EXPIRED: (Code.EXPIRED, State.EXPIRED),
    Outcome.CANCELLED: (Code.FAILED, State.CANCELLED),
    None: (Code.FAILED, State.UNKNOWN),
}
PROGRESS: Final = {
    api.Stage.SENT: Status(code=Code.DELIVERED, state=State.SENT),
    api.Stage.STARTED: Status(code=Code.DELIVERED, state=State.STARTED),
}
MEANT_FOR_PEOPLE: Final = "ValueError: "
"""How a reason begins that a robot's program gives on purpose; other exceptions keep their names."""
OWN_WORDS: Final = (
    Completion("help", "what it can do"),
    Completion("stop", "stop at once, until rearm"),
    Completion("rearm", "let it move again after a stop"),
    Completion("take over", "stop it and have it for yourself, whoever drives it now"),
    Completion("cancel", "end what you have begun; `cancel ID`: that command, whoever began it"),
    Completion("watch", "CHANNEL: show telemetry as it comes; `unwatch` ends that"),
)
"""What the bridge itself understands, for every robot."""


FOR_EVERYBODY: Final = frozenset({"query", "stop"})
"""Classes of commands that are obeyed whoever has the robot for himself."""
STOP_WORDS: Final = frozenset({"stop", "halt"})
NOT_STOPPED: Final = "\nNOTHING WAS STOPPED: type `stop` alone"
"""Said of a text with such a word that was no stop: its author may believe it was."""


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
        msgspec.Meta(ge=200, le=2000, description="ms after which an unrenewed motion stops"),
    ] = DEFAULT_LEASE_MS


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

    _link: LinkClient

    async def on_start(self) -> None:
        """Find or start the link process and attach to it."""
        self._robots: dict[str, Robot] = {}
        self._live: dict[str, Live] = {}
        """What calls control, by their ids."""
        self._journal = Journal(self.context.notes)
        blocks: Mapping[str, Any] = self.context.blocks("board")
        self._leases: dict[str, int] = {name: block.lease for name, block in blocks.items()}
        self._wanted = [
            api.WantedBoard(name=name, uid=block.uid, port=block.port, baud=block.baud)
            for name, block in blocks.items()
        ]
        await self._attach()
        if not self._link.boards:
            self.context.log.info("no board yet: plug one in; `boardtalk boards` lists what is found")
        self._keeper = self.context.spawn(self._keep_link(), "link process")
        self._patience = self.context.after(LOST_S, self._give_up)

    async def on_cleanup(self) -> None:
        """Leave; the link process ends too when the gateway stops in an orderly way."""
        self._keeper.cancel()
        await self._link.close()

    def on_unfinished(self, message: Message) -> Verdict:
        """Find out what became of a command that the gateway before had under way."""
        running = self._journal.recall(message, message.row & ID_MASK)
        if running is None:
            return PASS
        robot = self._robots.setdefault(message.to, Robot(_unseen(message.to), here=False))
        robot.running[running.request.id] = running
        self._catch_up(robot)
        return CONSUMED

    def on_complete(self, to: str, line: str) -> list[Completion]:
        """Completion from the board's dictionary, and our own words."""
        robot = self._robots.get(to)
        if robot is None or robot.dictionary is None:
            return []
        word, space, begun = line.partition(" ")
        if space and word in ("watch", "unwatch"):
            return commands.complete_channel(begun, robot.dictionary)
        own = [word for word in OWN_WORDS if word.text.startswith(line)]
        return own + commands.complete(line, robot.dictionary)

    def on_message(self, message: Message) -> Verdict:
        """Take what is for a robot."""
        robot = self._robots.get(message.to)
        if robot is None:
            return PASS
        try:
            self._take(robot, message)
        except (commands.CommandError, DictionaryError) as error:
            wanted_stop = not STOP_WORDS.isdisjoint(message.body.lower().split())
            text = f"{error}{NOT_STOPPED if wanted_stop else ''}"
            self._end(message, (Code.FAILED, State.REJECTED), text)
        except Refused as refused:
            state = State.EXPIRED if refused.code is Code.EXPIRED else State.REJECTED
            self._end(message, (refused.code, state), refused.reason)
        except ServiceError as error:
            self._end(message, (Code.OFFLINE, State.FAILED), f"the link process is away: {error}")
        return CONSUMED

    # Live control -----------------------------------------------------------------------------

    def on_call(self, call: Call) -> Verdict:
        """Take a call to a robot, from somebody who may move it."""
        robot = self._robots.get(call.to)
        if robot is None:
            return PASS
        if not self.context.allowed(call.sender, "motion", call.to):
            raise Refused(Code.DENIED, f"your role does not let you move {call.to}")
        robot.require_hold(call.sender, self.context.now())
        self._live[call.id] = held = live.take(robot, call.control)
        robot.steered_by, robot.taken_until = call.sender, 0.0
        self._let_go(held)
        return CONSUMED

    def on_set_point(self, call: Call, text: str) -> None:
        """Pass live values on."""
        held = self._live[call.id]
        lease_ms = min(held.control.lease, self._leases.get(call.to, held.control.lease))
        self._link.set_point(held.robot, held.index, lease_ms, held.pack(text))

    def on_call_status(self, call: Call, state: CallState) -> None:
        """When a call is over, the outputs go off at once, not only when the lease has run out."""
        held = self._live.pop(call.id, None) if state.over else None
        if held is not None:
            self._robots[held.robot].steered_by = ""
            self._let_go(held)

    def _let_go(self, held: Live) -> None:
        """Outputs off, until a set-point comes."""
        with suppress(ServiceError):  # without a link process the lease runs out
            self._link.set_point(held.robot, held.index, 0, b"")

    def _hang_up(self, robot: Robot) -> None:
        """End the calls to a robot that can't be controlled any more."""
        if robot.board.state is api.BoardState.READY:
            return
        for call_id, held in list(self._live.items()):
            if held.robot == robot.name:
                self.context.end_call(call_id, f"{robot.name} is {robot.board.state}")

    def _lapsed(self, robot: str) -> None:
        """End the calls to a robot that has stopped because no set-point came in time."""
        for call_id, held in list(self._live.items()):
            if held.robot == robot:
                self.context.end_call(call_id, f"no set-point came in time, and {robot} has stopped")

    # The link process -------------------------------------------------------------------------

    async def _attach(self) -> None:
        """Find the link process or start it, and learn about the boards.

        Raises:
            ServiceError: it does not start, or belongs to another gateway.
            DefinitionError: a board definition is damaged.
        """
        self._link = await LinkClient.start(
            self.context.state,
            self._wanted,
            adopt_all=self.config.adopt == "all",
            usb=usb_ids() if self.config.discover else (),
        )
        for board in self._link.boards:
            await self._board_changed(board)

    async def _keep_link(self) -> None:
        """Listen to the link process; whenever it goes away, start another one."""
        while True:
            await self._listen()
            await self._link.close(shutdown=False)
            self.context.log.error("the link process went away; it is started again")
            for robot in self._robots.values():
                self._gone(robot)
            self._patience.cancel()
            self._patience = self.context.after(LOST_S, self._give_up)
            for pause_s in chain(RESTART_PAUSES_S, repeat(RESTART_PAUSES_S[-1])):
                await asyncio.sleep(pause_s)
                try:
                    await self._attach()
                except ServiceError as error:
                    self.context.log.error("no link process", error=str(error))
                else:
                    break

    # Chat to board ----------------------------------------------------------------------------

    def _take(self, robot: Robot, message: Message) -> None:
        """Do what a message asks.

        Raises:
            CommandError: it can't be understood.
            Refused: it is not allowed, or comes at the wrong time.
        """
        robot.follow(message.sender)
        dictionary = robot.require_dictionary()
        match message.body.lower().split():
            case ["rearm"]:
                robot.require_newer(message)
                self._allow(message, "rearm")
                robot.require_hold(message.sender, self.context.now())
                self.context.spawn(self._rearm(robot, message), f"rearm {robot.name}")
            case ["take", "over"]:
                robot.require_newer(message)
                self._allow(message, "motion")
                self.context.spawn(self._take_over(robot, message), f"take over {robot.name}")
            case ["cancel", *ids] if len(ids) <= 1:
                self._cancel(robot, message, "".join(message.body.split()[1:]))
            case [("watch" | "unwatch") as word, *channels] if len(channels) <= 1:
                self._allow(message, "query")
                self._watch(robot, message, "".join(channels), start=word == "watch")
            case _ if commands.is_help(message.body):
                self._allow(message, "query")
                self._end(message, (Code.DONE, State.DONE), commands.help_for(message.body, dictionary))
            case _:
                order = commands.read(message.body, dictionary)
                self._allow(message, order.command.cls)
                self._command(robot, message, order)

    def _allow(self, message: Message, action: Any) -> None:
        if not self.context.allowed(message.sender, action, message.to):
            reason = f"{message.sender} may not do that: a {action} command needs the role operator"
            raise Refused(Code.DENIED, reason)
        self.context.explain(message, "allowed", f"{action} for {message.sender}")

    def _command(self, robot: Robot, message: Message, order: commands.Order) -> None:
        """Send a command on its way."""
        asks = order.command.cls == "query"  # that does no harm, and may well be typed right after a stop
        if not asks:
            robot.require_newer(message)
        if order.command.cls not in FOR_EVERYBODY:
            robot.require_hold(message.sender, self.context.now())
        lease_ms = self._lease_ms(robot, order.command)
        robot.require_ready(soon=not lease_ms)
        self._require_room()
        ttl_s = self._time_left(message, order)
        command_id = robot.command_id(message)
        self.context.explain(
            message,
            "understood",
            f"{order}; command {command_id}, epoch {robot.board.epoch}, to start within {ttl_s * 1000:.0f} ms"
            f"{f', lease {lease_ms} ms' if lease_ms else ''}",
        )
        request = api.Command(
            board=robot.name,
            id=command_id,
            index=order.index,
            ttl_ms=int(ttl_s * 1000),
            lease_ms=lease_ms,
            epoch=None if asks else robot.board.epoch,
            args=order.command.args_format.pack(order.args),
        )
        running = Running(message, request, order.index, self.context.now() + ttl_s, robot.board.boot)
        robot.running[command_id] = running
        if order.command.cls == "motion" and robot.board.state is api.BoardState.READY:
            robot.taken_until = 0.0
        self._journal.taken(message, order.index)
        self._give(robot, running, request)
        if lease_ms:
            self.context.spawn(self._renew(robot, running, self._link), f"lease of {robot.name}")

    def _lease_ms(self, robot: Robot, command: Command) -> int:
        """For how long a command goes on without being renewed; 0: it needs no lease."""
        if command.cls == "motion":
            return self._leases.get(robot.name, DEFAULT_LEASE_MS)
        return UNATTENDED_LEASE_MS if command.unattended else 0

    def _cancel(self, robot: Robot, message: Message, wanted: str) -> None:
        """End the commands that the sender has begun, or the one that he names."""
        found = robot.commands_of(message.sender, wanted)
        if any(running.message.sender != message.sender for running in found.values()):
            self._allow(message, "action")
        if not found:
            what = f"no command {wanted[:40]!r} is" if wanted else "nothing that you began is"
            raise Refused(Code.FAILED, f"{what} under way at {robot.name}")
        for command_id, running in found.items():
            if running.sent:
                self._link.cancel(robot.name, command_id)
            else:
                self._finish(robot, running, Outcome.CANCELLED, "cancelled before it was sent")
        told = ", ".join(running.message.body for running in found.values())
        self._end(message, (Code.DONE, State.DONE), f"to be cancelled: {told}")

    def _require_room(self) -> None:
        under_way = sum(len(robot.running) for robot in self._robots.values())
        if under_way >= MAX_UNDER_WAY:
            raise Refused(Code.BUSY, f"{under_way} commands are under way; try again in a moment")

    def _time_left(self, message: Message, order: commands.Order) -> float:
        """Seconds within which the command must start, counted from the gateway's acceptance."""
        asked = message.expiry
        ttl = DEFAULT_TTL_S[order.command.cls] if asked is None else asked or NOW_OR_NEVER_S
        left = min(ttl, MAX_TTL_S) - (self.context.now() - message.accepted)
        if left <= 0:
            raise Refused(Code.EXPIRED, f"too late: it was to start within {ttl} s")
        return left

    async def _renew(self, robot: Robot, running: Running, link: LinkClient) -> None:
        """Keep a command's lease alive while it runs; it ends by itself within its declared limit.

        Not over a restart of the link process: motion never resumes.
        """
        command = running.request
        while robot.running.get(command.id) is running and running.link is link:
            link.renew(robot.name, command.id, command.lease_ms)
            await asyncio.sleep(command.lease_ms / 1000 / RENEWALS_PER_LEASE)

    async def _rearm(self, robot: Robot, message: Message) -> None:
        epoch = robot.board.epoch
        try:
            await self._link.rearm(robot.name, message.sender)
        except (LinkError, ServiceError) as error:
            self._end(message, (Code.FAILED, State.FAILED), str(error))
        else:
            robot.armed(epoch)
            self._end(message, (Code.DONE, State.DONE), "armed: it may move again")
            self._say(robot.name, robot.followers - {message.sender}, f"armed by {message.sender}")

    async def _take_over(self, robot: Robot, message: Message) -> None:
        """Stop a robot and keep it for who says so: whoever had it loses it, with all that he has said."""
        user = message.sender
        before = robot.take_over(user, self.context.now())
        self.context.log.warning("taken over", robot=robot.name, by=user, before=before)
        for call_id in [call_id for call_id, held in self._live.items() if held.robot == robot.name]:
            self.context.end_call(call_id, f"{user} takes over")
        try:
            confirmed = await self._link.stop(robot.name, user)
        except (LinkError, ServiceError) as error:
            self._end(message, (Code.FAILED, State.FAILED), f"not stopped: {error}")
            return
        if confirmed:
            text = f"stopped, and yours: `{robot.name}: rearm`, and move it within {TAKEN_S:g} s"
            self._end(message, (Code.DONE, State.DONE), text)
        else:
            self._end(message, (Code.FAILED, State.FAILED), f"{robot.name} has not confirmed that it stopped")
        self._say(robot.name, robot.followers - {user}, f"stopped and taken over by {user}")

    def _watch(self, robot: Robot, message: Message, name: str, *, start: bool) -> None:
        """Show a telemetry channel to the sender as it comes, or no longer."""
        if robot.channel(name) is None:
            known = ", ".join(channel.name for channel in robot.require_dictionary().telemetry)
            problem = f"{robot.name} reports no {name!r}" if name else "which channel?"
            raise Refused(Code.FAILED, f"{problem}; it reports: {known or 'nothing'}")
        watchers = robot.watchers.setdefault(name, set())
        robot.shown.pop(name, None)  # the next report is shown, also if it is like the last
        if not start:
            watchers.discard(message.sender)
        elif len(watchers) < MAX_LISTENERS:
            watchers.add(message.sender)
        text = f"{name} is shown as it comes" if start else f"{name} is no longer shown"
        self._end(message, (Code.DONE, State.DONE), text)

    def _end(self, message: Message, end: tuple[Code, State], text: str) -> None:
        """Report how a message ended, and answer it."""
        code, state = end
        status = Status(code=code, state=state, detail=text if code.failed else "")
        self.context.report(message, status)
        with suppress(Refused):  # too much is said in all; what became of it has just been reported
            self.reply(message, text, status)

    # Board to chat ----------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Everything that the link process tells, until it goes away."""
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
                case api.LogLine() if event.level in (0, *range(WARNING, 256)):
                    self._say(event.board, self._followers(event.board), event.text)
                case api.StopNotice():
                    self._stopped(event)
                case api.Lapsed():
                    self._lapsed(event.board)
                case api.Dropped():
                    text = f"{event.count} reports and log lines were thrown away: it sends too much"
                    self._say(event.board, self._followers(event.board), text)

    async def _board_changed(self, board: api.BoardChanged) -> None:
        """Note how a board is now, and learn its dictionary if that is new."""
        if not board.name:
            cure = f"boardtalk boards adopt {board.uid} NAME"
            self.context.log.info("a board waits for adoption", port=board.port, cure=cure)
            return
        known = self._robots.get(board.name)
        learned = known.board.dictionary if known else ""
        robot = known or Robot(board)
        robot.update(board, self.context.now())
        self._journal.met(board)
        self._hang_up(robot)
        if board.dictionary and (board.dictionary != learned or robot.dictionary is None):
            try:
                robot.dictionary = parse(await self._link.dictionary(board.name))
            except (DictionaryError, LinkError, ServiceError) as error:
                robot.dictionary = None
                self.context.log.error("no usable dictionary", board=board.name, error=str(error))
        try:
            self.context.register(robot.contact)
        except (Refused, AddressError) as error:
            self._robots.pop(board.name, None)  # what is said to this address is for somebody else
            cure = f"remove that user or group, or call the board (uid {board.uid}) otherwise"
            self.context.log.error("a board has no address", reason=str(error), cure=cure)
        else:
            self._robots[board.name] = robot
        self._catch_up(robot)

    def _stopped(self, event: api.StopNotice) -> None:
        for board in event.stopped:
            others = self._followers(board.board) - {event.by}
            self._say(board.board, others, f"stopped by {event.by}")

    def _progress(self, event: api.Progress) -> None:
        running = self._running(event.board, event.id)
        if running is None:
            return
        command = self._robots[event.board].declared(running)
        if event.frame and command:
            self.context.explain(running.message, "frame", describe(event, command))
        status = PROGRESS[event.stage]
        if event.percent is not None:
            if not running.is_news(self.context.now()):
                return
            status = replace(status, detail=f"{event.percent} %")
        self.context.report(running.message, status)

    def _result(self, event: api.Result) -> None:
        running = self._running(event.board, event.id)
        if running is None:
            return
        robot = self._robots[event.board]
        command, outcome = robot.declared(running), event.outcome
        text = event.detail.removeprefix(MEANT_FOR_PEOPLE)
        if command is None and outcome is not None:
            outcome, text = None, "nobody knows any more what was asked: the gateway was killed meanwhile"
        elif command is not None and outcome is Outcome.DONE:
            try:
                values = command.returns_format.unpack(event.data)
                text = commands.show(values, command.returns, of=command.name) or "done"
            except DictionaryError as error:
                text = f"done, but its answer can't be read: {error}"
        self._finish(robot, running, outcome, text)

    def _finish(self, robot: Robot, running: Running, outcome: Outcome | None, text: str) -> None:
        """Tell how a command ended."""
        del robot.running[running.request.id]
        self._journal.ended(running.message)
        self._end(running.message, OUTCOMES[outcome], text)

    def _report(self, event: api.Report) -> None:
        """Telemetry goes to those who watch it, events to all who talked to the robot."""
        robot = self._robots.get(event.board)
        if robot is None or robot.dictionary is None:
            return
        telemetry = event.kind is api.ReportKind.TELEMETRY
        channels: tuple[Channel, ...] = robot.dictionary.telemetry if telemetry else robot.dictionary.events
        if event.index >= len(channels):
            return
        channel = channels[event.index]
        listeners = robot.watchers.get(channel.name, set()) if telemetry else robot.followers
        if not listeners:
            return
        try:
            text = commands.show(channel.format.unpack(event.data), channel.values, of=channel.name)
        except DictionaryError as error:
            self.context.log.warning("report not understood", board=robot.name, error=str(error))
            return
        if not telemetry or robot.is_news(channel.name, text, self.context.now()):
            self._say(robot.name, listeners, f"{channel.name}: {text}" if text else channel.name)

    def _say(self, robot: str, listeners: Iterable[str], text: str) -> None:
        """Say something in a robot's name; not stored, and only to who is there."""
        if robot not in self._robots:
            return
        with suppress(Refused):  # robots say more than the gateway passes on, or people read
            for user in tuple(listeners):
                self.context.send(Message(sender=robot, to=user, body=text, flags=Flag.TRANSIENT))

    def _gone(self, robot: Robot) -> None:
        """The link process is away: the next one has to ask what became of what runs."""
        robot.between = robot.board.state is not api.BoardState.OFFLINE
        robot.here = False
        for running in robot.running.values():
            running.link = None
        robot.board = replace(robot.board, state=api.BoardState.OFFLINE, detail="the link process went away")
        self._hang_up(robot)
        self.context.register(robot.contact)

    def _give(self, robot: Robot, running: Running, request: api.Command) -> None:
        """Tell the link process of a command; if it goes away, the next one will be told."""
        if robot.here:
            with suppress(ServiceError):
                self._link.command(request)
                running.link, running.sent = self._link, True

    def _catch_up(self, robot: Robot) -> None:
        """Tell the link process of commands that it may not know."""
        for running in [each for each in robot.running.values() if each.link is None and robot.here]:
            match running.next(robot.board, self.context.now()):
                case api.Command(boot=None) as request:
                    self._give(robot, running, request)
                case api.Command(ttl_ms=left_ms) as request:
                    self.context.explain(running.message, "asked again", f"{left_ms} ms left to begin")
                    self._give(robot, running, request)
                case (outcome, why):
                    self._finish(robot, running, outcome, why)

    def _give_up(self) -> None:
        """End what no link process could be told of, since it or the board did not come back."""
        for robot in self._robots.values():
            robot.between = False
            for running in [each for each in robot.running.values() if each.link is None]:
                outcome = None if running.sent else Outcome.EXPIRED
                self._finish(robot, running, outcome, f"{robot.name} did not come back")

    def _followers(self, robot: str) -> set[str]:
        return self._robots[robot].followers if robot in self._robots else set()

    def _running(self, robot: str, command_id: int) -> Running | None:
        known = self._robots.get(robot)
        return known.running.get(command_id) if known else None


def _unseen(name: str) -> api.BoardChanged:
    """A board that was here before the gateway was started again, and may come back."""
    return api.BoardChanged(
        name=name,
        uid="",
        port="",
        firmware="",
        state=api.BoardState.OFFLINE,
        epoch=0,
        dictionary="",
        detail="not seen since the gateway was started",
    )
