"""What people get when they talk to the gateway itself: ``gateway: modules`` from any front-end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from boardtalk import why
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
    Context,
    Kind,
    Message,
    Module,
    Refused,
    State,
    Status,
    Verdict,
)
from boardtalk.sdk.hints import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boardtalk.configuration import Configuration
    from boardtalk.health import Report
    from boardtalk.hub import Hub

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
}


class Desk(Module):
    """The last in each chain: it answers for the gateway's own address."""

    name = SYSTEM
    description = "answers for the gateway itself"

    def __init__(self, context: Context, configuration: Configuration, hub: Hub) -> None:
        super().__init__(context, None)
        self._hub = hub
        self._configuration = configuration

    def on_start(self) -> None:
        """Be there to talk to."""
        commands = tuple(CommandInfo(name=name, help=word.help, cls="query") for name, word in WORDS.items())
        self.context.register(
            Contact(address=SYSTEM, kind=Kind.SERVICE, online=True, about=self.description, commands=commands)
        )

    def on_complete(self, to: str, line: str) -> list[Completion]:
        """The words that may be meant."""
        return [Completion(name, word.help) for name, word in WORDS.items() if name.startswith(line)]

    def on_message(self, message: Message) -> Verdict:
        """Answer what is asked of the gateway."""
        if message.to != SYSTEM:
            return PASS
        asked, _, about = message.body.strip().removeprefix("/").partition(" ")
        asked = asked.lower()
        if asked not in WORDS or (about and asked != "why"):
            near = nearest(asked, WORDS)
            hint = f"did you mean {near}?" if near else f"there is: {', '.join(WORDS)}"
            raise Refused(Code.FAILED, f"the gateway does not know {message.body.strip()[:40]!r}; {hint}")
        if not self.context.allowed(message.sender, WORDS[asked].action, SYSTEM):
            raise Refused(Code.DENIED, f"your role does not let you ask for {asked!r}")
        self.context.spawn(self._answer(message, asked, about.strip()), asked)
        return CONSUMED

    async def _answer(self, message: Message, asked: str, about: str) -> None:
        status = DONE
        try:
            text = await self._text(asked, about, message.sender)
        except Refused as refused:
            text = refused.reason
            status = Status(code=refused.code, state=State.REJECTED, detail=text)
        except BoardtalkError as error:
            text = str(error)
            status = Status(code=Code.FAILED, state=State.FAILED, detail=text)
        self.reply(message, text, status)
        self.context.report(message, status)

    async def _text(self, asked: str, about: str, sender: str) -> str:
        match asked:
            case "why":
                return "\n".join(why.lines(await self._hub.why(sender, about)))
            case "modules":
                return "\n".join(map(describe, self._configuration.runner.reports())) or "no module is loaded"
            case "reload":
                changes = await self._configuration.reload()
                return "\n".join(map(str, changes)) or "nothing has changed"
            case _:
                return "\n".join(f"{name}: {word.help}" for name, word in WORDS.items())


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
