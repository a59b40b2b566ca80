"""Chat in the terminal: completion, history, and what became of each message."""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.completion import Completer, Completion
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import Style

from boardtalk import stop
from boardtalk.events import Delivery, Event, Presence, Sent, Update
from boardtalk.frontends import control
from boardtalk.frontends.client import Denied, GatewayClient, NoGateway
from boardtalk.sdk import SYSTEM, Contact, Flag, Kind, ServiceError, State, stopwords
from boardtalk.sdk.tasks import first_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

ADDRESS: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
HANGS_S: Final = 0.5
"""A gateway that does not answer for so long is not waited for with a stop."""
STYLE: Final = Style.from_dict(
    {
        "who": "ansicyan bold",
        "state": "ansigray",
        "good": "ansigreen",
        "bad": "ansired bold",
        "hint": "ansigray",
    }
)
WORDS: Final = {
    "/who": "robots, people and groups",
    "/history": "what was said; with words behind it, what has these",
    "/why": "what became of your last message, step by step; or of the one whose id follows",
    "/modules": "the modules that messages pass",
    "/flash": "firmware onto a robot's board: alone it shows how",
    "/ota": "a robot's program, replaced over its own line: alone it shows how",
    "/group": "with a name behind it: who is in that group",
    "/presence": "everybody, groups or nobody: who sees whether you are online",
    "/reload": "have the gateway read its configuration again",
    "/help": "this list",
    "/quit": "leave (so do Ctrl-D, and Ctrl-C on an empty line)",
    "stop": "stop every robot at once",
}
LEAVING: Final = frozenset({"exit", "quit", "bye"})
"""What people type who want to leave; but a robot may have such a command."""
GREETING: Final = (
    "Type `{robot}: help` for its commands, `stop` to stop everything, /help for more. Ctrl-D leaves."
)


class Chat:
    """One interactive session of a user's, with `address` or else the first robot as the one talked to.

    In the state folder is what stops robots while the gateway hangs.
    """

    def __init__(self, client: GatewayClient, state: Path, user: str, address: str = "") -> None:
        self._client = client
        self._state = state
        self._user = user
        self._session: PromptSession[str] | None = None
        self.contacts: dict[str, Contact] = {}
        self.talking_to = address

    async def run(self, history: Path) -> None:
        """Read lines until the user leaves or the gateway goes away."""
        await self.refresh()
        robots = [name for name, contact in self.contacts.items() if contact.kind is Kind.ROBOT]
        if self.talking_to not in self.contacts:
            if self.talking_to:
                show("bad", f"there is no {self.talking_to!r} here; /who lists who is")
            self.talking_to = robots[0] if robots else ""
        show("hint", GREETING.format(robot=robots[0] if robots else "NAME"))
        session = self._session = PromptSession[str](
            input=RawInput(sys.stdin),
            history=FileHistory(str(history)),
            completer=ChatCompleter(self),
            complete_while_typing=True,
            style=STYLE,
        )
        with session.input.raw_mode(), patch_stdout():
            events = asyncio.create_task(self._show_events(), name="chat events")
            lines = asyncio.create_task(self._read_lines(session), name="chat lines")
            await first_of(events, lines)

    async def refresh(self) -> None:
        """Fetch the directory."""
        answer = await self._client.ask(control.Contacts(), control.ContactList)
        self.contacts = {contact.address: contact for contact in answer.contacts}

    async def complete(self, to: str, line: str) -> list[tuple[str, str]]:
        """Ways to go on with a line to `to`, with hints."""
        answer = await self._client.ask(control.Complete(to, line), control.Completions)
        return [(completion.text, completion.hint) for completion in answer.completions]

    async def _read_lines(self, session: PromptSession[str]) -> None:
        while True:
            try:
                text = await session.prompt_async(self._prompt)
            except KeyboardInterrupt:
                if session.default_buffer.text:
                    continue  # as in a shell: away with what was typed
                return
            except EOFError:
                return
            for line in filter(None, map(str.strip, text.splitlines())):  # several may have been pasted
                if line == "/quit":
                    return
                await self._take(line)

    def _prompt(self) -> FormattedText:
        return FormattedText([("class:who", self.talking_to), ("", "> ")])

    async def _take(self, line: str) -> None:
        robot = stopwords.target(line)
        if robot is None:  # `stop rover` to whomever one talks
            robot = stopwords.meant(line, None, self._is_robot)
        if robot is not None:
            await self._stop(robot)
        elif line.startswith("/"):
            await self._local_command(line)
        else:
            to, text = self.split(line)
            if not to:
                show("bad", "to whom? begin with an address, as in `rover: help`")
                return
            if text in LEAVING:
                show("hint", f"`{text}` is said to {to}; to leave: /quit or Ctrl-D")
            if to not in self.contacts:
                await self.refresh()
            if to in self.contacts:  # else the gateway says what it may have meant
                self.talking_to = to
            self._client.say(to, text)

    async def _stop(self, robot: str) -> None:
        """By the gateway, which knows groups and tells everybody; past it, if it hangs."""
        with suppress(TimeoutError, NoGateway):
            self._client.stop(robot)
            async with asyncio.timeout(HANGS_S):
                await self.refresh()
                return
        try:
            told = stop.describe(await stop.stop(self._state, (robot,) if robot else (), self._user))
        except ServiceError as error:
            told = f"STOP NOT CARRIED OUT: {error}. Use the hardware stop"
        show("bad", f"the gateway does not answer; {told}")

    def _is_robot(self, address: str) -> bool:
        return address in self.contacts and self.contacts[address].kind is Kind.ROBOT

    def split(self, line: str) -> tuple[str, str]:
        """Recipient and text of a line: ``rover: forward 20``, or the last conversation."""
        head, colon, rest = line.partition(":")
        if colon and ADDRESS.fullmatch(head.strip()):
            return head.strip(), rest.strip()
        return self.talking_to, line

    async def _local_command(self, line: str) -> None:
        match line.split():
            case ["/who"]:
                await self.refresh()
                for contact in self.contacts.values():
                    state = contact.state or ("online" if contact.online else "offline")
                    show(
                        "hint",
                        f"  {contact.address:<16} {contact.kind:<6} {state:<9} {contact.about}",
                    )
            case ["/history", *words]:
                request = control.History(self.talking_to, text=" ".join(words))
                past = await self._client.ask(request, control.Past)
                for entry in past.entries:
                    show(
                        "hint",
                        f"  {entry['at']} {entry['sender']} → {entry['to']}: {entry['body']}",
                    )
            case ["/modules" | "/why" | "/flash" | "/ota" | "/group" | "/presence" | "/reload", *_]:
                self._client.say(SYSTEM, line)
            case [word, *_]:
                if word not in WORDS:
                    show("bad", f"there is no {word}; there is:")
                for word, meaning in WORDS.items():
                    show("hint", f"  {word:<10} {meaning}")

    async def _show_events(self) -> None:
        async for event in self._client.events():
            if isinstance(event, Presence):
                await self.refresh()
            if isinstance(event, Delivery):
                self._client.read(event.message)
                if self._edit(event):
                    continue
            for style, text in describe(event):
                show(style, text)
        raise NoGateway("the gateway went away")

    def _edit(self, event: Delivery) -> bool:
        """Show what replaces a message below the prompt, until it is final; whether that is all."""
        if not event.message.flags & Flag.REPLACES or self._session is None:
            return False
        passing = bool(event.message.flags & Flag.TRANSIENT)
        self._session.bottom_toolbar = event.message.body if passing else None
        self._session.app.invalidate()
        return passing


class RawInput(Vt100Input):
    """Keys, also while something is printed or no prompt is up: in line mode Ctrl-D would be swallowed."""

    def cooked_mode(self) -> AbstractContextManager[None]:
        """No line mode."""
        return self.raw_mode()


class ChatCompleter(Completer):
    """Completes addresses and stop words, and asks the gateway for the rest."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Nothing: only the asynchronous form can ask the gateway."""
        return ()

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        """Words that may follow."""
        line = document.text_before_cursor.lstrip()
        word = line.split(" ")[-1]
        to, text = self._chat.split(line)
        if " " not in line:
            for name, contact in self._chat.contacts.items():
                if name.startswith(word):
                    yield Completion(
                        f"{name}: ", -len(word), name, display_meta=contact.about or contact.kind
                    )
            for name, meaning in WORDS.items():
                if name.startswith(word) and word:
                    yield Completion(name, -len(word), display_meta=meaning)
        if to and not line.startswith("/"):
            try:
                found = await self._chat.complete(to, text)
            except (Denied, NoGateway, TimeoutError):
                return
            for name, hint in found:
                if name in WORDS and text == line:
                    continue  # without an address it is our word, not the robot's
                yield Completion(name, -len(text.split(" ")[-1]), display_meta=hint)


def describe(event: Event) -> list[tuple[str, str]]:
    """An event as lines of (style, text) for the terminal."""
    match event:
        case Update(status=status) if status.state is State.SENT:
            return []
        case Update(status=status):
            style = "bad" if status.code.failed else "good" if status.state is State.DONE else "state"
            return [(style, f"  {status.words}")]
        case Delivery(message=message, status=status):
            lines = message.body.split("\n")
            who = f"{message.sender}{f' in {message.groupid}' if message.groupid else ''}"
            style = "bad" if status and status.code.failed else ""
            if len(lines) == 1:
                return [(style, f"{who}: {message.body}")]
            return [(style, f"{who}:"), *((style, f"  {line}") for line in lines)]
        case Sent(message=message) if stopwords.target(message.body) is None:
            return [("hint", f"you → {message.to}: {line}") for line in message.body.split("\n")]
        case _:
            return []


def show(style: str, text: str) -> None:
    """Print a line above the prompt."""
    print_formatted_text(FormattedText([(f"class:{style}" if style else "", text)]), style=STYLE)
