"""Who stops a group stops the robots in it, and only these."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from boardtalk.hil.board import EmulatedBoard

from .people import Person
from .rig import Gateway, free_port, local_user, until

CONFIGURATION = """\
broker {{
  port = {port}
}}
module iot_bridge {{
}}
group crew {{
  members = alice, left, right
}}
group friends {{
  members = {me}
}}
"""
BOARD = "board {name} {{\n  port = {path}\n}}\n"
ROBOTS = ("left", "right", "other")


async def test_c07_a_stop_to_a_group_stops_its_robots_and_a_word_to_people_is_a_word(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        text = CONFIGURATION.format(port=(port := free_port()), me=local_user())
        for name in ROBOTS:
            board = await stack.enter_async_context(EmulatedBoard())
            text += BOARD.format(name=name, path=board.port)
        conf = tmp_path / "gateway.conf"
        conf.write_text(text)

        def talk() -> None:
            with Gateway(tmp_path / "state", "run", "--conf", str(conf), port=port) as gateway:
                until(lambda: all(_moves(gateway, name) for name in ROBOTS), "all three drive")
                gateway.chat("friends", "stop")
                assert all(_moves(gateway, name) for name in ROBOTS)
                stopped = gateway.chat("crew", "Stop!")
                assert {name: _moves(gateway, name) for name in ROBOTS} == {
                    "left": False, "right": False, "other": True
                }  # fmt: skip
                assert stopped.code == 0
                assert "left stopped, confirmed" in stopped.text
                assert "right stopped, confirmed" in stopped.text
                assert "other" not in stopped.text
                with Person(gateway, "alice", gateway.token("alice")) as alice:
                    alice.say("crew: rearm")
                    alice.hears("crew has nobody else but robots in it")

        await asyncio.to_thread(talk)


def _moves(gateway: Gateway, robot: str) -> bool:
    return gateway.chat(robot, "forward 1").code == 0
