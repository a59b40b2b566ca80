"""Torn and corrupt files, and a disk that refuses: the gateway starts, tells, and executes nothing wrong."""

from __future__ import annotations

import asyncio
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

from boardtalk import conf
from boardtalk.broker.board_logins import BoardLogins
from boardtalk.events import Update
from boardtalk.frontends import control
from boardtalk.frontends.client import Denied, GatewayClient
from boardtalk.hil.board import EmulatedBoard
from boardtalk.hub.sessions import Session
from boardtalk.modules.iot_bridge.service.memory import Known, Memory
from boardtalk.people.users import Users
from boardtalk.sdk import Message, Role, kept
from tests.gateway.town import town
from tests.scenarios.rig import free_port

from .figures import counted, note, spread
from .load import Echo
from .rig import ROBOTS, Rig, insist, seeded

START_S = 5.0
REFUSED_S = 0.1
BACK_S = 5.0
"""Promised: until a gateway has started, a full disk is told of, and there is room again."""
ENOUGH = 20
"""Commands refused on a full disk."""
FEW = pytest.param(100, id="short", marks=pytest.mark.timeout(180))
MANY = pytest.param(1000, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(7200)])
"""Truncations and flipped bits together, half and half."""
BROKER = "broker {{\n    port = {port}\n}}\n"


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


def judge(fired: Counter[str], times: int) -> None:
    assert fired["truncated"] > times / 3
    assert fired["flipped"] > times / 3


@pytest.mark.parametrize("times", [FEW, MANY])
async def test_c19_whatever_is_damaged_in_the_state_folder_the_gateway_starts_and_executes_nothing_wrong(
    tmp_path: Path, times: int
) -> None:
    """Half of the files at once, each time anew from what a killed gateway left. The board, reset meanwhile,
    stays stopped; who was removed stays away; whatever was set aside is told."""
    chance, fired, starts, names = seeded(), Counter[str](), list[float](), set[str]()
    board, echo = EmulatedBoard(ROBOTS / "ledger"), Echo()
    more = BROKER.format(port=free_port())
    async with Rig(tmp_path, {"bot": board}, more=more) as rig, echo.measured():
        await rig.ready()
        async with rig.desk() as desk:
            for number in range(20):
                assert await desk.do("bot", f"mark {number}", f"m{number}") == "done"
            for action, user in (("add", "bob"), ("add", "mallory"), ("remove", "mallory")):
                desk.send(op="user", action=action, address=user, role="operator")
            desk.send(op="stop", robot="bot")
            memory = rig.state / "link" / "boards.json.copy"
            while not memory.exists() or b"latched" not in memory.read_bytes():
                await asyncio.sleep(0.02)
            assert await desk.do("gateway", "why") == "done", "all of this is on disk"
        rig.kill_link()
        await rig.kill()
        good = tmp_path / "good"
        shutil.copytree(rig.state, good, symlinks=True, ignore=shutil.ignore_patterns("*.sock"))
        while fired["truncated"] + fired["flipped"] < times:
            shutil.rmtree(rig.state)
            shutil.copytree(good, rig.state, symlinks=True)
            hit = [path for path in files(rig.state) if chance.random() < 0.5]
            names |= {path.name for path in hit}
            for path in hit:
                damage(path, chance, fired)
            await board.reset()
            seen, told = len(board.outputs), rig.log.count("damaged")
            starts.append(await rig.start())
            async with rig.desk() as desk:
                await insist(desk, "bot", "ping")
                assert await desk.do("bot", "mark 99") == "rejected", "stopped before, stopped now"
                assert not [each for each in board.outputs[seen:] if "mark" in each.state], "by itself"
                assert await desk.do("bot", "rearm") == "done"
                assert await desk.do("bot", "mark 100") == "done"
            assert await rig.end() == 0
            users = Users.load(rig.state / "secrets")
            assert users.role("mallory") is None
            assert users.role("bob") in {Role.OPERATOR, None}
            aside = [path.name for path in kept.those_set_aside(rig.state)]
            fired["set aside"] += len(aside)
            assert not aside or rig.log.count("damaged") > told, aside
        await rig.start()
    corruptions = fired["truncated"] + fired["flipped"]
    print(sorted(names), dict(fired))
    judge(fired, corruptions)
    assert fired["set aside"]
    figure = f"{spread(starts)}, {fired['set aside']} set aside and told, 0 wrong commands"
    note(
        "C19", f"{corruptions} truncations and bit flips ({len(names)} files), killed gateway: start", figure
    )
    echo.judge(starts, START_S, "start")


@pytest.mark.parametrize("times", [FEW, MANY])
async def test_c19_damage_forgets_no_stop_and_gives_nobody_rights(tmp_path: Path, times: int) -> None:
    """Who is stopped, accounts, and logins of boards: the file, its copy, or both are damaged."""
    chance, fired, ends = seeded(), Counter[str](), Counter[str]()
    good, state = tmp_path / "good", tmp_path / "state"
    memory = Memory(good / "link" / "boards.json")
    memory.put("c0ffee01", Known(name="rover", latched=True))
    await memory.save()
    users = Users.load(good / "secrets", {"alice": Role.OPERATOR})
    for action, user in (("add", "bob"), ("add", "mallory"), ("remove", "mallory")):
        users.change(action, user, Role.VIEWER)
    old = users.get("bob").token  # type: ignore[union-attr]
    users.change("token", "bob")
    BoardLogins.load(good / "secrets").renew("rover")
    while fired["truncated"] + fired["flipped"] < times:
        shutil.rmtree(state, ignore_errors=True)
        shutil.copytree(good, state)
        both = chance.random() < 0.5
        for path in (
            state / "link" / "boards.json",
            state / "secrets/users.json",
            state / "secrets/boards.json",
        ):
            pair = (path, path.with_name(f"{path.name}.copy"))
            for each in pair if both else (chance.choice(pair),):
                damage(each, chance, fired)
        users = Users.load(state / "secrets", {"alice": Role.OPERATOR})
        logins = BoardLogins.load(state / "secrets")
        for _ in range(2):  # also when it is found whole again
            known = Memory(state / "link" / "boards.json").get("c0ffee01")
            assert known.latched
        assert users.role("alice") is Role.OPERATOR
        assert users.role("mallory") is None
        assert users.role("bob") in {Role.VIEWER, None}
        assert old not in {account.token for account in users}
        whole = (known.name, users.role("bob"), [login.address for login in logins])
        if not both:
            assert whole == ("rover", Role.VIEWER, ["rover"])
        ends["nothing lost" if whole == ("rover", Role.VIEWER, ["rover"]) else "denied, stopped"] += 1
    judge(fired, times)
    assert ends["denied, stopped"]
    note(
        "C19", "who is stopped, accounts, logins of boards, and their copies", f"{counted(ends)}, 0 forgotten"
    )


@pytest.mark.parametrize("times", [FEW, MANY])
async def test_c19_a_damaged_store_ends_no_gateway(tmp_path: Path, times: int) -> None:
    """Its messages wait for people, or are under way; SQLite itself misses most flipped bits."""
    chance, fired, starts = seeded(), Counter[str](), list[float]()
    good, state = tmp_path / "good", tmp_path / "state"
    async with town(good) as hub:
        for number in range(50):
            hub.accept(Message(sender="alice", to="bob", body=f"hello {number}", id=f"b{number}"))
            hub.accept(Message(sender="alice", to="team", body=f"hello {number}", id=f"t{number}"))
        await hub.store.held(None, 1)
        for number in range(50):
            hub.store.put(Message(sender="alice", to="dave", body=f"under way {number}", id=f"d{number}"))
        await hub.store.held(None, 1)
        shutil.copytree(good, state, ignore=shutil.ignore_patterns("*.sock"))
    shutil.rmtree(good)
    state.rename(good)
    with closing(sqlite3.connect(good / "store.db")) as ledger:
        ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    while fired["truncated"] + fired["flipped"] < times:
        shutil.rmtree(state, ignore_errors=True)
        shutil.copytree(good, state)
        damage(state / "store.db", chance, fired)
        began = time.monotonic()
        async with town(state) as hub, asyncio.timeout(START_S):
            starts.append(time.monotonic() - began)
            with hub.attach("bob"), hub.attach("alice") as alice:
                hub.accept(Message(sender="alice", to="gateway", body="/help", id="new"))
                fired[await state_of("new", alice)] += 1
            await hub.store.history("alice")
        fired["set aside"] += len(list(kept.those_set_aside(state)))
    print(dict(fired))
    judge(fired, times)
    assert fired["set aside"]
    assert max(starts) <= START_S


CONFIGURED = """\
# the damaged file may be right by chance, and then it counts
log_level = error
group team {
    members = alice, bob, carol
    owner = alice
}
group shift {
    members = dave, bob
    delivery = one
}
module filter {
    blocked_words = fool, knave
    on_fail = drop
}
"""


@pytest.mark.parametrize("times", [FEW, MANY])
async def test_c19_a_damaged_configuration_leaves_the_old_one_in_service(tmp_path: Path, times: int) -> None:
    """It is a person's file: if it is wrong, it is refused with its place, at a start too."""
    chance, fired, path = seeded(), Counter[str](), tmp_path / "gateway.conf"

    async def reload(gateway: GatewayClient) -> str:
        """Why it was not done; "" = it was."""
        try:
            await gateway.ask(control.Reload(), control.Reloaded)
        except Denied as error:
            return str(error)
        return ""

    async with (
        town(tmp_path, CONFIGURED, source=lambda: conf.load(path)) as hub,
        GatewayClient.connect(tmp_path, "alice") as alice,
    ):
        while fired["truncated"] + fired["flipped"] < times:
            path.write_text(CONFIGURED)
            assert await reload(alice) == ""
            before = (*hub.modules.values(), *hub.directory.contacts())
            damage(path, chance, fired)
            if refusal := await reload(alice):
                fired["refused"] += 1
                assert "nothing was changed" in refusal or str(path) in refusal
                assert (*hub.modules.values(), *hub.directory.contacts()) == before
    print(dict(fired))
    judge(fired, times)
    assert fired["refused"] > times / 10
    note("C19", "damaged configuration at a reload", f"{fired['refused']} of {times} refused, old one kept")


async def state_of(name: str, session: Session) -> str:
    """The first news of a message."""
    async for batch in session.events():
        for event in batch:
            if isinstance(event, Update) and event.message_id == name:
                return event.status.state
    raise AssertionError


STRACE = ("strace", "-f", "-qq", "--seccomp-bpf")
SERVE = """
    import asyncio, sys
    from pathlib import Path
    from boardtalk.sdk import Message
    from boardtalk.store.records import Accepted
    from boardtalk.store.store import Store

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
            100,
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
