"""What the next gateway knows of commands, whatever happened before it was killed."""

from __future__ import annotations

from typing import Any

from boardtalk.modules.iot_bridge.journal import Journal
from boardtalk.modules.iot_bridge.service import api
from boardtalk.sdk import Message

FIRST, SECOND = 11, 22
"""Boot nonces."""


def started(boot: int) -> api.BoardChanged:
    return api.BoardChanged(
        name="rover",
        uid="",
        port="",
        firmware="",
        state=api.BoardState.READY,
        epoch=0,
        dictionary="",
        boot=boot,
    )


def message(row: int, to: str = "rover") -> Message:
    return Message(sender="alice", to=to, body="blink", id=f"m{row}", row=row)


def recalled(notes: dict[str, Any], row: int) -> tuple[int, int | None]:
    """Boot nonce and index, as the next gateway knows them; 0: it can't be asked."""
    running = Journal(notes).recall(message(row), row)
    assert running
    return running.boot, running.index


def test_a_command_is_known_with_the_start_of_its_board_until_it_has_ended() -> None:
    notes: dict[str, Any] = {}
    journal = Journal(notes)
    journal.met(started(FIRST))
    journal.taken(message(5), 2)
    assert recalled(notes, 5) == (FIRST, 2)
    assert recalled(notes, 6) == (FIRST, None), "sent, perhaps, but killed before that was noted"
    journal.ended(message(5))
    assert recalled(notes, 5) == (FIRST, None)
    assert set(notes) == {"boot:rover"}, "nothing is left behind"


def test_a_command_is_not_taken_for_one_of_a_later_start() -> None:
    notes: dict[str, Any] = {}
    journal = Journal(notes)
    journal.met(started(FIRST))
    journal.taken(message(5), 2)
    journal.met(started(SECOND))
    journal.taken(message(7), 2)
    assert recalled(notes, 5) == (0, 2)
    assert recalled(notes, 7) == (SECOND, 2)


def test_nor_if_the_board_started_while_the_gateway_was_away() -> None:
    notes: dict[str, Any] = {}
    journal = Journal(notes)
    journal.met(started(FIRST))
    journal.taken(message(5), 2)
    journal = Journal(notes)
    journal.met(started(SECOND))
    assert recalled(notes, 5) == (FIRST, 2)
    journal.taken(message(9), 0)
    assert recalled(notes, 5) == (0, 2)
    assert recalled(notes, 9) == (SECOND, 0)


def test_what_was_said_to_others_is_not_ours() -> None:
    notes: dict[str, Any] = {}
    journal = Journal(notes)
    journal.met(started(FIRST))
    assert journal.recall(message(5, to="clock"), 5) is None
