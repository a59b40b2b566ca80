"""What comes for people while they get what waited for them: it has its turn behind that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from boardtalk.events import Delivery

MAX_SIZE: Final = 1 << 20
"""Of what is kept for one recipient, in characters."""
MAX_ALL: Final = 1 << 21
"""… for all of them: a broker may be everybody's."""
EACH: Final = 1 << 10
"""So many are counted for a delivery beside its text."""


class Behind:
    """In order of arrival, in memory: of what the store holds too, the status is only here."""

    def __init__(self) -> None:
        self._deliveries: dict[str, list[Delivery]] = {}
        """By recipients."""
        self._sizes: dict[str, int] = {}

    def add(self, delivery: Delivery) -> bool:
        """Put a delivery behind the others of its recipient; whether there was room."""
        user = delivery.recipient
        more, before = len(delivery.message.body) + EACH, self._sizes.get(user, 0)
        if before + more > MAX_SIZE or sum(self._sizes.values()) + more > MAX_ALL:
            return False
        self._sizes[user] = before + more
        self._deliveries.setdefault(user, []).append(delivery)
        return True

    def take(self, user: str) -> list[Delivery]:
        """Those of a recipient; he has none any more."""
        self._sizes.pop(user, None)
        return self._deliveries.pop(user, [])

    @property
    def users(self) -> set[str]:
        """Who has some."""
        return set(self._deliveries)

    @property
    def rows(self) -> set[tuple[str, int]]:
        """Recipients and rows of all."""
        return {(user, each.message.row) for user, found in self._deliveries.items() for each in found}
