"""From an ESP in its loader to one whose program says HELLO: one command, real esptool and real mpremote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from boardtalk.hil.loaders.network import Rfc2217Wire
from tests.flash.bench import C3, Bench
from tests.flash.provisioning import boardtalk, program, right, started
from tests.flash.whole_esp import WholeEsp


@pytest.fixture
def robot(tmp_path: Path) -> Path:
    return program(tmp_path / "robot")


async def test_an_esp_gets_firmware_client_and_program_by_one_command(bench: Bench, robot: Path) -> None:
    """It has no control lines: somebody presses its reset button when the firmware is on it."""
    image = bench.image(60_000)
    async with WholeEsp() as esp:
        words = ("--board", C3, "--image", image, "--client", "--robot", robot, "--state", bench.state)
        process = await started("flash", "write", "--port", esp.port, *words, "--wait", "20", "--json")
        assert process.stdout is not None
        said = []
        async for line in process.stdout:
            said.append(json.loads(line))
            if said[-1].get("step") == "wait":
                await esp.power_on(loader=False)
        assert await process.wait() == 0, said
        assert bytes(esp.flash)[: image.stat().st_size] == image.read_bytes()
        assert (said[-1]["board"], said[-1]["firmware"]) == (C3, "MicroPython v1.29.0")
        assert said[-1]["program"].startswith("lamp ")
        assert right(esp.micropython, robot)


@pytest.mark.soak
async def test_an_esp_behind_a_serial_server_is_reset_by_its_control_lines(bench: Bench, robot: Path) -> None:
    async with WholeEsp(Rfc2217Wire()) as esp:
        words = ("--board", "esp32-c3", "--image", bench.image(60_000), "--client", "--robot", robot)
        said = await boardtalk("flash", "write", "--port", esp.port, *words, "--state", bench.state)
        assert "lamp boardtalk" in said
        assert esp.events.named("boot")[-2:] == ["loader", "app"]
        assert right(esp.micropython, robot)
