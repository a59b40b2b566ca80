"""Calls to robots: live values for their controls, as long as both sides are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from boardtalk.modules.iot_bridge.language.arguments import read_arguments
from boardtalk.modules.iot_bridge.service.api import BoardState
from boardtalk.sdk import Code, Refused
from boardtalk.sdk.hints import nearest

if TYPE_CHECKING:
    from boardtalk.modules.iot_bridge.dictionary import Control
    from boardtalk.modules.iot_bridge.robots import Robot


@dataclass(frozen=True, slots=True)
class Live:
    """What a call controls."""

    robot: str
    index: int
    """Of the control, on the wire."""
    control: Control

    def pack(self, text: str) -> bytes:
        """A set-point as the board reads it.

        Raises:
            BadArgument: a value is missing, too much, or does not fit.
        """
        return self.control.args_format.pack(read_arguments(self.control, text))


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
    return Live(robot.name, index, controls[index])
