"""What became of each message, step by step: noted on its way, told to who may know."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from boardtalk import witness
from boardtalk.people.quota import Quota
from boardtalk.sdk import SYSTEM, Code, Kind, Message, Refused
from boardtalk.store.records import Explanation, Step
from boardtalk.witness import Passed, Witness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boardtalk.chain.chain import Passage
    from boardtalk.people.directory import Directory
    from boardtalk.store.store import Store

MAX_WHAT_CHARS: Final = 100
MAX_DETAIL_CHARS: Final = 2_000
"""Of what a module tells of one step of a message's way."""


class Traces:
    """Of all messages that are in the store."""

    def __init__(self, store: Store, directory: Directory, witness: Witness) -> None:
        self._store = store
        self._directory = directory
        self._witness = witness
        self._questions = Quota("questions what became of messages")

    def passed(self, message: Message, trail: Sequence[Passage]) -> None:
        """Note its way through the chain."""
        if message.row:
            self._store.steps(message.row, _steps(message, trail))
        if self._witness:
            name = message.id or f"~{message.row}"
            self._witness.tell(Passed, message.sender, message.to, message.row, _passages(trail), name)

    def note(self, instance: str, message: Message, what: str, detail: str) -> None:
        """Note a step that a module tells of."""
        if message.row:
            self._store.steps(
                message.row, [Step(time.time(), instance, what[:MAX_WHAT_CHARS], detail[:MAX_DETAIL_CHARS])]
            )

    async def why(self, user: str, message_id: str) -> Explanation:
        """What became of a message, step by step, for somebody who may know.

        Args:
            user: who asks.
            message_id: its id, or ``~ROW``; "" for the last one that he sent.

        Raises:
            Refused: there is no such message of his, nor may he look at others'; or he asks too often.
        """
        self._questions.take(user)
        everybody = self._directory.allowed(user, "inspect")
        found = await self._store.explain(message_id, user, everybody=everybody)
        if found is None or not self._may_know(user, found):
            what = f"no message {message_id[:40]!r}" if message_id else "no message"
            raise Refused(Code.FAILED, f"you have sent or got {what}; `boardtalk history --ids` shows ids")
        return found

    def _may_know(self, user: str, found: Explanation) -> bool:
        """Whether a user may know a message's way, by the robot that it was for, or from."""
        ends = found.message.sender, found.message.to
        others = [each for each in ends if each != user]
        if not all(self._directory.sees(user, each) for each in others):
            return False
        robots = [each for each in others if self._directory.kind(each) is Kind.ROBOT]
        return user in ends or all(self._directory.allowed(user, "inspect", each) for each in robots)


def _steps(message: Message, trail: Sequence[Passage]) -> list[Step]:
    """How a message came in, and what the chain did with it."""
    clock = time.time() - time.perf_counter_ns() / 1e9
    steps = [
        Step(clock + each.ended_ns / 1e9, each.stage, each.verdict, _ms(each.ended_ns - each.began_ns))
        for each in trail
    ]
    if message.via:
        came = time.time() - (time.monotonic() - message.accepted)
        stored = clock + trail[0].began_ns / 1e9 if trail else time.time()
        steps[:0] = [Step(came, message.via, "came in"), Step(stored, SYSTEM, "on disk, enters the chain")]
    return steps


def _passages(trail: Sequence[Passage]) -> tuple[witness.Passage, ...]:
    """The same for who looks on."""
    return tuple(
        witness.Passage(each.stage, each.verdict, (each.ended_ns - each.began_ns) / 1e6) for each in trail
    )


def _ms(ns: int) -> str:
    return f"in {ns / 1e6:.3g} ms"
