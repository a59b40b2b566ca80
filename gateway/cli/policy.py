"""`boardtalk policy`: who may what, explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

from boardtalk.cli.common import DONE, REFUSED, await_, console, me, print_json
from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import AsJson, StateFolder

if TYPE_CHECKING:
    from pathlib import Path

policy = App(name="policy", help="Who may what with which robot.")


@policy.command
def check(
    user: str, robot: str, command: str = "see", /, *, state: StateFolder = None, json: AsJson = False
) -> int:
    """Tell whether a user may do something, and which rule says so; the exit code is 1 if he may not.

    Example: boardtalk policy check anna rover "forward 20"

    Args:
        user: who.
        robot: with which robot.
        command: what he would type, whose arguments are not looked at; or a right: drive, rearm, flash, …
    """
    judged = await_(_judge(state or running_folder(), control.Judge(user, robot, command)))
    if json:
        print_json(judged)
    else:
        text = f"{user} may: {judged.reason}" if judged.granted else judged.reason
        console.print(text, markup=False, soft_wrap=True)
    return DONE if judged.granted else REFUSED


async def _judge(folder: Path, request: control.Judge) -> control.Judged:
    async with GatewayClient.connect(folder, me()) as client:
        return await client.ask(request, control.Judged)
