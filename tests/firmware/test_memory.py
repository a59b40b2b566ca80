"""The rover in 64 kB, and from source in 72 kB, for long."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.interpreter import SIM
from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.frames import Outcome, Type

from .compiler import cross_compile
from .peer import Peer

FIRMWARE = Path(__file__).parents[2] / "firmware"

PROBE = """
import gc
@rover.command("query", returns={"free": Arg(int, "B")})
def memory():
    bytearray(512)  # in one piece: twice the longest frame
    gc.collect()
    return gc.mem_free()

rover.run()
"""
"""A query for the memory that is left, put into the rover's program."""

RESERVE_BYTES = 3072
WARM_UP, ROUNDS = 10, 60
SLACK_BYTES = 1024
"""The collector keeps what looks like in use. The smallest leak, a block a round, is twice as much."""


def program(folder: Path) -> Path:
    """The rover's program with the probe, and its simulated chassis."""
    source = (FIRMWARE / "examples" / "rover" / "main.py").read_text()
    assert source.endswith("\nrover.run()\n")
    (folder / "main.py").write_text(source.removesuffix("\nrover.run()\n") + PROBE)
    (folder / "chassis.py").write_text((SIM / "rover" / "chassis.py").read_text())
    return folder


def compiled(folder: Path) -> Path:
    """The same, compiled, with client and simulated hardware."""
    (folder / "boardtalk").mkdir()
    for path in FIRMWARE.glob("boardtalk/*.py"):
        cross_compile(path, folder / "boardtalk" / f"{path.stem}.mpy")
    for path in [*program(folder).glob("*.py"), *SIM.glob("*.py")]:
        cross_compile(path, folder / f"{path.stem}.mpy")
        if path.parent == folder:
            path.unlink()
    return folder


@pytest.mark.parametrize(
    ("prepare", "heap"), [(program, "72k"), (compiled, "64k")], ids=["source", "compiled"]
)
async def test_the_rover_works_on_and_on_in_little_memory(prepare, heap: str, tmp_path: Path) -> None:
    async with EmulatedBoard(prepare(tmp_path), heap=heap) as board, Peer(board.port) as peer:
        await peer.learn()
        assert (await peer.do("forward", distance=20))["x"] == pytest.approx(20, abs=5)  # a busy machine
        for epoch in range(1, WARM_UP):
            await one_round(peer, epoch)
        before = await free(peer, epoch)
        for epoch in range(WARM_UP, WARM_UP + ROUNDS):
            await one_round(peer, epoch)
        after = await free(peer, epoch)
        print(f"free: {before} bytes, after {ROUNDS} rounds {after}")
        assert after >= RESERVE_BYTES
        assert after >= before - SLACK_BYTES


async def test_the_rover_drives_and_stops_from_source_in_64k() -> None:
    """As it is shipped. There is little left: 72 kB above."""
    async with EmulatedBoard("rover", heap="64k") as board, Peer(board.port) as peer:
        await peer.learn()
        assert (await peer.do("forward", distance=20))["x"] == pytest.approx(20, abs=5)  # a busy machine
        for epoch in range(1, WARM_UP):
            moving = peer.command("forward", distance=300, epoch=epoch - 1)
            await peer.started(moving)
            peer.stop(epoch)
            assert await peer.result(moving) == (Outcome.CANCELLED, b"stopped")
            peer.rearm(epoch)
            await peer.frame(Type.STATE)
        assert (await peer.do("battery", epoch=epoch))["battery"] > 8


async def free(peer: Peer, epoch: int) -> int:
    """What is left at the best of several moments: frames and tasks come and go."""
    moments = []
    for _ in range(10):
        moments.append((await peer.do("memory", epoch=epoch))["free"])
        await asyncio.sleep(0.02)
    return max(moments)


async def one_round(peer: Peer, epoch: int) -> None:
    """Motion, stopped on its way; a live set-point; actions and queries; telemetry meanwhile."""
    moving = peer.command("forward", distance=300, epoch=epoch - 1)
    await peer.started(moving)
    assert await peer.refused("turn", angle=20, epoch=epoch - 1) == "busy: forward is running"
    peer.stop(epoch)
    assert await peer.result(moving) == (Outcome.CANCELLED, b"stopped")
    peer.rearm(epoch)
    assert not frames.StateBody.parse((await peer.frame(Type.STATE)).payload).latched
    peer.setpoint(0, epoch, 300, bytes(8))
    peer.setpoint(0, epoch, 0, bytes(8))
    for _ in range(3):
        horn = peer.command("horn", duration=0.1, epoch=epoch)
        assert (await peer.do("battery", epoch=epoch))["battery"] > 8
        await peer.do("position", epoch=epoch)
        peer.cancel(horn)
        await peer.result(horn)
    assert await peer.refused("forward", distance=900, epoch=epoch) == "distance is out of range"
    peer.seen, peer._read = peer.seen[-10:], min(10, len(peer.seen))
