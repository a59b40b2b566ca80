"""Torn and corrupt files, and a disk that refuses: the gateway starts, tells, and executes nothing wrong."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from boardtalk.hil.board import EmulatedBoard
from boardtalk.modules.iot_bridge.service.memory import Known, Memory
from boardtalk.sdk import Role
from boardtalk.users import UserError, Users

from .figures import note, spread
from .load import Echo
from .rig import ROBOTS, Rig, insist, seeded

START_S = 5.0
REFUSED_S = 0.1
BACK_S = 5.0
"""Promised: until a gateway has started, a full disk is told of, and there is room again."""
ENOUGH = 20
"""Commands refused on a full disk."""
FEW = pytest.param(5, id="short", marks=pytest.mark.timeout(180))
MANY = pytest.param(500, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(7200)])


def damage(path: Path, chance: random.Random, fired: Counter[str]) -> None:
    """Cut a file off somewhere, or flip one of its bits."""
    data = bytearray(path.read_bytes())
    if not data:
        return
    if chance.random() < 0.5:
        del data[chance.randrange(len(data)) :]
        fired["truncated"] += 1
    else:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        fired["flipped"] += 1
    path.write_bytes(data)


def files(state: Path) -> list[Path]:
    """What a gateway keeps, without sockets, locks and logs."""
    found = [path for path in state.rglob("*") if path.is_file() and not path.is_socket()]
    return [path for path in found if path.suffix not in {".lock", ".log", ".sock"} and path.name != "lock"]


@pytest.mark.parametrize("times", [FEW, MANY])
async def test_c19_whatever_is_damaged_in_the_state_folder_the_gateway_starts_and_executes_nothing_wrong(
    tmp_path: Path, times: int
) -> None:
    """All files at once, each time anew from a good state; a stopped board stays stopped if that is known."""
    chance, fired, starts = seeded(), Counter[str](), list[float]()
    async with Rig(tmp_path, {"bot": EmulatedBoard(ROBOTS / "ledger")}) as rig:
        await rig.ready()
        async with rig.desk() as desk:
            for number in range(20):
                assert await desk.do("bot", f"mark {number}", f"m{number}") == "done"
        good = tmp_path / "good"
        assert await rig.end() == 0
        shutil.copytree(rig.state, good, symlinks=True)
        executed = len(rig.boards["bot"].outputs)
        names: set[str] = set()
        for _ in range(times):
            shutil.rmtree(rig.state)
            shutil.copytree(good, rig.state, symlinks=True)
            hit = [path for path in files(rig.state) if path.name != "users.json"]
            names |= {path.name for path in hit}
            for path in hit:
                damage(path, chance, fired)
            starts.append(await rig.start())
            async with rig.desk() as desk:
                await insist(desk, "bot", "ping")
                assert len(rig.boards["bot"].outputs) == executed, "nothing is executed by itself"
            assert await rig.end() == 0
        await rig.start()
    print(sorted(names), dict(fired))
    assert fired["truncated"] > times / 4
    assert fired["flipped"] > times / 4
    note(
        "C19",
        f"{sum(fired.values())} truncations and bit flips ({len(names)} kinds of files): start",
        spread(starts),
    )
    assert max(starts) <= START_S


@pytest.mark.parametrize("times", [100, pytest.param(500, marks=pytest.mark.soak)])
async def test_c19_damaged_memory_of_boards_and_users_is_set_aside_or_refused_in_words(
    tmp_path: Path, times: int
) -> None:
    """The link process starts without its memory; accounts are not guessed at."""
    chance, fired, ends = seeded(), Counter[str](), Counter[str]()
    memory = Memory(tmp_path / "boards.json")
    memory.put("c0ffee01", Known(name="rover", latched=True))
    await memory.save()
    Users.load(tmp_path / "secrets", {"alice": Role.OPERATOR})
    good = {path: path.read_bytes() for path in (tmp_path / "boards.json", tmp_path / "secrets/users.json")}
    for _ in range(times):
        for path, data in good.items():
            path.write_bytes(data)
            damage(path, chance, fired)
        known = Memory(tmp_path / "boards.json").get("c0ffee01")
        ends["remembered" if known.latched else "forgotten"] += 1
        try:
            users = Users.load(tmp_path / "secrets", {})
            assert users.role("alice") in {None, *Role}
            ends["users read"] += 1
        except UserError as error:
            assert "users.json" in str(error)
            ends["users refused"] += 1
    print(dict(fired), dict(ends))
    assert ends["forgotten"]
    assert ends["users refused"]
    note("C19", "memory of boards, accounts: damaged", f"{dict(ends)}")


STRACE = ("strace", "-f", "-qq", "--seccomp-bpf")
SERVE = """
    import asyncio, sys
    from pathlib import Path
    from boardtalk.sdk import Message
    from boardtalk.store import Accepted, Store

    async def main():
        refused = 0
        async with Store.open(Path(sys.argv[1])) as store:
            print("open", flush=True)
            for number in range(8):
                store.put(Message(sender="alice", to="bot", body=f"{sys.argv[2]}-{number}"))
                async for batch in store.committed():
                    for result in batch:
                        said = "accepted" if isinstance(result, Accepted) else f"refused {result.reason}:"
                        print(said, result.message.body, flush=True)
                    break
                await asyncio.sleep(0)

    asyncio.run(main())
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("calls", "most"),
    [
        pytest.param(("fdatasync:EIO", "pwrite64:ENOSPC"), 6, id="short"),
        pytest.param(
            ("fdatasync:EIO", "fdatasync:ENOSPC", "pwrite64:ENOSPC", "pwrite64:EIO"),
            200,
            id="long",
            marks=[pytest.mark.soak, pytest.mark.timeout(7200)],
        ),
    ],
)
def test_c18_whichever_write_or_sync_fails_what_was_accepted_is_kept_and_the_rest_refused_with_the_reason(
    tmp_path: Path, calls: tuple[str, ...], most: int
) -> None:
    """The n-th one fails, for all n until none is left to fail."""
    program = textwrap.dedent(SERVE)
    path, ends = tmp_path / "store.db", Counter[str]()
    serve = (sys.executable, "-c", program, str(path))
    accepted: set[str] = set()
    subprocess.run([*serve, "first"], check=True, capture_output=True)
    for call in calls:
        name, _, error = call.partition(":")
        for number in range(1, most + 1):
            run = f"{name}-{error}-{number}"
            fault = f"inject={name}:error={error}:when={number}"
            traced = (*STRACE, "-o", str(tmp_path / "trace"), "-e", f"trace={name}", "-e", fault)
            done = subprocess.run([*traced, *serve, run], capture_output=True, text=True, check=False)
            said = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
            ends["refused"] += sum(what == "refused" for what, *_ in said)
            ends["not opened"] += not said
            accepted |= {rest[0] for what, *rest in said if what == "accepted"}
            failed = "(INJECTED)" in (tmp_path / "trace").read_text()
            ends["injected"] += failed
            assert all(len(rest[0].split()) > 1 for what, *rest in said if what == "refused"), (
                "with the reason"
            )
            if not failed:
                break
    with closing(sqlite3.connect(path)) as ledger:
        kept = {body for (body,) in ledger.execute("SELECT body FROM ledger")}
    lost = accepted - kept
    print(dict(ends), len(accepted), "accepted")
    assert not lost
    assert ends["injected"] >= most
    assert ends["refused"] or ends["not opened"]
    told = f"{ends['refused']} refused with the reason"
    note("C18", "n-th failing write or sync", f"{ends['injected']}; {len(accepted)} accepted, 0 lost, {told}")


@pytest.mark.privileged
@pytest.mark.timeout(120)
async def test_c18_on_a_full_disk_commands_are_refused_and_stop_and_dead_man_work(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    state = tmp_path / "state"
    state.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", state], check=False).returncode:
        pytest.skip("can't mount a tmpfs here")
    try:
        await full_disk(tmp_path)
    finally:
        subprocess.run(["umount", "-l", state], check=True)


async def full_disk(folder: Path) -> None:
    board = EmulatedBoard(ROBOTS / "ledger")
    echo = Echo()
    async with Rig(folder, {"bot": board}) as rig, echo.measured():
        await rig.ready()
        async with rig.desk() as desk:
            assert await desk.do("bot", "mark 1", "before") == "done"
            desk.say("bot", "move 2 9", "moving")
            await desk.begun("moving")
            ballast = rig.state / "ballast"
            with pytest.raises(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 4096)
            refused = []
            for number in range(200):
                began = time.monotonic()
                if await desk.do("bot", "mark 3", f"full {number}") == "rejected":
                    refused.append(time.monotonic() - began)
                if len(refused) == ENOUGH:
                    break
            details = [desk.details[name] for name in desk.states if name.startswith("full")]
            assert len(refused) == ENOUGH, "the disk was full"
            assert any("full" in each for each in details)
            began = time.monotonic()
            desk.send(op="stop", robot="bot")
            off = await board.until(power=0)
            note("C18", "full disk: refusal", spread(refused))
            note("C18", "full disk: stop to outputs off", f"{(off.at - began) * 1000:.0f} ms")
            ballast.unlink()
            free = time.monotonic()
            await insist(desk, "bot", "rearm")
            assert await desk.do("bot", "mark 4") == "done"
            back = time.monotonic() - free
            assert await desk.do("bot", "mark 1", "before") == "done", "known: answered from memory"
        marks = [each.state["mark"] for each in board.outputs if "mark" in each.state]
    note("C18", "full disk: commands again after there was room", f"{back:.1f} s")
    assert marks.count(1) == 1
    assert back <= BACK_S
    echo.judge(refused, REFUSED_S)
