"""`/adopt UID NAME`: a board that waits gets its address from chat, as `boardtalk boards adopt` gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.service.api import BoardState
from boardtalk.sdk import CONSUMED, SYSTEM, Code, Kind, Message, Module, Refused, ServiceError, State, Status
from boardtalk.sdk.audit import Attempt, audited

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.roster import Roster
    from boardtalk.sdk import Verdict

WORD: Final = "/adopt"
DONE: Final = Status(code=Code.DONE, state=State.DONE)


class Adoption:
    """Gives addresses, and shows who waits for one.

    Args:
        module: in whose name it speaks.
        roster: the robots that have one.
    """

    def __init__(self, module: Module, roster: Roster) -> None:
        self._module = module
        self._roster = roster
        self._asked: dict[str, Message] = {}
        """By the address, whoever gave it: the board says so itself as soon as it can be talked to."""

    def is_asked(self, message: Message) -> bool:
        """Whether a message asks for it."""
        return message.to == SYSTEM and message.body.split(maxsplit=1)[:1] == [WORD]

    async def take(self, message: Message) -> Verdict:
        """Do what a message asks.

        Raises:
            Refused: it can't be read, its sender may not, or no such board waits for such a name.
        """
        context, user = self._module.context, message.sender
        match message.body.split():
            case [_, uid, name]:
                pass
            case _:
                raise Refused(Code.FAILED, f"say `{WORD} UID NAME`, such as {WORD} e6614c311b7e6f2c rover")
        async with audited(context.state, Attempt(user, "adopt", uid[:64])) as entry:
            entry.result = f"as {name[:64]}: denied"
            if not context.allowed(user, "admin", SYSTEM):
                raise Refused(Code.DENIED, f"{user} may not give boards addresses: that takes the role admin")
            taken = context.contact(name)
            if taken is not None and taken.kind is not Kind.ROBOT:
                entry.result = reason = f"{name} is the address of a {taken.kind}: choose another one"
                raise Refused(Code.BAD_ADDRESS, reason)
            self._asked[name] = message
            try:
                await self._roster.link.adopt(uid, name)
            except (LinkError, ServiceError) as error:
                del self._asked[name]
                entry.result = f"as {name}: {error}"
                raise Refused(Code.FAILED, str(error)) from error
            entry.result = f"it is {name} from now on"
        return CONSUMED

    def came(self, name: str) -> None:
        """Have a board say that it was adopted, if it was just now."""
        message = self._asked.pop(name, None)
        if message is None:
            return
        uid = self._roster.robots[name].board.uid
        self._module.context.report(message, DONE)
        self._module.reply(message, f"I am {name} from now on (uid {uid})", DONE, sender=name)

    async def shown(self, user: str) -> dict[str, Any]:
        """Boards without an address, and ports where none answers, for `Module.on_show`.

        Raises:
            Refused: the link process does not tell.
        """
        context = self._module.context
        if not context.allowed(user, "inspect", SYSTEM):
            return {}
        try:
            boards = await self._roster.link.list_boards()
        except (LinkError, ServiceError) as error:
            raise Refused(Code.OFFLINE, str(error)) from error
        nameless = [board for board in boards if not board.name]
        return {
            "may_adopt": context.allowed(user, "admin", SYSTEM),
            "waiting": [
                {
                    "uid": board.uid,
                    "port": board.port,
                    "firmware": board.firmware,
                    "declared": board.declared,
                }
                for board in nameless
                if board.state is BoardState.WAITING
            ],
            "silent": [
                {"port": board.port, "detail": board.detail}
                for board in nameless
                if board.state is not BoardState.WAITING
            ],
        }
