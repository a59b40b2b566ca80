"""The chain: a message passes the modules in order, and each says what becomes of it.

Pure ordering: no I/O, no storage, no knowledge of who sends or receives. A module that raises or
dawdles is noticed here and hurts nobody else.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import structlog

from boardtalk.sdk import CONSUMED, PASS, Message, Verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

SOFT_DEADLINE_NS: Final = 250_000_000
"""A callback that takes longer is counted and reported."""
HARD_DEADLINE_S: Final = 1.0
"""An asynchronous callback that takes longer is cancelled; an inline one can't be."""

OnFail = Literal["skip", "drop"]
"""What becomes of a message whose module failed: `skip` the module, or `drop` the message."""

Outcome: TypeAlias = Message | None
"""The message that came out at the end of the chain, or None: a module consumed it."""

log = structlog.get_logger()


@dataclass(slots=True)
class Stage:
    """One module instance in the chain, with its counts."""

    name: str
    handle: Callable[[Message], Verdict | Awaitable[Verdict]]
    on_fail: OnFail = "skip"
    calls: int = 0
    busy_ns: int = 0
    """Time spent inside the callback; of asynchronous ones, until they first wait."""
    slow: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    """Everything but PASS: consumed, replaced, failed."""
    last_error: str = ""

    def failed(self, error: Exception, message: Message) -> Verdict:
        """Count and report a failure; the verdict that stands in for the missing one."""
        self.verdicts["failed"] += 1
        self.last_error = f"{type(error).__name__}: {error}"
        name = message.id or message.row
        log.error("module failed", module=self.name, message=name, policy=self.on_fail, exc_info=error)
        return PASS if self.on_fail == "skip" else CONSUMED

    def dawdled(self, elapsed_ns: int) -> None:
        """Count and report a callback that took longer than the soft deadline."""
        self.slow += 1
        log.warning("module slow", module=self.name, ms=elapsed_ns // 1_000_000)

    @property
    def passed(self) -> int:
        """Messages that this module let go on unchanged."""
        return self.calls - sum(self.verdicts.values())


class Chain:
    """Modules in the order of the configuration file."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = tuple(stages)

    def run(self, message: Message, start: int = 0) -> Outcome | Coroutine[Any, Any, Outcome]:
        """Send a message through the stages from `start` on.

        Returns the outcome at once if every module answered inline; otherwise a coroutine that ends
        with it. The caller awaits that and keeps the conversation's order meanwhile.
        """
        stages = self.stages
        began = perf_counter_ns()
        for index in range(start, len(stages)):
            stage = stages[index]
            stage.calls += 1
            try:
                verdict = stage.handle(message)
            except Exception as error:  # noqa: BLE001 - whatever a module raises is its own failure
                verdict = stage.failed(error, message)
            ended = perf_counter_ns()
            elapsed = ended - began
            stage.busy_ns += elapsed
            began = ended
            if elapsed > SOFT_DEADLINE_NS:
                stage.dawdled(elapsed)
            if verdict is PASS:
                continue
            if hasattr(verdict, "__await__"):
                return self._wait(verdict, message, index)
            settled = self._settle(stage, verdict, message)
            if settled is None:
                return None
            message = settled
        return message

    async def _wait(self, verdict: Any, message: Message, index: int) -> Outcome:
        """The rest of `run` when the stage at `index` takes its time."""
        stage = self.stages[index]
        began = perf_counter_ns()
        try:
            async with asyncio.timeout(HARD_DEADLINE_S):
                verdict = await verdict
        except Exception as error:  # noqa: BLE001 - as in `run`; a timeout is a failure too
            verdict = stage.failed(error, message)
        elapsed = perf_counter_ns() - began
        if elapsed > SOFT_DEADLINE_NS:
            stage.dawdled(elapsed)
        rest = self._settle(stage, verdict, message)
        if rest is None:
            return None
        outcome = self.run(rest, index + 1)
        return outcome if outcome is None or isinstance(outcome, Message) else await outcome

    @staticmethod
    def _settle(stage: Stage, verdict: Any, message: Message) -> Message | None:
        """Count a verdict; the message that goes on, if any."""
        if verdict is PASS:
            return message
        if verdict is CONSUMED:
            stage.verdicts["consumed"] += 1
            return None
        if isinstance(verdict, Message):
            stage.verdicts["replaced"] += 1
            return verdict
        nonsense = TypeError(f"on_message returned {verdict!r}; PASS, CONSUMED or a Message is expected")
        return message if stage.failed(nonsense, message) is PASS else None
