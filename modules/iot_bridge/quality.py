"""How good the lines to the boards are, measured while somebody watches: the series `link.…`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.sdk import Refused, ServiceError

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.roster import Roster
    from boardtalk.modules.iot_bridge.service import api
    from boardtalk.sdk import Context

EVERY_S: Final = 1.0


class Quality:
    """Asks the link process, which counts frames, and tells what has changed since."""

    def __init__(self, context: Context, roster: Roster) -> None:
        self._context = context
        self._roster = roster
        self._counted: dict[str, api.Frames] = {}
        """By board, when it was looked at last."""

    async def look(self) -> None:
        """Measure all robots that somebody watches."""
        if not any(self._is_watched(name) for name in self._roster.robots):
            self._counted.clear()
            return
        with suppress(LinkError, ServiceError):  # without a link process there is no quality
            for board in await self._roster.link.list_boards():
                self._tell(board)

    def _is_watched(self, robot: str) -> bool:
        try:
            return self._context.publish(robot, {})
        except Refused:  # it has no address
            return False

    def _tell(self, board: api.BoardChanged) -> None:
        now = board.frames
        before = self._counted.pop(board.name, None)
        if not board.name or now is None:
            return
        self._counted[board.name] = now
        values: dict[str, float | str] = {}
        if board.clock is not None:
            values["link.rtt"] = round(board.clock.round_trip_ms, 2)
        if before is not None and before.sent <= now.sent:  # it is still the same session
            bad = now.bad - before.bad
            frames = now.sent + now.received + now.missing - before.sent - before.received - before.missing
            values["link.resent"] = now.resent - before.resent
            values["link.loss"] = round(min(100.0, 100 * bad / max(1, frames)), 2)
        with suppress(Refused):
            self._context.publish(board.name, values)
