"""Who may do what. The only place where rights are decided; deny by default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from boardtalk.sdk import Action, Role

if TYPE_CHECKING:
    from collections.abc import Mapping

GRANTS: Final[Mapping[Role, frozenset[Action]]] = {
    Role.VIEWER: frozenset({"query", "stop"}),
    Role.OPERATOR: frozenset({"query", "stop", "action", "motion", "config", "rearm"}),
    Role.ADMIN: frozenset({"query", "stop", "action", "motion", "config", "rearm", "admin"}),
}
"""Everybody who is logged in may stop."""


def allowed(role: Role | None, action: Action) -> bool:
    """Whether a role carries a right. None (nobody we know) carries none."""
    return role is not None and action in GRANTS[role]
