"""What answers questions: an engine. There is one for each value of the key `engine`."""

from __future__ import annotations

from typing import Protocol

import msgspec

from boardtalk.sdk import BoardtalkError, Contact


class NoAnswer(BoardtalkError):
    """An engine has no answer. The text says what failed and what to do; it is shown to who asked."""


class Question(msgspec.Struct, frozen=True):
    """What somebody asks."""

    user: str
    text: str
    robots: tuple[Contact, ...]
    """Those that are here, with the commands that this user may give."""


class Engine(Protocol):
    """Answers questions, of one user one at a time."""

    async def answer(self, question: Question) -> str:
        """The answer; a line ``@ROBOT: COMMAND`` in it proposes a command.

        Raises:
            NoAnswer: there is none.
        """
        ...
