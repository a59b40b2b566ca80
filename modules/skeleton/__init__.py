"""The module `skeleton`: every callback and helper once, to begin a module of your own with.

It answers what is said to its address, and lets everything else go on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from boardtalk.sdk import (
    CONSUMED,
    PASS,
    Call,
    CallState,
    Code,
    CommandInfo,
    Completion,
    Contact,
    Kind,
    Message,
    Module,
    ModuleError,
    OutsideError,
    Refused,
    SeriesInfo,
    Settings,
    State,
    Status,
    Timeouts,
    User,
    Verdict,
    json_extract,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_QUESTIONS = 100
"""That may wait for an answer."""
DONE = Status(code=Code.DONE, state=State.DONE)
WORDS = {
    "count": "how often I was asked",
    "fetch": "what my server says",
    "knock": "what somebody says whom I knock at",
    "primes": "primes below a limit, found in another process",
    "later": "an answer a second later",
}


class Skeleton(Module):
    """One instance of this class is made for each `module skeleton` block of the configuration."""

    name = "skeleton"
    description = "shows how a module is made"
    version = "1"

    class Config(Settings):
        """One field for each key of the block; the configuration is checked against them."""

        address: Annotated[str, Meta(description="address that it answers for")] = "skeleton"
        greeting: Annotated[str, Meta(description="how it greets who logs in; empty: not at all")] = ""
        refused_words: Annotated[tuple[str, ...], Meta(description="words that it refuses to hear")] = ()
        mood: Annotated[Literal["kind", "gruff"], Meta(description="how it answers")] = "kind"
        limit: Annotated[int, Meta(ge=2, le=1_000_000, description="up to where it looks for primes")] = 100
        url: Annotated[str, Meta(description="what it fetches")] = "http://127.0.0.1/"
        door: Annotated[str, Meta(description="where it knocks")] = "tcp://127.0.0.1:7"

    # From start to end -------------------------------------------------------------------------

    def on_start(self) -> None:
        """Called once before the first message. Raise, and the text is reported."""
        if not self.config.url.startswith(("http://", "https://")):
            raise ModuleError("url: it begins with http:// or https://")
        self._questions: asyncio.Queue[Message] = asyncio.Queue(MAX_QUESTIONS)
        self.context.spawn(self._answer_all(), "answers")
        self._called = ""  # id of the call that is on
        commands = tuple(CommandInfo(name=word, help=text, cls="query") for word, text in WORDS.items())
        # From now on this module answers for its address; it stands in everybody's list.
        self.context.register(
            Contact(
                address=self.config.address,
                kind=Kind.SERVICE,
                online=True,
                commands=commands,
                series=(SeriesInfo(name="waiting", help="questions that wait", min=0, max=MAX_QUESTIONS),),
            )
        )
        # Timers end with the instance. `now` and `random` come from the context too: then a recorded
        # session can be played again.
        self.context.every(3600 + 60 * self.context.random(), self._note_hour)
        self.say(1, "started", at=self.context.now())  # seen with `verbosity = 1`; level 0 is always seen

    def on_config(self, config: Any) -> None:
        """Take new settings without a restart, or raise to keep the old ones.

        Without this method the gateway starts a new instance when the settings change.
        """
        if config.address != self.config.address:
            raise ModuleError("address: restart the gateway to change it")

    def on_cleanup(self) -> None:
        """Called once at the end. Timers, tasks, addresses and connections would end without you too."""
        self.context.unregister(self.config.address)
        self.say(1, "ended")

    # Messages ----------------------------------------------------------------------------------

    def on_message(self, message: Message) -> Verdict:
        """Called for every message, of everybody to everybody: be quick, and let go on what is not yours."""
        if message.to != self.config.address:
            return PASS  # or `message.with_(body=…)`: that goes on in its place
        asked = message.body.strip().lower()
        if any(word in asked for word in self.config.refused_words):
            raise Refused(Code.DENIED, "I don't like that word")  # its author is told
        author = self.context.contact(message.sender)
        if author and author.kind is not Kind.USER:
            raise Refused(Code.DENIED, "I talk to people only")  # two programs would never end
        self.context.require(message.sender, "query", message.to)  # the policy: he is told why not
        # What takes time is done by a task, so that others need not wait: here one after the other.
        try:
            self._questions.put_nowait(message)
        except asyncio.QueueFull:
            raise Refused(Code.BUSY, "too many ask me just now; try again in a moment") from None
        # What is measured is told to who watches, and plotted.
        self.context.publish(self.config.address, {"waiting": self._questions.qsize()})
        self.context.explain(message, "queued", f"{self._questions.qsize()} wait")  # for `boardtalk why`
        return CONSUMED

    def on_unfinished(self, message: Message) -> Verdict:
        """What the gateway before had not brought to an end: here that was not answered, and does no harm."""
        if message.to != self.config.address:
            return PASS  # if all say so, its author is told that nobody knows what became of it
        text = "I was interrupted: ask me again"
        status = Status(code=Code.FAILED, state=State.FAILED, detail=text)
        self.context.report(message, status)
        self.reply(message, text, status)
        return CONSUMED

    def on_message_status(self, message: Message, status: Status) -> None:
        """What became of a message that this module sent with an id of its own."""
        self.say(2, "status", of=message.id, state=status.state.value)

    def on_login(self, user: User) -> None:
        """Somebody logged in or out."""
        if user.online and self.config.greeting:
            hello = Message(
                sender=self.config.address,
                to=user.address,
                body=self.config.greeting,
                id=f"hello-{user.address}-{self.context.time()}",  # `on_message_status` tells of it
                to_online=True,  # only if he is there
                expiry=60,
            )
            self.context.send(hello)

    def on_complete(self, to: str, line: str) -> list[Completion]:
        """Words that may follow, while somebody types to our address."""
        return [Completion(word, hint) for word, hint in WORDS.items() if word.startswith(line)]

    def on_show(self, user: str) -> dict[str, Any]:
        """What the web page, say, needs to show of this module besides messages."""
        if not self.context.allowed(user, "see", self.config.address):
            return {}
        return {"count": self.context.notes.get("count", 0)}

    # Calls: live control, of one person at a time -----------------------------------------------

    def on_call(self, call: Call) -> Verdict:
        """Somebody wants live control of an address: refuse, answer, or leave it to others."""
        if call.to != self.config.address:
            return PASS
        if not self.context.allowed(call.sender, "drive", call.to):
            raise Refused(Code.DENIED, "you may only talk to me")
        self._called = call.id
        return CONSUMED

    def on_set_point(self, call: Call, text: str) -> None:
        """Live values, in a call that we answered."""
        if text == "enough":
            self.context.end_call(call.id, "enough")

    def on_call_status(self, call: Call, state: CallState) -> None:
        """A call changed; when it is over, whatever moves has to stand."""
        if call.id == self._called and state.over:
            self._called = ""

    # What it does ------------------------------------------------------------------------------

    async def _answer_all(self) -> None:
        while True:
            message = await self._questions.get()
            word, _, rest = message.body.strip().lower().partition(" ")
            status = DONE
            try:
                text = await self._text(word, rest, message)
            except (OutsideError, ValueError) as error:
                text = f"that did not work: {error}"
                status = Status(code=Code.FAILED, state=State.FAILED, detail=text)
            if text:
                # From us to its author, with `refid`: his client shows what is answered.
                self.reply(message, text if self.config.mood == "kind" else text.upper(), status)
            self.context.report(message, status)  # the state of his message, kept in the history

    async def _text(self, word: str, rest: str, message: Message) -> str:
        match word:
            case "count":
                # Notes are kept across restarts.
                count = self.context.notes["count"] = self.context.notes.get("count", 0) + 1
                return f"{count} times"
            case "fetch":
                return await self._fetch()
            case "knock":
                return await self._knock()
            case "primes":
                limit = min(int(rest or self.config.limit), self.config.limit)
                found = await self.context.run_in_process(primes, limit)
                return ", ".join(map(str, found))
            case "later":
                self.context.after(1, lambda: self.reply(message, "here it is"))
                return ""
            case "where":
                return await self.context.run_in_thread(str, self.context.folder)  # a folder of our own
            case _:
                person = self.context.contact(message.sender)
                here = self.context.contacts()
                led = sum(len(self.context.robots(each.address)) for each in here if each.kind is Kind.GROUP)
                role = person.about if person else "nobody"
                others = f"{len(here) - 1} others here, {led} robots in groups"
                return f"You are {role}, with {others}. Ask me: {', '.join(WORDS)}"

    async def _fetch(self) -> str:
        async with self.context.http(self.config.url, timeouts=Timeouts(total=5)) as response:
            response.require_ok()
            text = await response.text()
        return str(json_extract(text, "title") or text[:100])

    async def _knock(self) -> str:
        async with self.context.connect(self.config.door) as connection:
            await connection.send("hello\n")
            async for piece in connection:
                return piece if isinstance(piece, str) else piece.decode(errors="replace")
        return "not a word"

    async def _note_hour(self) -> None:
        self.context.notes["alive"] = self.context.time()


def primes(limit: int) -> Sequence[int]:
    """All primes up to a limit. At the top of the file: another process has to find it by its name."""
    found: list[int] = []
    for number in range(2, limit + 1):
        if all(number % prime for prime in found if prime * prime <= number):
            found.append(number)
    return found
