"""The whole gateway with a board of 16 KB: from chat to real machine code, and back."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from boardtalk.hil.qemu import microbit, tiny
from boardtalk.hil.qemu.microbit import Microbit

from .rig import Gateway, Result, free_port, until

CONFIGURATION = """\
broker {{
  port = {port}
}}
module iot_bridge {{
}}
board tiny {{
  port = {path}
}}
"""


@pytest.mark.skipif(bool(microbit.missing_packages()), reason="QEMU or its firmware is not installed")
async def test_a_chat_reaches_a_board_of_16_kilobytes(tmp_path: Path) -> None:
    async with Microbit(tiny.files()) as board:
        port = free_port()
        conf = tmp_path / "gateway.conf"
        conf.write_text(CONFIGURATION.format(port=port, path=board.port))

        def talk() -> None:
            with Gateway(tmp_path / "state", "run", "--conf", str(conf), port=port) as gateway:
                answer = until(lambda: _if_done(gateway.chat("tiny", "add 5 7")), "the micro:bit reckons")
                assert re.search(r"\b12\b", answer.out)

        await asyncio.to_thread(talk)


def _if_done(answer: Result) -> Result | None:
    return None if answer.code else answer
