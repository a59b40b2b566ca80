"""Has an engine translate: remembers what it said, and leaves it alone when it is down."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from boardtalk.modules.translate.engine import NoTranslation, Translated, Wanted
from boardtalk.sdk.text import clean

if TYPE_CHECKING:
    from boardtalk.modules.translate.engine import Engine
    from boardtalk.sdk import Context

MAX_REMEMBERED: Final = 500
MAX_CHARS: Final = 5000
"""Of a text; services refuse longer ones."""
MAX_UNDER_WAY: Final = 100
"""Texts that the engine has or that wait for it."""
REST_S: Final = (1.0, 60.0)
"""For how long an engine that is down is left alone, at first and at most."""

Outcome = Translated | NoTranslation


class Translator:
    """Translates texts, each once.

    Args:
        parallel: texts that the engine gets at once.
    """

    def __init__(self, context: Context, engine: Engine, parallel: int) -> None:
        self._context = context
        self._engine = engine
        self._slots = asyncio.Semaphore(parallel)
        self._known: OrderedDict[Wanted, Translated] = OrderedDict()
        self._under_way: dict[Wanted, asyncio.Future[Outcome]] = {}
        self._down: NoTranslation | None = None
        self._until = self._pause = 0.0

    def known(self, wanted: Wanted) -> Outcome | None:
        """The translation of a text, or why there is none, if that can be told at once."""
        if found := self._known.get(wanted):
            self._known.move_to_end(wanted)
            return found
        if len(wanted.text) > MAX_CHARS:
            return NoTranslation(f"longer than {MAX_CHARS} characters")
        if wanted in self._under_way:
            return None
        if self._down and self._context.now() < self._until:
            return self._down
        if len(self._under_way) >= MAX_UNDER_WAY:
            return NoTranslation("too much is to be translated just now")
        return None

    def begin(self, wanted: Wanted) -> asyncio.Future[Outcome]:
        """Have a text translated that is not known; whoever wants the same meanwhile waits for the same."""
        future = self._under_way.get(wanted)
        if future is None:
            future = self._under_way[wanted] = asyncio.get_running_loop().create_future()
            self._context.spawn(self._translate(wanted, future), "translation")
        return future

    async def _translate(self, wanted: Wanted, future: asyncio.Future[Outcome]) -> None:
        outcome: Outcome = NoTranslation("the translator was ended")
        try:
            async with self._slots:
                outcome = await self._asked(wanted)
        except Exception as error:  # somebody waits
            self._context.log.error("translator failed", error=str(error), exc_info=error)
            outcome = NoTranslation("the translator has a fault; the gateway's log tells more")
        finally:
            del self._under_way[wanted]
            if not future.done():
                future.set_result(outcome)

    async def _asked(self, wanted: Wanted) -> Outcome:
        if self._down and self._context.now() < self._until:  # it went down while this text waited
            return self._down
        try:
            found = await self._engine.translate(wanted)
        except NoTranslation as error:
            if error.rest:
                self._rest(error)
            return error
        self._down, self._pause = None, 0.0
        text = clean(found.text)
        if not text:
            return NoTranslation("the translation is empty")
        return self._remember(wanted, Translated(text, found.source))

    def _rest(self, error: NoTranslation) -> None:
        """Leave the engine alone for a while, twice as long each time."""
        first, longest = REST_S
        now = self._context.now()
        if now < self._until:  # those that were under way when it went down
            return
        self._pause = min(2 * self._pause, longest) or first
        self._down, self._until = error, now + self._pause
        self._context.log.warning("translator rests", seconds=self._pause, reason=str(error))

    def _remember(self, wanted: Wanted, found: Translated) -> Translated:
        self._known[wanted] = found
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        return found
