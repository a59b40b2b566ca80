"""Damaged files that were set aside: operators are told in chat, and `boardtalk doctor` names them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from boardtalk import desk, doctor
from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient
from boardtalk.sdk import SYSTEM, Finding, Severity
from boardtalk.sdk.mqtt.endpoint import boards_endpoint, boards_file

from .town import heard, town


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "LOOK_EVERY_S", 0.05)


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


async def findings(state: Path) -> list[Finding]:
    found = await asyncio.to_thread(lambda: list(doctor.examine(state)))
    return [finding for finding in found if "set aside" in finding.what]


async def told(client: GatewayClient) -> list[str]:
    past = await client.ask(control.History(SYSTEM), control.Past)
    return [entry["body"] for entry in past.entries]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'"\xff"', b'{"mqtt": "\xc6"}', b"{}"])
async def test_c19_what_is_made_anew_at_each_start_may_be_damaged(tmp_path: Path, content: bytes) -> None:
    boards_file(tmp_path).parent.mkdir()
    for path in (boards_file(tmp_path), tmp_path / "endpoints.json"):
        path.write_bytes(content)
    assert boards_endpoint(tmp_path) is None
    assert await asyncio.to_thread(lambda: list(doctor.examine(tmp_path)))


async def test_c19_operators_are_told_of_a_damaged_file_once(tmp_path: Path) -> None:
    async with town(tmp_path):
        pass
    assert not await findings(tmp_path)
    damage(tmp_path / "secrets" / "users.json")
    for _ in range(2):
        async with (
            town(tmp_path),
            GatewayClient.connect(tmp_path, "root") as root,
            GatewayClient.connect(tmp_path, "alice") as viewer,
        ):
            while not await told(root):
                await asyncio.sleep(0.02)
            await asyncio.sleep(4 * desk.LOOK_EVERY_S)
            assert await told(viewer) == []
            (text,) = await told(root)
            assert "users.json.damaged-" in text
            assert "boardtalk doctor" in text
    (finding,) = await findings(tmp_path)
    assert finding.severity is Severity.WARNING
    assert "users.json.damaged-" in finding.what
    assert "backup" in finding.cure


async def test_c19_also_of_one_that_is_found_while_the_gateway_runs(tmp_path: Path) -> None:
    async with town(tmp_path), GatewayClient.connect(tmp_path, "root") as root:
        (tmp_path / "link").mkdir()
        (tmp_path / "link" / "boards.json.damaged-20261127T010203Z").touch()
        assert "boards.json.damaged-" in (await heard(root, SYSTEM)).body
