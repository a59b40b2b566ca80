"""What the bridge must still know of commands when the next gateway asks boards what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boardtalk.modules.iot_bridge.robots import Running
from boardtalk.modules.iot_bridge.service import api

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from boardtalk.modules.iot_bridge.service.api import BoardChanged
    from boardtalk.sdk import Message


class Journal:
    """Notes about boards and about commands under way.

    No command waits for the disk: that it was accepted is known from the ledger, and to which start of its
    board it may have been sent from a note about the board, with the row above which no command was taken
    before that start.

    Args:
        notes: of the module instance.
    """

    def __init__(self, notes: MutableMapping[str, Any]) -> None:
        self._notes = notes
        self._newest = 0
        """Highest row of a command that was taken; 0: none since the gateway was started, but before."""
        self._unnoted: dict[str, int] = {}
        """Boards that started while the gateway was away, and their boot nonces."""

    def met(self, board: BoardChanged) -> None:
        """Note since when a board runs."""
        key = f"boot:{board.name}"
        if not board.boot or self._notes.get(key, [0])[0] == board.boot:
            return
        if self._newest:
            self._notes[key] = [board.boot, self._newest]
        else:
            self._unnoted[board.name] = board.boot

    def taken(self, message: Message, index: int) -> None:
        """Note which command of its board a message became."""
        if not message.row:
            return
        for board, boot in self._unnoted.items():
            self._notes[f"boot:{board}"] = [boot, message.row - 1]
        self._unnoted.clear()
        self._newest = max(self._newest, message.row)
        self._notes[f"command:{message.row}"] = index

    def ended(self, message: Message) -> None:
        """Nobody will ask about it any more."""
        self._notes.pop(f"command:{message.row}", None)

    def recall(self, message: Message, command_id: int) -> Running | None:
        """A command that an earlier gateway took; None: none for a board of ours, as far as is known."""
        index = self._notes.get(f"command:{message.row}")
        boot, before = self._notes.get(f"boot:{message.to}", (0, 0))
        if not boot:
            return None
        asking = api.Command(board=message.to, id=command_id, index=index or 0, ttl_ms=0)
        return Running(message, asking, index, boot=boot if message.row > before else 0, sent=True)
