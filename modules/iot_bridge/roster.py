"""Whom the bridge speaks for: all robots, and the link process through which they are reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boardtalk.modules.iot_bridge.robots import Robot, Running
    from boardtalk.modules.iot_bridge.service.client import LinkClient

DEFAULT_LEASE_MS: Final = 500


class Roster:
    """Robots by their addresses.

    Args:
        leases: in ms, of those that have one of their own.
    """

    link: LinkClient
    """The link process of now."""

    def __init__(self, leases: Mapping[str, int]) -> None:
        self.robots: dict[str, Robot] = {}
        self._leases = leases

    def lease_ms(self, robot: str, default: int = DEFAULT_LEASE_MS) -> int:
        """For how long a robot moves on when nobody renews."""
        return self._leases.get(robot, default)

    def followers(self, robot: str) -> set[str]:
        """Who hears what a robot says by itself."""
        return self.robots[robot].followers if robot in self.robots else set()

    def running(self, robot: str, command_id: int) -> Running | None:
        """A command under way; None: there is none of that id."""
        known = self.robots.get(robot)
        return known.running.get(command_id) if known else None

    def under_way(self) -> int:
        """How many commands are, of all robots."""
        return sum(len(robot.running) for robot in self.robots.values())
