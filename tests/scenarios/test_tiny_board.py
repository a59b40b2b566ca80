"""The whole gateway with a board of 16 KB: from chat to real machine code, and back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from boardtalk.hil.qemu import microbit, tiny
from boardtalk.hil.qemu.microbit import Microbit

from .rig import Gateway, free_port, until

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
                until(lambda: gateway.board("tiny")["state"] == "ready", "the micro:bit is there")
                assert "12" in gateway.chat("tiny", "add 5 7").text
                assert gateway.cli("stop").code == 0
                assert "stopped" in gateway.chat("tiny", "drive 100").text

        await asyncio.to_thread(talk)
