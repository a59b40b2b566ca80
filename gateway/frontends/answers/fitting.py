"""Lists that go into one answer."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from boardtalk.sdk.channel import MAX_LINE_BYTES

MAX_ANSWER_BYTES: Final = MAX_LINE_BYTES // 2
"""Of a list that is told in part if it is longer."""
T = TypeVar("T")


def fitting(found: list[T], room: int = MAX_ANSWER_BYTES) -> list[T]:
    """The first of them, as many as go into so many bytes; one goes anyhow."""
    for count, each in enumerate(found):
        room -= len(msgspec.json.encode(each))
        if room < 0 and count:
            return found[:count]
    return found
