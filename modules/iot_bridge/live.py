"""Calls to robots: live values for their controls, as long as both sides are there."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boardtalk.modules.iot_bridge.language.arguments import read_arguments
from boardtalk.modules.iot_bridge.payloads import set_point_bytes
from boardtalk.modules.iot_bridge.service.api import BoardState
from boardtalk.sdk import Code, Refused, ServiceError
from boardtalk.sdk.hints import nearest

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.dictionary import Control
    from boardtalk.modules.iot_bridge.robots import Robot
    from boardtalk.modules.iot_bridge.roster import Roster
    from boardtalk.sdk import Call, Context


@dataclass(frozen=True, slots=True)
class Live:
    """What a call controls."""

    robot: str
    index: int
    """Of the control, on the wire."""
    control: Control

    def read(self, text: str) -> dict[str, Any]:
        """The values of a set-point.

        Raises:
            BadArgument: one is missing, too much, or does not fit.
        """
        return read_arguments(self.control, text)


class Calls:
    """All that are going on."""

    def __init__(self, context: Context, roster: Roster) -> None:
        self._context = context
        self._roster = roster
        self._live: dict[str, Live] = {}
        """What they control, by their ids."""

    def take(self, call: Call, robot: Robot) -> None:
        """Take a call to a robot, from somebody who may drive it.

        Raises:
            Refused: he may not, somebody else has it, or it can't be controlled now.
        """
        self._context.require(call.sender, "drive", call.to)
        robot.require_hold(call.sender, self._context.now())
        self._live[call.id] = held = take(robot, call.control)
        robot.steered_by, robot.taken_until = call.sender, 0.0
        self._let_go(held)

    def set_point(self, call: Call, text: str) -> None:
        """Pass live values on.

        Raises:
            BadArgument: they do not fit.
            Refused: they are more than the caller may ask for.
        """
        held = self._live[call.id]
        values = held.read(text)
        self._context.require(call.sender, "drive", call.to, held.control.name, values)
        lease_ms = min(held.control.lease, self._roster.lease_ms(call.to, held.control.lease))
        self._roster.link.set_point(held.robot, held.index, lease_ms, held.control.args_format.pack(values))

    def over(self, call: Call) -> None:
        """When a call is over, the outputs go off at once, not only when the lease has run out."""
        held = self._live.pop(call.id, None)
        if held is not None:
            self._roster.robots[held.robot].steered_by = ""
            self._let_go(held)

    def end(self, robot: str, reason: str) -> None:
        """Hang up all calls to a robot."""
        for call_id in [call_id for call_id, held in self._live.items() if held.robot == robot]:
            self._context.end_call(call_id, reason)

    def check(self, robot: Robot) -> None:
        """End the calls to a robot that can't be controlled any more."""
        if robot.board.state is not BoardState.READY:
            self.end(robot.name, f"{robot.name} is {robot.board.state}")

    def lapsed(self, robot: str) -> None:
        """End the calls to a robot that has stopped because no set-point came in time."""
        self.end(robot, f"no set-point came in time, and {robot} has stopped")

    def _let_go(self, held: Live) -> None:
        """Outputs off, until a set-point comes."""
        with suppress(ServiceError):  # without a link process the lease runs out
            self._roster.link.set_point(held.robot, held.index, 0, b"")


def take(robot: Robot, name: str) -> Live:
    """What a call to a robot controls.

    Raises:
        Refused: it can't be controlled now, or has no such control.
    """
    robot.require_ready()
    if robot.board.state is BoardState.LATCHED:
        raise Refused(Code.FAILED, f"{robot.name} is stopped: `{robot.name}: rearm` lets it move again")
    controls = robot.require_dictionary().controls
    names = [control.name for control in controls]
    if not names:
        raise Refused(Code.FAILED, f"{robot.name} has no live control")
    if not name and len(names) > 1:
        raise Refused(Code.FAILED, f"{robot.name} has several live controls: {', '.join(names)}")
    chosen = name or names[0]
    if chosen not in names:
        near = nearest(chosen, names)
        hint = f"did you mean {near}?" if near else f"there is: {', '.join(names)}"
        raise Refused(Code.FAILED, f"{robot.name} has no live control {chosen[:40]!r}; {hint}")
    index = names.index(chosen)
    _require_fast_line(robot, controls[index])
    return Live(robot.name, index, controls[index])


def _require_fast_line(robot: Robot, control: Control) -> None:
    """A stop may have to wait for the set-point that is under way: no longer than for any other frame.

    Raises:
        Refused: it would.
    """
    size, most = set_point_bytes(control.args_format.size), robot.board.line_bytes
    if most and size > most:
        raise Refused(
            Code.FAILED,
            f"the line of {robot.name} is too slow for live {control.name}: set-points of "
            f"{size} bytes would hold up a stop, and {most} are the most; use commands, or a higher `baud`",
        )
