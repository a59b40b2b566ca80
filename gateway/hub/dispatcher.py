"""Sends messages through the chain: those of one conversation one after the other, all others at once."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from boardtalk.runtime.turns import Turns
from boardtalk.sdk import Code, Kind, Message, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from boardtalk.chain.chain import Outcome, Passage
    from boardtalk.hub.callbacks import Modules
    from boardtalk.hub.statuses import Statuses
    from boardtalk.people.directory import Directory
    from boardtalk.sdk import Status

    Leave: TypeAlias = Callable[[Message, Outcome, Status | None, list[Passage]], None]

MAX_WAITING: Final = 1_000
"""Messages of one conversation that may wait for a slow module."""
MAX_WAITING_COMMANDS: Final = 50
"""… with a robot: more would be too late when they come to it."""


class Dispatcher:
    """Runs the chain of the modules in service.

    Args:
        modules: in service.
        directory: knows which addresses are robots'.
        statuses: tells the sender if too many wait already.
        spawn: runs a task under a name.
        leave: takes each message, what came out for it, its status, and what the stages did.
    """

    def __init__(
        self,
        modules: Modules,
        directory: Directory,
        statuses: Statuses,
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
        leave: Leave,
    ) -> None:
        self._modules = modules
        self._directory = directory
        self._statuses = statuses
        self._spawn = spawn
        self._leave = leave
        self._waiting: dict[tuple[str, str], deque[tuple[Message, int, Status | None]]] = {}
        """By conversations of which a message waits for a module, those behind it."""

    def enter(self, message: Message, start: int, status: Status | None = None) -> None:
        """Let a message into the chain at stage `start`, behind those of its conversation that still wait."""
        key = (message.sender, message.to)
        waiting = self._waiting.get(key) if self._waiting else None
        if waiting is None:
            trail: list[Passage] = []
            outcome = self._modules.chain.run(message, start, trail)
            if outcome is None or isinstance(outcome, Message | Refused):
                self._leave(message, outcome, status, trail)
                return
            self._waiting[key] = deque()
            self._spawn(self._wait(key, message, outcome, status, trail), f"conversation {key[0]}→{key[1]}")
        elif len(waiting) >= self._most_waiting(message.to):
            self._statuses.refuse(
                message,
                Refused(Code.BUSY, f"{len(waiting)} messages to {message.to} wait already; try later"),
            )
        else:
            waiting.append((message, start, status))

    def _most_waiting(self, to: str) -> int:
        return MAX_WAITING_COMMANDS if self._directory.kind(to) is Kind.ROBOT else MAX_WAITING

    async def _wait(
        self,
        key: tuple[str, str],
        message: Message,
        outcome: Coroutine[Any, Any, Outcome],
        status: Status | None,
        trail: list[Passage],
    ) -> None:
        """Finish one message that waits for a module, then those that came behind it."""
        try:
            self._leave(message, await outcome, status, trail)
            waiting, turns = self._waiting[key], Turns()
            while waiting:
                await turns.over()
                message, start, status = waiting.popleft()
                trail = []
                result = self._modules.chain.run(message, start, trail)
                if not (result is None or isinstance(result, Message | Refused)):
                    result = await result
                self._leave(message, result, status, trail)
        finally:
            del self._waiting[key]
