"""Messages with blocked words: kept back, masked, or passed on with a warning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from boardtalk.modules.filter.words import Span, Words
from boardtalk.sdk import (
    CONSUMED,
    PASS,
    Code,
    Contact,
    Kind,
    Message,
    Module,
    ModuleError,
    Refused,
    Settings,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_FILE_BYTES = 4 << 20
"""A longer file is no list of words."""
MAX_SHOWN_CHARS = 40
"""Of the word that a refusal names."""


class Filter(Module):
    """Looks at what people write; what robots say goes on unless `robots` is set."""

    name = "filter"
    description = "keeps back, masks or warns of blocked words"
    version = "1"

    class Config(Settings):
        """Settings of the filter."""

        blocked_words: Annotated[
            tuple[str, ...],
            Meta(description="words and phrases; case, accents and hidden signs don't matter"),
        ] = ()
        words_file: Annotated[
            Path | None, Meta(description="a file with one word or phrase on each line; `#` begins a comment")
        ] = None
        match: Annotated[
            Literal["words", "anywhere"],
            Meta(description="`anywhere`: inside other words too, as `alpha` in `alphabet`"),
        ] = "words"
        action: Annotated[
            Literal["drop", "mask", "warn"],
            Meta(
                description="keep the message back, put `***` for each word, or let it go on with a warning"
            ),
        ] = "drop"
        silent: Annotated[
            bool, Meta(description="whether its author is left in the dark when a message is dropped")
        ] = False
        robots: Annotated[bool, Meta(description="whether to look at what robots say too")] = False
        address: Annotated[str, Meta(description="address that warnings come from")] = "filter"
        log: Annotated[int, Meta(ge=0, le=9, description="level at which it logs what it did; 0: always")] = 1

    async def on_start(self) -> None:
        """Read the words.

        Raises:
            ModuleError: there are none, or their file can't be read.
        """
        self._words = await self._read(self.config)
        self._introduce(self.config)

    async def on_config(self, config: Any) -> None:
        """Read the new words; if that fails, the old ones stay."""
        words = await self._read(config)
        self._introduce(config)
        self._words = words

    def on_message(self, message: Message) -> Verdict:
        """Look at a message."""
        found = self._words.find(message.body)
        if not found or not self._concerns(message):
            return PASS
        self.say(
            self.config.log, "blocked words", action=self.config.action, sender=message.sender,
            to=message.to, count=len(found),
        )  # fmt: skip
        match self.config.action:
            case "mask":
                return message.with_(body=masked(message.body, found))
            case "warn":
                self._warn(message, found)
                return PASS
            case _ if self.config.silent:
                return CONSUMED
            case _:
                raise Refused(Code.DENIED, f"not passed on: {_shown(message.body, found)} is not wanted here")

    async def _read(self, config: Any) -> Words:
        words = list(config.blocked_words)
        if config.words_file:
            words += await self.context.run_in_thread(_read_file, config.words_file)
        found = Words(words, anywhere=config.match == "anywhere")
        if not found:
            raise ModuleError("no word to look for: set `blocked_words` or `words_file`")
        return found

    def _introduce(self, config: Any) -> None:
        self.context.unregister(self.config.address)
        if config.action == "warn":
            about = "warns of blocked words"
            self.context.register(
                Contact(address=config.address, kind=Kind.SERVICE, online=True, about=about)
            )

    def _concerns(self, message: Message) -> bool:
        if self.config.robots:
            return True
        author = self.context.contact(message.sender)
        return author is None or author.kind is not Kind.ROBOT

    def _warn(self, message: Message, found: Sequence[Span]) -> None:
        text = f"{_shown(message.body, found)} is not wanted here; your message to {message.to} was passed on"
        self.context.send(Message(sender=self.config.address, to=message.sender, body=text, refid=message.id))


def masked(text: str, spans: Sequence[Span]) -> str:
    """A text with `***` in place of its parts."""
    pieces: list[str] = []
    at = 0
    for span in spans:
        pieces += text[at : span.start], "***"
        at = span.end
    return "".join((*pieces, text[at:]))


def _shown(text: str, found: Sequence[Span]) -> str:
    word = text[found[0].start : found[0].end]
    return repr(word[:MAX_SHOWN_CHARS])


def _read_file(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ModuleError(f"{path}: longer than {MAX_FILE_BYTES} bytes: no list of words")
        lines = data.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise ModuleError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ModuleError(f"{path}: no UTF-8 text") from error
    return [line for line in lines if not line.lstrip().startswith("#")]
