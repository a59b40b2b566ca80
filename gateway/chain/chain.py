"""The chain: a message passes the modules in order, and each says what becomes of it.

Pure ordering: no I/O, no storage, no knowledge of who sends or receives. A module that raises or
dawdles is noticed here and hurts nobody else.
"""

from __future__ import annotations

import asyncio
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import structlog

from boardtalk.chain.health import HARD_DEADLINE_NS, RECENT, SOFT_DEADLINE_NS, Health, OnFail
from boardtalk.checked import checked_message
from boardtalk.sdk import CONSUMED, PASS, Code, Message, Refused, Verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence

Outcome: TypeAlias = Message | Refused | None
"""The message that came out at the end of the chain, or why not; None: a module consumed it."""


class Passage(NamedTuple):
    """One stage that a message went through."""

    stage: str
    verdict: str
    """passed, consumed, replaced, refused, failed; skipped: the module rests."""
    began_ns: int
    """`perf_counter_ns`; likewise the next."""
    ended_ns: int


LAST: Final = RECENT - 1
"""Mask that makes the number of a call an index into the last ones."""
log = structlog.get_logger()
Handler: TypeAlias = "Callable[[Message], Verdict | Awaitable[Verdict]]"


class Held:
    """Stands in for the verdict of a module that is being replaced: the message waits."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    def __await__(self) -> Generator[Any, None, bool]:
        return self.over.wait().__await__()


class Stage:
    """One place in the chain, and the module instance that fills it."""

    __slots__ = ("_handler", "_held", "_idle", "_waiting", "handle", "health", "name", "on_fail")

    def __init__(self, name: str, handler: Handler, on_fail: OnFail = "skip") -> None:
        self.name = name
        self.on_fail = on_fail
        self.health = Health(name)
        self.handle: Callable[[Message], Any] = handler
        """What the chain calls: the module, or what is in its place for now."""
        self._handler = handler
        self._held = Held()
        self._waiting = 0
        self._idle = asyncio.Event()

    @property
    def rests(self) -> bool:
        """Whether the module failed too often and is left alone for now."""
        return self.handle == self._rest and monotonic() < self.health.breaker.until

    def failed(self, error: Exception, message: Message) -> Message | Refused:
        """Note a failure; what stands in for the missing verdict."""
        self.health.verdicts["failed"] += 1
        self.tripped(error, message)
        return self._without(message)

    def tripped(self, error: Exception, message: Message) -> None:
        """Note an error, whatever the verdict; after too many the module rests."""
        if self.health.tripped(error, message) and self.handle == self._handler:
            self.handle = self._rest

    def word(self, verdict: Any) -> str:
        """What the module decided, in a word."""
        if verdict is PASS:
            return "passed" if self.handle is self._handler else "skipped"
        if verdict is CONSUMED:
            return "consumed"
        if isinstance(verdict, Message):
            return "replaced"
        return "refused" if isinstance(verdict, Refused) else "failed"

    def hold(self) -> None:
        """Let messages wait from now on, until `take` or `leave`."""
        self.handle = lambda _: self._held

    def take(self, handler: Handler, on_fail: OnFail) -> None:
        """Give the place to a new instance of the module."""
        self.health = Health(self.name)
        self._handler = self.handle = handler
        self.on_fail = on_fail
        self._go_on()

    def leave(self) -> None:
        """Call the module no more: the place is empty from now on."""
        self.handle = lambda _: PASS
        self._go_on()

    def fail(self) -> None:
        """Call the module no more, since it did not start: the place is empty, or nothing passes it."""
        self.handle = self._fallen
        self._go_on()

    async def idle(self) -> None:
        """Wait until the module has answered all that it was asked."""
        while self._waiting:
            self._idle.clear()
            await self._idle.wait()

    async def verdict(self, answer: Awaitable[Any]) -> Any:
        """What an asynchronous module answers in time; otherwise the error."""
        self._waiting += 1
        try:
            async with asyncio.timeout(HARD_DEADLINE_NS / 1e9):
                return await answer
        except Exception as error:  # noqa: BLE001 - whatever a module raises is its own failure
            return error
        except SystemExit as error:
            return exited(error)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._idle.set()

    def _go_on(self) -> None:
        held, self._held = self._held, Held()
        held.over.set()

    def _rest(self, message: Message) -> Any:
        """In place of a module that failed too often, until its time is over."""
        if monotonic() < self.health.breaker.until:
            if self.on_fail == "skip":
                self.health.verdicts["rested"] += 1
            return self._fallen(message)
        self.handle = self._handler
        return self._handler(message)

    def _fallen(self, message: Message) -> Any:
        without = self._without(message)
        return PASS if without is message else without

    def _without(self, message: Message) -> Message | Refused:
        if self.on_fail == "skip":
            return message
        return Refused(Code.FAILED, f"the module {self.name} failed, and nothing passes without it")


class Chain:
    """Modules in the order of the configuration file."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = tuple(stages)
        self._places = {stage.name: place for place, stage in enumerate(self.stages)}

    def behind(self, name: str) -> int:
        """Where a message starts that the module of this name sent: it can't meet itself."""
        return self._places.get(name, -1) + 1

    def failed(self, name: str, callback: str, error: BaseException) -> bool:
        """Note that a callback other than `on_message` failed; whether things go on without the module."""
        log.error("module callback failed", module=name, callback=callback, exc_info=error)
        place = self._places.get(name)
        if place is None:
            return True
        self.stages[place].health.failed_in(callback, error)
        return self.stages[place].on_fail == "skip"

    def run(
        self, message: Message, start: int = 0, trail: list[Passage] | None = None
    ) -> Outcome | Coroutine[Any, Any, Outcome]:
        """Send a message through the stages from `start` on; into `trail` goes what each of them did.

        Returns the outcome at once if every module answered inline; otherwise a coroutine that ends
        with it. The caller awaits that and keeps the conversation's order meanwhile.
        """
        stages = self.stages
        began = perf_counter_ns()
        for index in range(start, len(stages)):
            stage = stages[index]
            try:
                verdict: Any = stage.handle(message)
            except Exception as error:  # noqa: BLE001 - whatever a module raises is its own failure
                verdict = error
            except SystemExit as error:
                verdict = exited(error)
            ended = perf_counter_ns()
            elapsed = ended - began
            health = stage.health
            health.took_ns[health.calls & LAST] = elapsed
            health.calls += 1
            if verdict is PASS and elapsed < SOFT_DEADLINE_NS and trail is None:
                began = ended
                continue
            if hasattr(verdict, "__await__"):
                return self._wait(verdict, message, index, ended, trail)
            if trail is not None:
                trail.append(Passage(stage.name, stage.word(verdict), began, ended))
            began = ended
            outcome = self._settle(stage, verdict, message, elapsed)
            if not isinstance(outcome, Message):
                return outcome
            message = outcome
        return message

    async def _wait(
        self, answer: Any, message: Message, index: int, began: int, trail: list[Passage] | None
    ) -> Outcome:
        """The rest of `run` when the stage at `index` takes its time."""
        stage = self.stages[index]
        health = stage.health
        if isinstance(answer, Held):
            await answer
            health.calls -= 1
            return await self._rest_of(message, index, trail)
        verdict = await stage.verdict(answer)
        ended = perf_counter_ns()
        elapsed = ended - began
        if trail is not None:
            trail.append(Passage(stage.name, stage.word(verdict), began, ended))
        health.took_ns[(health.calls - 1) & LAST] = elapsed
        outcome = self._settle(stage, verdict, message, elapsed)
        return await self._rest_of(outcome, index + 1, trail) if isinstance(outcome, Message) else outcome

    async def _rest_of(self, message: Message, start: int, trail: list[Passage] | None) -> Outcome:
        outcome = self.run(message, start, trail)
        return outcome if outcome is None or isinstance(outcome, Message | Refused) else await outcome

    @staticmethod
    def _settle(stage: Stage, verdict: Any, message: Message, elapsed_ns: int) -> Outcome:
        """Count a verdict, and whether it came in time; what follows from it."""
        health = stage.health
        if elapsed_ns >= SOFT_DEADLINE_NS:
            health.dawdled(elapsed_ns)
        if isinstance(verdict, Refused):
            health.verdicts["refused"] += 1
            return verdict
        if isinstance(verdict, Exception):
            return stage.failed(verdict, message)
        if elapsed_ns >= HARD_DEADLINE_NS:  # what it said counts, and so does that nobody else got a turn
            stage.tripped(TimeoutError(), message)
        if verdict is PASS:
            return message
        if verdict is CONSUMED:
            health.verdicts["consumed"] += 1
            return None
        if isinstance(verdict, Message):
            try:
                replacement = checked_message(verdict)
            except ValueError as error:
                return stage.failed(error, message)
            health.verdicts["replaced"] += 1
            return replacement
        return stage.failed(
            TypeError(f"on_message returned {verdict!r}; PASS, CONSUMED or a Message is expected"), message
        )


def exited(error: SystemExit) -> Exception:
    """What a module that called `sys.exit` did: the gateway does not end for that."""
    return RuntimeError(f"it called sys.exit({error.code!r})")
