"""The module: finds out what is to be translated, and has it go on in the other language."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from boardtalk.modules.translate import commands
from boardtalk.modules.translate.argos import Argos
from boardtalk.modules.translate.engine import AUTO, NoTranslation, Translated, Wanted
from boardtalk.modules.translate.google import Google
from boardtalk.modules.translate.languages import Languages
from boardtalk.modules.translate.libretranslate import LibreTranslate
from boardtalk.modules.translate.settings import TranslateSettings
from boardtalk.modules.translate.translator import Outcome, Translator
from boardtalk.sdk import MAX_BODY_BYTES, PASS, Contact, Flag, Kind, Message, Module, Verdict
from boardtalk.sdk.text import cut

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from boardtalk.modules.translate.engine import Engine

MAX_LATE: Final = 5
"""Translations of one conversation that may come after their messages."""
MAX_REASON_CHARS: Final = 200
LEFT_ALONE: Final = Flag.TRANSIENT | Flag.PRESENCE | Flag.TRANSLATED
NOT_STOPPED: Final = "NOTHING WAS STOPPED: type `stop` alone, in any chat"
LATE: Final = NoTranslation("it takes too long")
TOO_LATE: Final = NoTranslation("it takes too long; say it again in a moment")
FOLLOWS: Final = "(the translation follows)"


class Job(NamedTuple):
    """A message that is to be translated."""

    message: Message
    wanted: Wanted
    from_robot: bool = False
    to_robot: bool = False

    @property
    def conversation(self) -> tuple[str, str]:
        """From whom to whom."""
        return self.message.sender, self.message.to


class Late(NamedTuple):
    """A message that went on, and its translation, which did not come in time."""

    job: Job
    outcome: asyncio.Future[Outcome]


class Translate(Module):
    """Lets everybody read in his own language."""

    name = "translate"
    description = "translates between people, and commands for robots"
    version = "1"

    class Config(TranslateSettings):
        """Settings of the translator."""

    config: Config

    def on_start(self) -> None:
        """Make the engine ready, and take the address that notes come from."""
        self._languages = Languages(self.config.languages, self.config.pairs)
        self._translator = Translator(self.context, self._engine(), self.config.parallel)
        self._late: dict[tuple[str, str], deque[Late]] = {}
        self._address = self.config.address or self.context.instance.replace("#", "-")
        about = "translates what others write"
        self.context.register(Contact(address=self._address, kind=Kind.SERVICE, online=True, about=about))

    def on_message(self, message: Message) -> Verdict | Awaitable[Verdict]:
        """Have a message go on in the other language, at once if that is known already."""
        job = self._job(message)
        if job is None:
            return PASS
        if job.to_robot and (reworded := commands.reworded(message.body, self.config.words)):
            return self._told(message, Translated(reworded, job.wanted.source))
        outcome = self._translator.known(job.wanted)
        if outcome is not None:
            return self._settled(job, outcome)
        if len(self._late.get(job.conversation, ())) >= MAX_LATE:
            return self._settled(job, NoTranslation("the translator is too slow"))
        return self._waited(job)

    def _engine(self) -> Engine:
        match self.config.chosen:
            case "google":
                return Google(self.context, self.config)
            case "argos":
                Argos.require()
                return Argos(self.context, self.config)
        return LibreTranslate(self.context, self.config)

    # What is to be translated -------------------------------------------------------------------

    def _job(self, message: Message) -> Job | None:
        """What is to be done about a message; None: nothing."""
        if message.flags & LEFT_ALONE or message.type or not commands.has_words(message.body):
            return None
        sender, to = self.context.contact(message.sender), self.context.contact(message.to)
        if sender is None or to is None:
            return None
        match sender.kind, to.kind:
            case Kind.USER, (Kind.USER | Kind.GROUP):
                return self._between(message, self.config.writes, self._reads(to))
            case Kind.USER, Kind.ROBOT if not _is_clear(message.body, to):
                job = self._between(message, self.config.writes, self.config.vocabulary)
                return job and job._replace(to_robot=True)
            case Kind.ROBOT, Kind.USER if "\n" not in message.body:  # more lines are lists of commands
                job = self._between(message, self.config.vocabulary, self._reads(to))
                return job and job._replace(from_robot=True)
        return None

    def _reads(self, to: Contact) -> str:
        return self.config.target if to.kind is Kind.USER else ""

    def _between(self, message: Message, writes: str, reads: str) -> Job | None:
        direction = self._languages.between(message.sender, writes, message.to, reads)
        return Job(message, Wanted(message.body, *direction)) if direction else None

    # What becomes of it -------------------------------------------------------------------------

    async def _waited(self, job: Job) -> Verdict:
        """The verdict once the translation is there, or takes too long."""
        began = self.context.now()
        future = self._translator.begin(job.wanted)
        await asyncio.wait({future}, timeout=self.config.wait)
        self.say(
            self.config.log, "translated" if future.done() else "translation is late",
            sender=job.message.sender, to=job.message.to, source=job.wanted.source,
            target=job.wanted.target, chars=len(job.message.body),
            seconds=round(self.context.now() - began, 3),
        )  # fmt: skip
        if future.done():
            return self._settled(job, future.result())
        if job.to_robot:  # it must not do late what it is told
            return self._settled(job, TOO_LATE)
        if job.from_robot:  # nobody else may speak in its name
            return self._settled(job, LATE)
        self._follow(Late(job, future))
        return _with_text(job.message, f"{job.message.body}\n{FOLLOWS}")

    def _settled(self, job: Job, outcome: Outcome) -> Verdict:
        """What goes on: the translation, or the original with a note."""
        message = job.message
        if isinstance(outcome, Translated):
            if _adds_nothing(job, outcome):
                return PASS
            outcome = self._checked(job, outcome)
        if job.to_robot:
            return self._told(message, outcome)
        if isinstance(outcome, Translated):
            text = self._shown(job, outcome)
        else:
            text = f"{message.body}\n(not translated: {cut(str(outcome), MAX_REASON_CHARS)})"
        return _with_text(message, text)

    def _checked(self, job: Job, found: Translated) -> Outcome:
        """A translation, unless something is lost that must not be."""
        text = job.message.body
        if job.from_robot and not commands.keeps_values(text, found.text):
            return NoTranslation("its numbers would change")
        if not job.to_robot:
            return found
        if not commands.has_words(found.text):
            return NoTranslation("the translation says nothing")
        if commands.says_stop(found.text):
            return NoTranslation(NOT_STOPPED)
        if commands.is_rearm(found.text):
            return NoTranslation("I never re-arm a robot: look at it, then type `rearm`")
        if not commands.keeps_numbers(text, found.text):
            return NoTranslation("its numbers would change; write them as digits")
        return found

    def _shown(self, job: Job, found: Translated) -> str:
        """What people read. Of what robots say they see the original too: commands and names stand in it."""
        if self.config.show == "both" or job.from_robot:
            language = "original" if found.source == AUTO else found.source
            return f"{found.text}\n({language}: {job.message.body})"
        return found.text

    def _told(self, message: Message, outcome: Outcome) -> Verdict:
        """What a robot is told; who said it is told that too."""
        if isinstance(outcome, Translated):
            command = " ".join(outcome.text.split()).strip(commands.AROUND)
            self._note(message.sender, f"{message.to} is told: {command}")
            return _with_text(message, command)
        reason = cut(str(outcome), MAX_REASON_CHARS)
        self._note(message.sender, f"{message.to} is told what you wrote, not translated: {reason}")
        return PASS

    def _note(self, to: str, text: str) -> None:
        """Tell somebody something, if he is there."""
        flags = Flag.TRANSIENT | Flag.TRANSLATED
        self.context.send(Message(sender=self._address, to=to, body=text, flags=flags))

    # Late ones ----------------------------------------------------------------------------------

    def _follow(self, late: Late) -> None:
        """Have a translation come after its message, in the order of the messages."""
        waiting = self._late.get(late.job.conversation)
        if waiting is None:
            self._late[late.job.conversation] = deque([late])
            self.context.spawn(self._follow_up(late.job.conversation), "late translations")
        else:
            waiting.append(late)

    async def _follow_up(self, conversation: tuple[str, str]) -> None:
        waiting = self._late[conversation]
        try:
            while waiting:
                outcome = await waiting[0].outcome
                self._send_late(waiting.popleft().job, outcome)
        finally:
            del self._late[conversation]

    def _send_late(self, job: Job, outcome: Outcome) -> None:
        """Send a translation in its author's name, if its time is not over; or tell that there is none."""
        message = job.message
        if isinstance(outcome, NoTranslation):
            reason = cut(str(outcome), MAX_REASON_CHARS)
            self._note(message.to, f"what {message.sender} wrote is not translated: {reason}")
            return
        if _adds_nothing(job, outcome):
            return
        expiry = message.expiry
        if expiry is not None:
            expiry -= int(self.context.now() - message.accepted) + 1
            if expiry < 0:
                return
        self.context.send(
            Message(
                sender=message.sender,
                to=message.to,
                body=self._shown(job, outcome),
                refid=message.id,
                expiry=expiry,
                to_online=message.to_online,
                aid=message.aid,
                flags=Flag.TRANSLATED,
            )
        )


def _is_clear(text: str, robot: Contact) -> bool:
    """Whether a robot understands a text as it is, or nobody knows; stop words are never touched."""
    return not robot.commands or commands.says_stop(text) or commands.is_command(text, robot.commands)


def _adds_nothing(job: Job, found: Translated) -> bool:
    """Whether a text is in the other language already."""
    same = commands.folded(found.text) == commands.folded(job.message.body)
    return same or found.source == job.wanted.target


def _with_text(message: Message, text: str) -> Verdict:
    """A message with another text, which nobody translates again; one that has no room for it stays."""
    if len(text.encode()) > MAX_BODY_BYTES:
        return PASS
    return message.with_(body=text, flags=message.flags | Flag.TRANSLATED)
