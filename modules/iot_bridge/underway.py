"""Commands under way: from what somebody wants, over as many link processes as it takes, to how it ended."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from boardtalk.modules.iot_bridge.errors import DictionaryError
from boardtalk.modules.iot_bridge.frames import Outcome
from boardtalk.modules.iot_bridge.language import commands
from boardtalk.modules.iot_bridge.robots import ID_MASK, Robot, Running
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.trace import describe
from boardtalk.sdk import Code, Context, Message, Refused, ServiceError, State, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boardtalk.modules.iot_bridge.dictionary import Command
    from boardtalk.modules.iot_bridge.journal import Journal
    from boardtalk.modules.iot_bridge.roster import Roster
    from boardtalk.modules.iot_bridge.service.client import LinkClient
    from boardtalk.modules.iot_bridge.speech import Speech

DEFAULT_TTL_S: Final = {"query": 10, "action": 10, "motion": 1, "config": 60, "stop": 1}
"""Seconds within which a command must start, by class; `expiry` of the message overrides."""
MAX_TTL_S: Final = 300
MAX_UNDER_WAY: Final = 1000
"""Commands to all boards; more are refused as busy."""
NOW_OR_NEVER_S: Final = 1
"""What `expiry = 0` means on a line that takes its time."""
UNATTENDED_LEASE_MS: Final = 2000
"""Of an action that takes long, such as heating: nobody looks, and a lease that runs out is no mere pause."""
RENEWALS_PER_LEASE: Final = 5
"""Three of five may be lost before the board stops."""
FOR_EVERYBODY: Final = frozenset({"query", "stop"})
"""Classes of commands that are obeyed whoever has the robot for himself."""

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


class UnderWay:
    """The commands of all robots.

    Args:
        context: of the module.
        roster: the robots.
        speech: tells how commands end.
        journal: notes what the next gateway has to know of them.
    """

    def __init__(self, context: Context, roster: Roster, speech: Speech, journal: Journal) -> None:
        self._context = context
        self._roster = roster
        self._speech = speech
        self._journal = journal

    # Down ---------------------------------------------------------------------------------------

    def begin(self, robot: Robot, message: Message, order: commands.Order) -> None:
        """Send a command on its way.

        Raises:
            Refused: it comes at the wrong time.
        """
        asks = order.command.cls == "query"  # that does no harm, and may well be typed right after a stop
        if not asks:
            robot.require_newer(message)
        if order.command.cls not in FOR_EVERYBODY:
            robot.require_hold(message.sender, self._context.now())
        lease_ms = self._lease_ms(robot, order.command)
        robot.require_ready(soon=not lease_ms)
        self._require_room()
        ttl_s = self._time_left(message, order)
        command_id = robot.command_id(message)
        self._context.explain(
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
        running = Running(message, request, order.index, self._context.now() + ttl_s, robot.board.boot)
        robot.running[command_id] = running
        if order.command.cls == "motion" and robot.board.state is api.BoardState.READY:
            robot.taken_until = 0.0
        self._journal.taken(message, order.index)
        self._give(robot, running, request)
        if lease_ms:
            renewing = self._renew(robot, running, self._roster.link)
            self._context.spawn(renewing, f"lease of {robot.name}")

    def cancel(self, robot: Robot, running: Running) -> None:
        """End a command before its time."""
        if running.sent:
            self._roster.link.cancel(robot.name, running.request.id)
        else:
            self._finish(robot, running, Outcome.CANCELLED, "cancelled before it was sent")

    def _lease_ms(self, robot: Robot, command: Command) -> int:
        """For how long a command goes on without being renewed; 0: it needs no lease."""
        if command.cls == "motion":
            return self._roster.lease_ms(robot.name)
        return UNATTENDED_LEASE_MS if command.unattended else 0

    def _require_room(self) -> None:
        under_way = self._roster.under_way()
        if under_way >= MAX_UNDER_WAY:
            raise Refused(Code.BUSY, f"{under_way} commands are under way; try again in a moment")

    def _time_left(self, message: Message, order: commands.Order) -> float:
        """Seconds within which the command must start, counted from the gateway's acceptance."""
        asked = message.expiry
        ttl = DEFAULT_TTL_S[order.command.cls] if asked is None else asked or NOW_OR_NEVER_S
        left = min(ttl, MAX_TTL_S) - (self._context.now() - message.accepted)
        if left <= 0:
            raise Refused(Code.EXPIRED, f"too late: it was to start within {ttl} s")
        return left

    async def _renew(self, robot: Robot, running: Running, link: LinkClient) -> None:
        """Keep a command's lease alive while it runs; it ends by itself within its declared limit.

        Not over a restart of the link process: motion never resumes.
        """
        command = running.request
        while robot.running.get(command.id) is running and running.link is link:
            try:
                link.renew(robot.name, command.id, command.lease_ms)
            except ServiceError:  # the link process has just gone
                return
            await asyncio.sleep(command.lease_ms / 1000 / RENEWALS_PER_LEASE)

    # Back ---------------------------------------------------------------------------------------

    def progress(self, event: api.Progress) -> None:
        """One goes on."""
        running = self._roster.running(event.board, event.id)
        if running is None:
            return
        command = self._roster.robots[event.board].declared(running)
        if event.frame and command:
            self._context.explain(running.message, "frame", describe(event, command))
        if event.stage is api.Stage.UNACKNOWLEDGED:
            return
        status = PROGRESS[event.stage]
        if event.percent is not None:
            if not running.is_news(self._context.now()):
                return
            status = replace(status, detail=f"{event.percent} %")
        self._context.report(running.message, status)

    def result(self, event: api.Result) -> None:
        """One has ended."""
        running = self._roster.running(event.board, event.id)
        if running is None:
            return
        robot = self._roster.robots[event.board]
        command, outcome = robot.declared(running), event.outcome
        if robot.dictionary is None and self._roster.link.gone:
            return  # it went before it told what the board declares: the next one is asked for both
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
        self._speech.end(running.message, OUTCOMES[outcome], text)

    # Over restarts --------------------------------------------------------------------------------

    def messages(self) -> list[Message]:
        """Of those that have no end yet."""
        return [
            running.message for robot in self._roster.robots.values() for running in robot.running.values()
        ]

    def recall(self, message: Message) -> Running | None:
        """A command that the gateway before had under way; None: it was none, as far as is known."""
        return self._journal.recall(message, message.row & ID_MASK)

    def catch_up(self, robot: Robot) -> None:
        """Tell the link process of commands that it may not know."""
        for running in [each for each in robot.running.values() if each.link is None and robot.here]:
            match running.next(robot.board, self._context.now()):
                case api.Command(boot=None) as request:
                    self._give(robot, running, request)
                case api.Command(ttl_ms=left_ms) as request:
                    self._context.explain(running.message, "asked again", f"{left_ms} ms left to begin")
                    self._give(robot, running, request)
                case (outcome, why):
                    self._finish(robot, running, outcome, why)

    def give_up(self) -> None:
        """End what no link process could be told of, since it or the board did not come back."""
        for robot in self._roster.robots.values():
            robot.between = False
            for running in [each for each in robot.running.values() if each.link is None]:
                outcome = None if running.sent else Outcome.EXPIRED
                self._finish(robot, running, outcome, f"{robot.name} did not come back")

    def _give(self, robot: Robot, running: Running, request: api.Command) -> None:
        """Tell the link process of a command; if it goes away, the next one will be told."""
        if robot.here:
            with suppress(ServiceError):
                self._roster.link.command(request)
                running.link, running.sent = self._roster.link, True
