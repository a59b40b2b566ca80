"""What became of a message, as lines for a person."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from boardtalk.store.records import Explanation, Step

MAX_BODY_CHARS: Final = 200


def lines(found: Explanation) -> Iterator[str]:
    """One causal line: who said what and when, then each step with the milliseconds since."""
    message = found.message
    began = datetime.fromisoformat(message.at).timestamp()
    name = message.id or f"~{message.row}"
    yield f"{name}  {message.at}  {message.sender} → {message.to}: {_short(message.body)}"
    for step in found.steps:
        yield f"{_since(began, step.at)}  {_words(step)}"
    for answer in found.answers:
        at = datetime.fromisoformat(answer.at).timestamp()
        yield f"{_since(began, at)}  {answer.sender} answered: {_short(answer.body)}"


def _since(began: float, at: float) -> str:
    return f"{max(at - began, 0.0) * 1000:+11.1f} ms"


def _words(step: Step) -> str:
    return f"{step.who}: {step.what}{f': {step.detail}' if step.detail else ''}"


def _short(text: str) -> str:
    line = " ⏎ ".join(text.splitlines())
    return line if len(line) <= MAX_BODY_CHARS else f"{line[:MAX_BODY_CHARS]}…"
