"""What people hear in a robot's name."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from boardtalk.sdk import Code, Flag, Message, Module, Refused, State, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from boardtalk.modules.iot_bridge.roster import Roster


class Speech:
    """Answers, and what robots say by themselves.

    Args:
        module: in whose name it is sent.
        roster: for whom it speaks.
    """

    def __init__(self, module: Module, roster: Roster) -> None:
        self._module = module
        self._roster = roster

    def end(self, message: Message, end: tuple[Code, State], text: str) -> None:
        """Report how a message ended, and answer it."""
        code, state = end
        status = Status(code=code, state=state, detail=text if code.failed else "")
        self._module.context.report(message, status)
        with suppress(Refused):  # too much is said in all; what became of it has just been reported
            self._module.reply(message, text, status)

    def say(self, robot: str, listeners: Iterable[str], text: str) -> None:
        """Say something in a robot's name; not stored, and only to who is there."""
        if robot not in self._roster.robots:
            return
        context = self._module.context
        with suppress(Refused):  # robots say more than the gateway passes on, or people read
            for user in [each for each in listeners if context.allowed(each, "see", robot)]:
                message = Message(sender=robot, to=user, body=text, flags=Flag.TRANSIENT)
                context.send(message)

    def tell(self, robot: str, text: str, *, but: str = "") -> None:
        """Say it to all who talked to the robot, `but` one."""
        self.say(robot, self._roster.followers(robot) - {but}, text)
