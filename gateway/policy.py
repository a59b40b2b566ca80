"""Who may do what. The only place where rights are decided; deny by default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from boardtalk.sdk import Action, Role

if TYPE_CHECKING:
    from collections.abc import Mapping

GRANTS: Final[Mapping[Role, frozenset[Action]]] = {
    Role.VIEWER: frozenset({"query", "stop"}),
    Role.OPERATOR: frozenset({"query", "stop", "action", "motion", "config", "rearm", "inspect", "flash"}),
    Role.ADMIN: frozenset(
        {"query", "stop", "action", "motion", "config", "rearm", "inspect", "flash", "admin"}
    ),
}
"""Everybody who is logged in may stop."""


def allowed(role: Role | None, action: Action) -> bool:
    """Whether a role carries a right. None (nobody we know) carries none."""
    return role is not None and action in GRANTS[role]


class Topics(NamedTuple):
    """MQTT topics that a login may publish to and subscribe to, as MQTT topic filters."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


GATEWAY_TOPICS: Final = Topics(
    publish=(
        *(f"chat/+/{lane}" for lane in ("in", "status", "calls", "presence/+")),
        "presence/+",
        "boards/+/status",
    ),
    subscribe=("chat/+/out", "chat/+/read", "chat/+/stop", "chat/+/call"),
)
"""Only the gateway puts anything into an inbox: nothing reaches anybody but through the chain."""

LINK_TOPICS: Final = Topics(
    publish=("boards/+/rx", "boards/+/state"), subscribe=("boards/+/tx", "boards/+/status", "chat/+/stop")
)
"""Only the process that talks to boards commands them. It hears stops itself: the gateway may hang."""


def user_topics(address: str) -> Topics:
    """What a user may say and hear at the broker. `address` must have passed `check_address`."""
    return Topics(
        publish=tuple(f"chat/{address}/{lane}" for lane in ("out", "read", "stop", "call")),
        subscribe=(f"chat/{address}/#", "presence/+", "boards/+/state"),
    )


def board_topics(address: str) -> Topics:
    """What a board may say and hear at the broker: only in its own name."""
    return Topics(
        publish=(f"boards/{address}/tx", f"boards/{address}/status"),
        subscribe=(f"boards/{address}/rx",),
    )
