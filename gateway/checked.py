"""What modules hand to the gateway is looked at first: Python lets them put anything into any field.

A text where a number belongs would otherwise be noticed by the store or the hub, and end them for everybody.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from boardtalk.sdk import MAX_BODY_BYTES, MAX_ID_CHARS, Message, check_address

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T", bound=msgspec.Struct)
MAX_COUNT: Final = 2**31 - 1
"""Largest number in a message, as in envelopes."""
MAX_ROW: Final = 2**63 - 1
"""Largest number of SQLite's."""
MAX_NAME_CHARS: Final = 80
"""Of a series."""
MAX_VALUE_CHARS: Final = 400
"""Of what is measured and no number; the rest is cut off."""

_encoder: Final = msgspec.json.Encoder()


def checked(value: T, kind: type[T]) -> T:
    """A copy of a value, if it is of a kind, fields and all, and can be said in JSON.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, kind):
        raise ValueError(f"{kind.__name__} is expected, not {value!r:.100}")  # noqa: TRY004 - one error for whatever is wrong
    try:
        copy = msgspec.convert(msgspec.structs.asdict(value), kind)
        _encoder.encode(copy)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"no right {kind.__name__}: {error}") from error
    return copy


def checked_row(message: Message) -> Message:
    """A copy of a message, if its row can be one of the store's.

    Raises:
        ValueError: it can't.
    """
    message = checked(message, Message)
    if not 0 <= message.row <= MAX_ROW:
        raise ValueError(f"row: from 0 to {MAX_ROW:,}")
    return message


def checked_message(message: Message) -> Message:
    """A copy of a message, if it can be stored and sent.

    Raises:
        ValueError: it can't.
    """
    message = checked_row(message)
    check_address(message.sender)
    if (size := len(message.body.encode())) > MAX_BODY_BYTES:
        raise ValueError(f"its text has {size:,} bytes; {MAX_BODY_BYTES:,} is the most")
    for name in ("type", "flags", "aid", "expiry"):
        if not 0 <= (getattr(message, name) or 0) <= MAX_COUNT:
            raise ValueError(f"{name}: from 0 to {MAX_COUNT:,}")
    for name in ("id", "refid", "groupid"):
        if len(getattr(message, name)) > MAX_ID_CHARS:
            raise ValueError(f"{name}: {MAX_ID_CHARS} characters are the most")
    return message


def checked_values(values: Mapping[str, float | str]) -> dict[str, float | str]:
    """What was measured, if it can be told, by the names of its series.

    Raises:
        ValueError: it can't.
    """
    told: dict[str, float | str] = {}
    for name, value in values.items():
        if len(str(name)) > MAX_NAME_CHARS:
            raise ValueError(f"names of series have at most {MAX_NAME_CHARS} characters")
        if isinstance(value, str):
            told[str(name)] = value[:MAX_VALUE_CHARS]
        elif math.isfinite(value):
            told[str(name)] = float(value)
        else:
            raise ValueError(f"{name}: {value} is no number that can be told")
    return told
