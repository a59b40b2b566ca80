"""What people get when they talk to the gateway itself: ``gateway: modules`` from any front-end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from boardtalk.hub import why
from boardtalk.people.users import Audience
from boardtalk.sdk import (
    CONSUMED,
    PASS,
    SYSTEM,
    Action,
    BoardtalkError,
    Code,
    CommandInfo,
    Completion,
    Contact,
    Kind,
    Message,
    Module,
    Refused,
    State,
    Status,
    Verdict,
    kept,
)
from boardtalk.sdk.hints import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from boardtalk.chain.health import Report
    from boardtalk.configuration import Configuration
    from boardtalk.hub.context import ModuleContext
    from boardtalk.hub.hub import Hub

DONE: Final = Status(code=Code.DONE, state=State.DONE)


class Word(NamedTuple):
    """One thing that can be asked."""

    help: str
    action: Action
    """What policy must grant."""


WORDS: Final[Mapping[str, Word]] = {
    "help": Word("this list", "query"),
    "why": Word("what became of a message, step by step: `why ID`, or of your last one", "query"),
    "modules": Word("the modules that messages pass, and how they are", "inspect"),
    "reload": Word("read the configuration again", "admin"),
    "presence": Word("`presence everybody`, `groups` or `nobody`: who sees whether you are online", "query"),
    "group": Word("`group NAME`: who is in it; its owner: `group NAME add USER`, `… remove USER`", "query"),
}
WITH_NAMES: Final = frozenset({"why", "group", "presence"})
"""Words behind which others may stand."""
MEMBERS: Final = "members of "
"""Notes that begin so hold who came to a group or left it."""
TOLD: Final = "told of as damaged"
"""The note of files."""
LOOK_EVERY_S: Final = 5.0
"""Between two looks for damaged files: not only the gateway sets them aside."""


class Desk(Module):
    """The last in each chain: it answers for the gateway's own address."""

    name = SYSTEM
    description = "answers for the gateway itself"

    context: ModuleContext

    def __init__(self, context: ModuleContext, configuration: Configuration, hub: Hub) -> None:
        super().__init__(context, None)
        self._hub = hub
        self._configuration = configuration
        self._directory = context.directory

    def on_start(self) -> None:
        """Be there to talk to."""
        for note in self.context.notes:
            if note.startswith(MEMBERS):
                self._directory.move(note.removeprefix(MEMBERS), self.context.notes[note])
        commands = tuple(CommandInfo(name=name, help=word.help, cls="query") for name, word in WORDS.items())
        self.context.register(
            Contact(address=SYSTEM, kind=Kind.SERVICE, online=True, about=self.description, commands=commands)
        )
        self.context.every(LOOK_EVERY_S, self._tell_damage)

    async def _tell_damage(self) -> None:
        """Tell operators once of each damaged file that was set aside."""
        found = await asyncio.to_thread(
            lambda: [each.name for each in kept.those_set_aside(self.context.state)]
        )
        told = self.context.notes.get(TOLD, [])
        if news := [name for name in found if name not in told]:
            text = f"damaged, and set aside: {', '.join(news)}. `boardtalk doctor` says what to do"
            for contact in self.context.contacts():
                if contact.kind is Kind.USER and self.context.allowed(contact.address, "inspect", SYSTEM):
                    self.context.send(Message(sender=SYSTEM, to=contact.address, body=text))
        if found != told:
            self.context.notes[TOLD] = found

    def on_complete(self, to: str, line: str) -> list[Completion]:
        """The words that may be meant."""
        return [Completion(name, word.help) for name, word in WORDS.items() if name.startswith(line)]

    def on_message(self, message: Message) -> Verdict:
        """Answer what is asked of the gateway."""
        if message.to != SYSTEM:
            return PASS
        asked, *names = message.body.strip().removeprefix("/").split() or [""]
        asked = asked.lower()
        if asked not in WORDS or (names and asked not in WITH_NAMES):
            near = nearest(asked, WORDS)
            hint = f"did you mean {near}?" if near else f"there is: {', '.join(WORDS)}"
            raise Refused(Code.FAILED, f"the gateway does not know {message.body.strip()[:40]!r}; {hint}")
        self.context.require(message.sender, WORDS[asked].action, SYSTEM)
        self.context.spawn(self._answer(message, asked, names), asked)
        return CONSUMED

    async def _answer(self, message: Message, asked: str, names: Sequence[str]) -> None:
        status = DONE
        try:
            text = await self._text(message.sender, asked, names)
        except Refused as refused:
            text = refused.reason
            status = Status(code=refused.code, state=State.REJECTED, detail=text)
        except BoardtalkError as error:
            text = str(error)
            status = Status(code=Code.FAILED, state=State.FAILED, detail=text)
        self.reply(message, text, status)
        self.context.report(message, status)

    async def _text(self, user: str, asked: str, names: Sequence[str]) -> str:
        match asked:
            case "why":
                return "\n".join(why.lines(await self._hub.traces.why(user, " ".join(names))))
            case "group":
                return self._group(user, [name.lower() for name in names])
            case "presence":
                return self._presence(user, [name.lower() for name in names])
            case "modules":
                return "\n".join(map(describe, self._configuration.runner.reports())) or "no module is loaded"
            case "reload":
                changes = await self._configuration.reload()
                return "\n".join(map(str, changes)) or "nothing has changed"
            case _:
                return "\n".join(f"{name}: {word.help}" for name, word in WORDS.items())

    def _group(self, user: str, names: Sequence[str]) -> str:
        """Who is in a group, after somebody came or left if its owner, or an admin, says so."""
        group, *change = names or ("",)
        if self._directory.kind(group) is not Kind.GROUP:
            raise Refused(Code.BAD_ADDRESS, f"there is no group {group!r}: say `{WORDS['group'].help}`")
        may_change = self._directory.may_change(group, user)
        match change:
            case []:
                if not may_change and user not in self._directory.members(group):
                    raise Refused(Code.DENIED, f"you are not a member of {group}")
            case ["add" | "remove" as word, member]:
                if not may_change:
                    raise Refused(Code.DENIED, f"only the owner of {group} and admins may change it")
                self._move(user, group, member, comes=word == "add")
            case _:
                raise Refused(Code.FAILED, WORDS["group"].help)
        seen = [each for each in self._directory.members(group) if self._directory.sees(user, each)]
        return f"{group}: {', '.join(seen) or 'nobody'}"

    def _presence(self, user: str, names: Sequence[str]) -> str:
        """Who sees whether a user is online, as he wants it from now on."""
        try:
            [audience] = map(Audience, names)
        except ValueError:
            raise Refused(Code.FAILED, WORDS["presence"].help) from None
        self.context.show_to(user, audience)
        return f"whether you are online, {audience} may know"

    def _move(self, user: str, group: str, member: str, *, comes: bool) -> None:
        known = self._directory.kind(member) in (Kind.USER, Kind.ROBOT)
        if comes and not (known and self._directory.sees(user, member)):
            raise Refused(Code.BAD_ADDRESS, f"there is no user {member!r}, nor a robot")
        self._directory.move(group, {member: comes})
        self.context.notes[f"{MEMBERS}{group}"] = dict(self._directory.moved(group))


def describe(report: Report) -> str:
    """How a module is, in a line."""
    counts = ("passed", "consumed", "replaced", "refused", "failed", "rested")
    told = [f"{count} {getattr(report, count):,}" for count in counts if getattr(report, count)]
    parts = [f"{report.name}: {report.condition}", *told]
    if report.calls:
        parts.append(f"p50 {report.p50_ms:.2g} ms, p99 {report.p99_ms:.2g} ms")
    if report.last_error:
        parts.append(f"last error: {report.last_error}")
    return ", ".join(parts)
