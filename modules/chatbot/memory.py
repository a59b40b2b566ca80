"""What was said before, as far as it fits into what a language model takes in."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final, NamedTuple

MAX_CONVERSATIONS: Final = 200
"""The one that rested longest is forgotten for a new one."""
BYTES_PER_TOKEN: Final = 3
"""About: 4 of English text, 3 (one character) of Chinese."""
TOKENS_AROUND: Final = 4
"""What a message costs besides its text."""


def tokens(text: str) -> int:
    """About how many tokens a message takes; rather more than less."""
    return len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN + TOKENS_AROUND


class Turn(NamedTuple):
    """A question and its answer."""

    question: str
    answer: str

    @property
    def size(self) -> int:
        """In tokens, about."""
        return tokens(self.question) + tokens(self.answer)


class Memory:
    """Conversations, by user.

    Args:
        budget: tokens that a conversation may have; its oldest turns are dropped.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._turns: OrderedDict[str, deque[Turn]] = OrderedDict()

    def recall(self, user: str, budget: int) -> list[Turn]:
        """The newest turns that fit into so many tokens, oldest first."""
        found: list[Turn] = []
        for turn in reversed(self._turns.get(user, ())):
            budget -= turn.size
            if budget < 0:
                break
            found.append(turn)
        return found[::-1]

    def keep(self, user: str, turn: Turn) -> None:
        """Add a turn to a user's conversation."""
        turns = self._turns.setdefault(user, deque())
        self._turns.move_to_end(user)
        turns.append(turn)
        size = sum(each.size for each in turns)
        while size > self._budget:
            size -= turns.popleft().size
        if len(self._turns) > MAX_CONVERSATIONS:
            self._turns.popitem(last=False)

    def forget(self, user: str) -> None:
        """Drop a user's conversation."""
        self._turns.pop(user, None)
