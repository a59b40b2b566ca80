"""What a message asks of a robot: may it be, and who does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from boardtalk.modules.iot_bridge.errors import DictionaryError, LinkError
from boardtalk.modules.iot_bridge.language import commands
from boardtalk.modules.iot_bridge.robots import TAKEN_S, Robot
from boardtalk.modules.iot_bridge.underway import DEFAULT_TTL_S
from boardtalk.sdk import Code, Context, Message, Refused, ServiceError, State

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.live import Calls
    from boardtalk.modules.iot_bridge.reports import Reports
    from boardtalk.modules.iot_bridge.roster import Roster
    from boardtalk.modules.iot_bridge.speech import Speech
    from boardtalk.modules.iot_bridge.underway import UnderWay

STOP_WORDS: Final = ("stop", "halt")
NOT_STOPPED: Final = "\nNOTHING WAS STOPPED: type `stop` alone"
"""Said of a text with such a word that was no stop: its author may believe it was."""


class Requests:
    """Does what messages ask, or says why not."""

    def __init__(
        self,
        context: Context,
        roster: Roster,
        speech: Speech,
        *,
        calls: Calls,
        reports: Reports,
        under_way: UnderWay,
    ) -> None:
        self._context = context
        self._roster = roster
        self._speech = speech
        self._calls = calls
        self._reports = reports
        self._under_way = under_way

    def take(self, robot: Robot, message: Message) -> None:
        """Take a message to a robot; its sender is told what becomes of it."""
        try:
            self._take(robot, message)
        except (commands.CommandError, DictionaryError) as error:
            wanted_stop = any(word in message.body.lower() for word in STOP_WORDS)
            text = f"{error}{NOT_STOPPED if wanted_stop else ''}"
            self._speech.end(message, (Code.FAILED, State.REJECTED), text)
        except Refused as refused:
            state = State.EXPIRED if refused.code is Code.EXPIRED else State.REJECTED
            self._speech.end(message, (refused.code, state), refused.reason)
        except ServiceError as error:
            text = f"the link process is away: {error}"
            self._speech.end(message, (Code.OFFLINE, State.FAILED), text)

    def _take(self, robot: Robot, message: Message) -> None:
        """Do what a message asks.

        Raises:
            CommandError: it can't be understood.
            Refused: it is not allowed, or comes at the wrong time.
        """
        self._context.require(message.sender, "see", robot.name)
        robot.follow(message.sender)
        dictionary = robot.require_dictionary()
        match message.body.lower().split():
            case ["rearm"]:
                robot.require_newer(message)
                self._allow(message, "rearm")
                now = self._context.now()
                _require_fresh(message, now)
                robot.require_hold(message.sender, now)
                self._context.spawn(self._rearm(robot, message), f"rearm {robot.name}")
            case ["take", "over"]:
                robot.require_newer(message)
                self._allow(message, "motion")
                self._context.spawn(self._take_over(robot, message), f"take over {robot.name}")
            case ["cancel", *ids] if len(ids) <= 1:
                self._cancel(robot, message, "".join(message.body.split()[1:]))
            case [("watch" | "unwatch") as word, *channels] if len(channels) <= 1:
                self._reports.watch(robot, message, "".join(channels), start=word == "watch")
            case _ if commands.is_help(message.body):
                text = commands.help_for(message.body, dictionary)
                self._speech.end(message, (Code.DONE, State.DONE), text)
            case _:
                order = commands.read(message.body, dictionary)
                self._allow(message, order.command.cls, order.command.name, order.args)
                self._under_way.begin(robot, message, order)

    def _allow(
        self, message: Message, action: Any, command: str = "", args: dict[str, Any] | None = None
    ) -> None:
        rule = self._context.require(message.sender, action, message.to, command, args)
        by = f", by {rule}" if rule else ""
        self._context.explain(message, "allowed", f"{action} for {message.sender}{by}")

    def _cancel(self, robot: Robot, message: Message, wanted: str) -> None:
        """End the commands that the sender has begun, or the one that he names."""
        found = robot.commands_of(message.sender, wanted).values()
        if any(running.message.sender != message.sender for running in found):
            self._allow(message, "action")
        if not found:
            what = f"no command {wanted[:40]!r} is" if wanted else "nothing that you began is"
            raise Refused(Code.FAILED, f"{what} under way at {robot.name}")
        for running in found:
            self._under_way.cancel(robot, running)
        told = ", ".join(running.message.body for running in found)
        self._speech.end(message, (Code.DONE, State.DONE), f"to be cancelled: {told}")

    async def _rearm(self, robot: Robot, message: Message) -> None:
        epoch = robot.board.epoch
        try:
            await self._roster.link.rearm(robot.name, message.sender)
        except (LinkError, ServiceError) as error:
            self._speech.end(message, (Code.FAILED, State.FAILED), str(error))
        else:
            robot.armed(epoch)
            self._speech.end(message, (Code.DONE, State.DONE), "armed: it may move again")
            self._speech.tell(robot.name, f"armed by {message.sender}", but=message.sender)

    async def _take_over(self, robot: Robot, message: Message) -> None:
        """Stop a robot and keep it for who says so: whoever had it loses it, with all that he has said."""
        user = message.sender
        before = robot.take_over(user, self._context.now())
        self._context.log.warning("taken over", robot=robot.name, by=user, before=before)
        self._calls.end(robot.name, f"{user} takes over")
        try:
            confirmed = await self._roster.link.stop(robot.name, user)
        except (LinkError, ServiceError) as error:
            self._speech.end(message, (Code.FAILED, State.FAILED), f"not stopped: {error}")
            return
        if confirmed:
            text = f"stopped, and yours: `{robot.name}: rearm`, and move it within {TAKEN_S:g} s"
            self._speech.end(message, (Code.DONE, State.DONE), text)
        else:
            text = f"{robot.name} has not confirmed that it stopped"
            self._speech.end(message, (Code.FAILED, State.FAILED), text)
        self._speech.tell(robot.name, f"stopped and taken over by {user}", but=user)


def _require_fresh(message: Message, now: float) -> None:
    """See that a message did not wait for long: who stopped what was stopped already must not be overruled.

    Raises:
        Refused: it did.
    """
    if now - message.accepted > DEFAULT_TTL_S["motion"]:
        raise Refused(Code.EXPIRED, "too late: say it again, if it may move")
