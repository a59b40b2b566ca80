"""A stop needs no gateway; its audit hears of it later, once."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from boardtalk import stop
from boardtalk.hil.board import EmulatedBoard
from boardtalk.hub import late_stops
from boardtalk.sdk import carried
from boardtalk.sdk.tasks import cancel_and_wait
from boardtalk.store.records import AuditLine
from boardtalk.store.store import Store
from tests.campaigns.rig import ROBOTS, Rig

STOP = carried.Carried(at=1_800_000_000.25, by="eve", boards=("rover",), result="rover confirmed it in 3 ms")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_stops, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(late_stops, "SETTLED_S", 0.5)


async def audited(state: Path, store: Store) -> list[AuditLine]:
    """The audit, when all that waits has been taken."""
    keeping = asyncio.create_task(late_stops.keep_up(state, store))
    try:
        async with asyncio.timeout(10):
            while list(carried.read(state)):
                await asyncio.sleep(0.02)
    finally:
        await cancel_and_wait(keeping)
    return await store.audit_lines(None, 10)


async def test_a_stop_that_the_gateway_missed_is_in_its_audit_once_with_its_time(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        carried.write(tmp_path, STOP)
        store.audit("steve", "stop", "rover", "rover stopped")
        *_, line = await audited(tmp_path, store)
        carried.write(tmp_path, STOP)  # the gateway was killed before it removed the file
        assert [each.who for each in await audited(tmp_path, store)] == ["steve", "eve"]
    assert (line.who, line.what, line.target) == ("eve", "stop", "rover")
    assert line.result == "past the gateway, at 2027-01-15T08:00:00.250Z: rover confirmed it in 3 ms"


async def test_a_stop_that_the_gateway_has_told_of_itself_is_not_told_again(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        now = time.time()
        store.audit("eve", "stop", "gateway", "rover stopped, confirmed in 3 ms")
        carried.write(tmp_path, carried.Carried(at=now, by="eve", boards=("rover",), result="…"))
        assert len(await audited(tmp_path, store)) == 1


async def test_a_stop_of_another_robot_is_another_one(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        now = time.time()
        store.audit("eve", "stop", "robot", "robot stopped, confirmed in 3 ms")
        for boards in (("bot",), ()):
            carried.write(tmp_path, carried.Carried(at=now, by="eve", boards=boards, result="…"))
        targets = [each.target for each in await audited(tmp_path, store)]
    assert targets == ["robot", "bot", "gateway"]


async def test_a_disk_that_refuses_leaves_nothing_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="no space"):
        carried.write(tmp_path, STOP)
    assert list((tmp_path / carried.FOLDER).iterdir()) == []


async def test_what_is_damaged_stays_and_keeps_nothing_else_from_the_audit(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db") as store:
        carried.write(tmp_path, STOP)
        (damaged := tmp_path / carried.FOLDER / "1.json").write_bytes(b'{"at": \xff')
        assert [each.who for each in await audited(tmp_path, store)] == ["eve"]
    assert damaged.exists()


async def test_a_stop_while_the_gateway_hung_and_was_then_killed_comes_into_the_audit(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"bot": EmulatedBoard(ROBOTS / "ledger")}) as rig:
        await rig.ready()
        os.kill(rig.gateway, signal.SIGSTOP)
        assert [each.confirmed for each in await stop.stop(rig.state, ("bot",), "eve")] == [True]
        await rig.kill()
        await rig.start()
        async with rig.desk() as desk, asyncio.timeout(20):
            while not (found := (await desk.ask(op="audit", text="eve stop bot"))["lines"]):
                await asyncio.sleep(0.1)
    assert "past the gateway" in found[0]["result"]
    assert "bot confirmed it in" in found[0]["result"]
