"""Commands that an engine proposes: how they are marked, and which of them may go to a robot.

An answer's line ``@ROBOT: COMMAND`` proposes a command. It is worth no more than what the user types
himself: it goes to the robot in his name and with his rights, and unless it only asks, he is asked first.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from boardtalk.sdk import Contact, Kind, Message, Refused
from boardtalk.sdk.text import line

if TYPE_CHECKING:
    from boardtalk.sdk import Action, ArgumentInfo, CommandInfo, Context

MAX_COMMANDS: Final = 3
"""In one answer."""
MAX_CHARS: Final = 200
"""Of a command: who is asked must see all of it."""
CONFIRM_S: Final = 30.0
"""Seconds within which a command must be confirmed."""
CLASSES: Final[dict[str, Action]] = {
    "query": "query",
    "action": "action",
    "motion": "motion",
    "config": "config",
    "stop": "stop",
}
UNKNOWN: Final[Action] = "motion"
"""What a command counts as that the robot does not list: the worst."""

_PROPOSAL: Final = re.compile(r"[\s>*`-]*@([A-Za-z0-9][A-Za-z0-9_-]{0,31})[ `*]*:")
"""Models decorate what they write: as an item of a list, as code."""
_DECORATION: Final = " `*"
_WORD: Final = re.compile(r"[^\W_]+")
_NEVER: Final = {
    "rearm": "I never re-arm a robot: look at it, then type `{robot}: rearm` yourself",
    "stop": "NOTHING WAS STOPPED. I don't pass on stops: type `stop` yourself, that works at once",
    "halt": "NOTHING WAS STOPPED. I don't pass on stops: type `stop` yourself, that works at once",
}


class Proposal(NamedTuple):
    """A command that may go to a robot."""

    robot: str
    command: str

    def __str__(self) -> str:
        return f"{self.robot} to: {self.command}"


class Pending(NamedTuple):
    """Commands that a user was asked about."""

    proposals: tuple[Proposal, ...]
    asked: float
    """When, as `Context.now` tells."""

    def is_seen_by(self, message: Message) -> bool:
        """Whether a message was written after the question; one from before can't be its answer."""
        return message.accepted > self.asked

    def is_in_time(self, now: float) -> bool:
        """Whether it is not too late for an answer."""
        return now - self.asked <= CONFIRM_S

    @property
    def question(self) -> str:
        """What the user is asked."""
        if len(self.proposals) == 1:
            return f"Shall I tell {self.proposals[0]}? Answer yes"
        lines = "\n".join(f"- {each}" for each in self.proposals)
        return f"Shall I tell, one right after the other,\n{lines}\nAnswer yes for all of it"


class Sorted(NamedTuple):
    """What is to be done with proposals."""

    at_once: tuple[Proposal, ...]
    to_confirm: tuple[Proposal, ...]
    objections: tuple[str, ...]


def split(text: str) -> tuple[str, list[Proposal]]:
    """An answer without the commands that it proposes, and those."""
    rest: list[str] = []
    proposals: list[Proposal] = []
    for each in text.split("\n"):
        found = _PROPOSAL.match(each)
        if found:
            proposals.append(Proposal(found[1].lower(), each[found.end() :].strip(_DECORATION)))
        else:
            rest.append(each)
    if proposals:
        rest = [each for each in rest if not each.startswith("```")]
    return "\n".join(rest).strip(), proposals


def told(text: str, limit: int) -> str:
    """What a robot tells about itself, as one line that is part of an answer and proposes nothing."""
    return line(text.replace("@", " "), limit)


def usage(command: CommandInfo) -> str:
    """How a command is given, on one line."""
    words = [command.name, *map(_argument, command.args)]
    return told(" ".join(words) + (f" - {command.help}" if command.help else ""), MAX_CHARS)


def manual(robot: Contact) -> str:
    """What a robot understands, as lines."""
    head = f"{robot.address}{f' ({told(robot.state, 20)})' if robot.state else ''}:"
    return "\n".join([head, *(f"  {usage(command)}" for command in robot.commands)])


class Gate:
    """Decides about commands, and lets them through."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def robots(self, user: str) -> tuple[Contact, ...]:
        """The robots that are here, with the commands that a user may give."""
        robots = (
            contact
            for contact in self._context.contacts()
            if contact.kind is Kind.ROBOT and self._context.allowed(user, "see", contact.address)
        )
        return tuple(
            msgspec.structs.replace(
                robot,
                commands=tuple(
                    command
                    for command in robot.commands
                    if self._context.allowed(
                        user, CLASSES.get(command.cls, UNKNOWN), robot.address, command.name
                    )
                ),
            )
            for robot in robots
        )

    def sort(self, user: str, proposals: list[Proposal]) -> Sorted:
        """Which commands go to their robots at once, which after a yes, and why not the others."""
        at_once: list[Proposal] = []
        to_confirm: list[Proposal] = []
        objections: list[str] = []
        for each in proposals[:MAX_COMMANDS]:
            objection = self.objection(user, each)
            if objection:
                objections.append(objection)
            else:
                (at_once if self._class_of(each) == "query" else to_confirm).append(each)
        if len(proposals) > MAX_COMMANDS:
            objections.append(f"{len(proposals) - MAX_COMMANDS} more commands are left out: too many at once")
        return Sorted(tuple(at_once), tuple(to_confirm), tuple(objections))

    def objection(self, user: str, proposal: Proposal) -> str:
        """Why a command may not go to its robot, in words; "": it may."""
        robot, command = proposal
        contact = self._context.contact(robot)
        if contact is None or contact.kind is not Kind.ROBOT or not self._context.allowed(user, "see", robot):
            return f"There is no robot {robot!r} here"
        for word in _WORD.findall(unicodedata.normalize("NFKC", command).casefold()):
            if word in _NEVER:
                return _NEVER[word].format(robot=robot)
        if not command or len(command) > MAX_CHARS or not command.isprintable():
            return f"What was meant for {robot} is empty, too long or unreadable: it is not passed on"
        try:
            self._context.require(user, self._class_of(proposal), robot, command.split(maxsplit=1)[0])
        except Refused as refused:
            return refused.reason
        return ""

    def send(self, user: str, proposal: Proposal, aid: int) -> None:
        """Have a user say a command to a robot.

        It has no id, so that what becomes of it is told to the user; and the robot's own time limit, so
        that it does not begin late.
        """
        self._context.send(Message(sender=user, to=proposal.robot, body=proposal.command, aid=aid))

    def _class_of(self, proposal: Proposal) -> Action:
        """What the robot lists a command as, if its name is written exactly so."""
        contact = self._context.contact(proposal.robot)
        name = proposal.command.split(maxsplit=1)[0]
        known = {command.name: command.cls for command in contact.commands} if contact else {}
        return CLASSES.get(known.get(name, ""), UNKNOWN)


def _argument(argument: ArgumentInfo) -> str:
    about = [argument.type if argument.type != "choice" else " or ".join(argument.choices), argument.unit]
    if argument.min is not None:
        about.append(f"from {argument.min:g}")
    if argument.max is not None:
        about.append(f"to {argument.max:g}")
    text = f"{argument.name} ({' '.join(each for each in about if each)})"
    return text if argument.default is None else f"[{text}]"
