"""The module: takes what is said to the chatbot, one question of a user after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Final

from boardtalk.modules.chatbot.commands import CONFIRM_S, Gate, Pending, split
from boardtalk.modules.chatbot.completions import OpenAI
from boardtalk.modules.chatbot.dialogflow import Dialogflow
from boardtalk.modules.chatbot.engine import Engine, NoAnswer, Question
from boardtalk.modules.chatbot.rules import MAX_FILE_BYTES, Rule, Rules, parse
from boardtalk.modules.chatbot.settings import ChatbotSettings
from boardtalk.sdk import (
    CONSUMED,
    PASS,
    Code,
    Completion,
    Contact,
    Flag,
    Kind,
    Message,
    Module,
    ModuleError,
    Refused,
    State,
    Status,
    Verdict,
)
from boardtalk.sdk.text import clean, cut

if TYPE_CHECKING:
    from pathlib import Path

MAX_WAITING: Final = 5
"""Questions of one user, the one that is being answered included."""
MAX_USERS: Final = 50
"""Who may wait for answers at the same time."""
STARTED: Final = Status(code=Code.DELIVERED, state=State.STARTED)
DONE: Final = Status(code=Code.DONE, state=State.DONE)
YES: Final = "yes"
NO: Final = frozenset({"no", "cancel"})
AROUND: Final = " \t\r\n.!"
"""Means nothing around such a word."""


class Chatbot(Module):
    """Answers for one address."""

    name = "chatbot"
    description = "answers questions, and passes commands on to robots after a yes"
    version = "1"

    class Config(ChatbotSettings):
        """Settings of the chatbot."""

    config: Config

    async def on_start(self) -> None:
        """Make the engine ready and take the address."""
        self._engine = await self._made_engine()
        self._gate = Gate(self.context)
        self._pending: dict[str, Pending] = {}
        self._lanes: dict[str, deque[Message]] = {}
        """By user, what waits; the first of it is being answered."""
        self._slots = asyncio.Semaphore(self.config.parallel)
        about = "a chatbot: ask in your own words, or `help`"
        self.context.register(
            Contact(address=self.config.address, kind=Kind.SERVICE, online=True, about=about, state="ready")
        )

    def on_cleanup(self) -> None:
        """Tell who waits that there will be no answer."""
        end = Status(code=Code.FAILED, state=State.CANCELLED, detail="the chatbot was ended: ask again")
        for message in chain.from_iterable(self._lanes.values()):
            self.context.report(message, end)

    def on_message(self, message: Message) -> Verdict:
        """Take what is for the chatbot; it is answered later."""
        if message.to != self.config.address:
            return PASS
        if message.flags & Flag.PRESENCE:
            return CONSUMED
        sender = self.context.contact(message.sender)
        if sender is None or sender.kind is not Kind.USER:  # two bots would talk for ever
            raise Refused(Code.DENIED, f"{message.to} answers people only")
        self._put(message)
        return CONSUMED

    def on_complete(self, to: str, line: str) -> list[Completion]:
        """The words that are always understood."""
        if self.config.chosen != "rules":
            return []
        words = [Completion("help", "what it can do"), Completion("robots", "which ones are here")]
        return [word for word in words if word.text.startswith(line.lower())]

    async def _made_engine(self) -> Engine:
        match self.config.chosen:
            case "dialogflow":
                return Dialogflow(self.context, self.config)
            case "openai":
                return OpenAI(self.context, self.config)
        path = self.config.rules
        own = await self.context.run_in_thread(_load, path) if path else []
        return Rules(own, self.config.address)

    # One after the other ----------------------------------------------------------------------

    def _put(self, message: Message) -> None:
        user = message.sender
        lane = self._lanes.get(user)
        if lane is None:
            if len(self._lanes) >= MAX_USERS:
                raise Refused(Code.BUSY, f"{message.to} has too much to do: try again in a minute")
            self._lanes[user] = deque([message])
            self.context.spawn(self._serve(user), f"answers {user}")
        elif len(lane) >= MAX_WAITING:
            raise Refused(Code.BUSY, f"{MAX_WAITING} of your questions wait already: wait for an answer")
        else:
            lane.append(message)

    async def _serve(self, user: str) -> None:
        """Answer what a user asks, until nothing is left."""
        waiting = self._lanes[user]
        try:
            while waiting:
                await self._take(waiting[0])
                waiting.popleft()
        finally:
            del self._lanes[user]

    async def _take(self, message: Message) -> None:
        """Answer a message, or tell why not."""
        self.context.report(message, STARTED)
        try:
            note = self._decide(message)
            if note is None:
                return
            try:
                answer = await self._ask(message)
            except NoAnswer as error:
                self._fail(message, f"{note}{error}")
            else:
                self._respond(message, answer, note)
        except Exception as error:  # its sender waits, and so do others behind it
            self.context.log.error("chatbot failed", error=str(error), exc_info=error)
            self._fail(message, "the chatbot has a fault; the gateway's log tells more")

    # Yes or no --------------------------------------------------------------------------------

    def _decide(self, message: Message) -> str | None:
        """Take a message as the answer to our own question, if there was one.

        Returns:
            What the answer to the message begins with; None: it is answered.
        """
        pending = self._pending.pop(message.sender, None)
        if pending is None:
            return ""
        word = message.body.strip(AROUND).casefold()
        if word == YES and pending.is_seen_by(message):
            if pending.is_in_time(self.context.now()):
                self._carry_out(message, pending)
            else:
                self._fail(message, f"too late: that was to be confirmed within {CONFIRM_S:g} s; ask again")
            return None
        if word in NO:
            self._end(message, "Not sent.", DONE)
            return None
        return "".join(f"Not sent: {each.robot}: {each.command}\n" for each in pending.proposals)

    def _carry_out(self, message: Message, pending: Pending) -> None:
        """Send what was confirmed, as far as it still may be."""
        objections = [self._gate.objection(message.sender, each) for each in pending.proposals]
        allowed = [each for each, why in zip(pending.proposals, objections, strict=True) if not why]
        told = [f"Telling {each}" for each in allowed]
        text = "\n".join([*told, *filter(None, objections)])
        if allowed:
            self._end(message, text, DONE)
        else:
            self._fail(message, text)
        for each in allowed:
            self._gate.send(message.sender, each, message.aid)

    # Answers ----------------------------------------------------------------------------------

    async def _ask(self, message: Message) -> str:
        async with self._slots:
            begun = self.context.now()
            robots = self._gate.robots(message.sender)
            try:
                answer = await self._engine.answer(Question(message.sender, message.body, robots))
            except NoAnswer as error:
                self.say(0, "no answer", user=message.sender, reason=str(error))
                raise
            seconds = round(self.context.now() - begun, 3)
            self.say(self.config.log, "answered", user=message.sender, chars=len(answer), seconds=seconds)
            return clean(answer)

    def _respond(self, message: Message, answer: str, note: str) -> None:
        """Give an answer, and do or ask about what it proposes."""
        text, proposals = split(answer)
        if proposals and not self.config.commands:
            text, proposals = f"{text}\nI don't pass commands on to robots here.".strip(), []
        found = self._gate.sort(message.sender, proposals)
        parts = [cut(text, self.config.max_answer)]
        parts += [f"Telling {each}" for each in found.at_once]
        parts += found.objections
        if found.to_confirm:
            pending = Pending(found.to_confirm, self.context.now())
            self._pending[message.sender] = pending
            parts.append(pending.question)
        self._end(message, note + "\n".join(filter(None, parts)), DONE)
        for each in found.at_once:
            self._gate.send(message.sender, each, message.aid)

    def _fail(self, message: Message, reason: str) -> None:
        self._end(message, reason, Status(code=Code.FAILED, state=State.FAILED, detail=reason))

    def _end(self, message: Message, text: str, status: Status) -> None:
        self.context.report(message, status)
        self.reply(message, text, status)


def _load(path: Path) -> list[Rule]:
    """The rules of a file.

    Raises:
        ModuleError: it can't be read, or makes no sense.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ModuleError(f"rules {path} can't be read: {reason}") from error
    if len(data) > MAX_FILE_BYTES:
        raise ModuleError(f"rules {path}: longer than {MAX_FILE_BYTES} bytes")
    return parse(text, str(path))
