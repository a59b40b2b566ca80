"""`boardtalk doctor` at the bench: each thing that is wrong is found, with its cure."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from boardtalk import doctor
from boardtalk.hil.board import EmulatedBoard
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.service.client import LinkClient
from boardtalk.sdk import Finding, Severity
from tests.iot_bridge.fake_board import FakeBoard


async def attached(state: Path, port: str, until: api.BoardState) -> LinkClient:
    """A gateway whose board has come to a state."""
    client = await LinkClient.start(state, [api.WantedBoard(name="rover", port=port)])
    if any(board.state is until for board in client.boards):
        return client
    async with asyncio.timeout(10):
        async for event in client.events():
            if isinstance(event, api.BoardChanged) and event.state is until:
                break
    return client


async def findings(state: Path, about: str) -> list[Finding]:
    """What the doctor says about something."""
    found = await asyncio.to_thread(lambda: list(doctor.examine(state)))
    return [finding for finding in found if about in finding.what]


async def test_a_healthy_board_is_fine(tmp_path: Path) -> None:
    async with EmulatedBoard("rover") as board, await attached(tmp_path, board.port, api.BoardState.READY):
        (finding,) = await findings(tmp_path, "rover on")
    assert finding.severity is Severity.FINE
    assert version("boardtalk") in finding.what


async def test_a_board_with_other_firmware_is_named(tmp_path: Path, board: FakeBoard) -> None:
    async with await attached(tmp_path, board.port, api.BoardState.READY):
        (finding,) = await findings(tmp_path, "rover runs fake 1")
    assert finding.severity is Severity.WARNING
    assert "board-author.md" in finding.cure


async def test_a_stopped_board_is_named_with_the_way_out(tmp_path: Path, board: FakeBoard) -> None:
    async with await attached(tmp_path, board.port, api.BoardState.READY) as client:
        await client._call(api.Stop(boards=(), by="test"))
        (finding,) = await findings(tmp_path, "rover is stopped")
    assert "rearm" in finding.cure


async def test_a_board_without_our_client_is_named(tmp_path: Path) -> None:
    master, slave = os.openpty()
    try:
        async with await LinkClient.start(
            tmp_path, [api.WantedBoard(name="rover", port=os.ttyname(slave))]
        ) as client:
            async with asyncio.timeout(10):
                async for event in client.events():
                    if isinstance(event, api.BoardChanged) and "nobody answers" in event.detail:
                        break
            (finding,) = await findings(tmp_path, "rover on")
    finally:
        os.close(master)
        os.close(slave)
    assert finding.severity is Severity.PROBLEM
    assert "client" in finding.cure


async def test_a_missing_port_is_named(tmp_path: Path) -> None:
    async with await attached(tmp_path, str(tmp_path / "nothing"), api.BoardState.OFFLINE) as client:
        async with asyncio.timeout(10):
            while "there is no" not in client.boards[0].detail:
                client.boards = (await anext(_changes(client)),)
        (finding,) = await findings(tmp_path, "rover on")
    assert finding.severity is Severity.PROBLEM
    assert finding.what.count(str(tmp_path / "nothing")) == 1
    assert "plug it in" in finding.cure


async def _changes(client: LinkClient) -> AsyncIterator[api.BoardChanged]:
    async for event in client.events():
        if isinstance(event, api.BoardChanged):
            yield event


@pytest.mark.parametrize("name", ["ModemManager", "brltty"])
async def test_programs_that_probe_ports_are_named(tmp_path: Path, name: str) -> None:
    program = shutil.copy(shutil.which("sleep") or "", tmp_path / name)
    with subprocess.Popen([program, "60"]) as process:
        try:
            (finding,) = await findings(tmp_path, name)
        finally:
            process.kill()
    assert finding.severity is Severity.WARNING
    assert "sudo" in finding.cure


async def test_who_holds_a_port_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of USB ports is made up: there are none where tests run."""
    master, slave = os.openpty()
    port = ListPortInfo(os.ttyname(slave))
    port.vid, port.pid, port.description = 0x2E8A, 0x0005, "Board in FS mode"
    monkeypatch.setattr(list_ports, "comports", lambda: [port])
    try:
        (finding,) = await findings(tmp_path, port.device)
    finally:
        os.close(master)
        os.close(slave)
    assert f"pid {os.getpid()}" in finding.what
    assert finding.severity is Severity.WARNING


async def test_the_port_of_a_board_is_rightly_held_by_the_link_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        EmulatedBoard("rover") as board,
        await attached(tmp_path, board.port, api.BoardState.READY) as client,
    ):
        port = ListPortInfo(str(Path(board.port).resolve()))
        port.vid, port.pid = 0x2E8A, 0x0005
        monkeypatch.setattr(list_ports, "comports", lambda: [port])
        (finding,) = await findings(tmp_path, port.device)
        assert f"pid {client.pid})" not in finding.what


def test_a_gateway_that_was_killed_does_not_run(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "control.sock"))
        door.listen()
        assert [each.what for each in doctor.examine(tmp_path) if " gateway runs" in each.what] == [
            "a gateway runs on it"
        ]
    assert [each.what for each in doctor.examine(tmp_path) if " gateway runs" in each.what] == [
        "no gateway runs on it"
    ]


async def test_no_board_at_all_makes_it_think_of_the_cable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_ports, "comports", list)
    (finding,) = await findings(tmp_path, "no board is plugged in")
    assert "cable" in finding.cure


def test_a_file_in_the_state_folder_that_is_somebody_elses_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made up: to root, as whom tests may run, nothing is shut."""
    (tmp_path / "store.db").touch()
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path / "store.db")
    (finding,) = [each for each in doctor.examine(tmp_path) if each.severity is Severity.PROBLEM]
    assert str(tmp_path / "store.db") in finding.what
    assert "chown" in finding.cure


def test_a_broker_that_is_away_is_named(tmp_path: Path) -> None:
    with (
        socket.socket(socket.AF_UNIX) as door,
        socket.create_server(("127.0.0.1", 0)) as broker,
    ):
        door.bind(str(tmp_path / "control.sock"))
        door.listen()
        where = f"127.0.0.1:{broker.getsockname()[1]}"
        (tmp_path / "endpoints.json").write_text(json.dumps({"mqtt": where, "modules": []}))
        (found,) = [each for each in doctor.examine(tmp_path) if where in each.what]
        assert found.severity is Severity.FINE
        broker.close()
        (found,) = [each for each in doctor.examine(tmp_path) if where in each.what]
    assert found.severity is Severity.PROBLEM
    assert found.cure


def test_a_full_disk_a_lost_clock_and_a_missing_broker_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made up, all three: none of them can be had on purpose."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    monkeypatch.setattr("time.time", lambda: 3600.0)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    problems = [each for each in doctor.examine(tmp_path) if each.severity is Severity.PROBLEM]
    assert [each.what.split()[0] for each in problems] == ["only", "nats-server", "the"]
    assert all(each.cure for each in problems)
