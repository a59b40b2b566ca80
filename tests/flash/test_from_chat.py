"""`/flash`: a plan, its code, and nothing but that; by real esptool, on emulated boards, in real gateways."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from boardtalk.events import Delivery
from boardtalk.hil.board import EmulatedBoard
from boardtalk.hil.loaders.esp import EspBoard
from boardtalk.sdk import Flag, State
from tests.flash.bench import C3, audit
from tests.flash.talk import Town
from tests.hil.flashing import esp_image

CHIP_ID = 5


def put_image(folder: Path, name: str = "new-1.27.bin", size: int = 200_000) -> bytes:
    path = folder / "images" / C3 / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(esp_image(CHIP_ID, size))
    return path.read_bytes()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


@asynccontextmanager
async def town(folder: Path, count: int = 1, more: str = "") -> AsyncIterator[tuple[Town, list[EspBoard]]]:
    """So many boards, `lamp0` and so on, in the group `lamps`."""
    async with AsyncExitStack() as stack:
        boards = [
            await stack.enter_async_context(EspBoard("esp32c3", mac=bytes([2, 0, 0, 0, 0, number])))
            for number in range(count)
        ]
        names = [f"lamp{number}" for number in range(count)]
        robots = {name: board.port for name, board in zip(names, boards, strict=True)}
        group = f"group lamps {{\n    members = ana, {', '.join(names)}\n}}\n"
        yield await stack.enter_async_context(Town(folder, group + more, robots)), boards


def runs(pid: int) -> bool:
    """Whether there is such a process, and nobody only has to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def begins(board: EspBoard, data: bytes) -> bool:
    return bytes(board.flash)[: len(data)] == data


async def test_a_plan_touches_nothing_and_its_code_does_exactly_that_once(home: Path) -> None:
    data = put_image(home)
    async with town(home) as (place, [board]), place.people("ana") as [ana]:
        told, confirm = await ana.plan("/flash lamp0 plan")
        for words in (
            C3,
            board.port,
            "new-1.27.bin",
            f"{len(data):,} bytes",
            "sha256 ",
            "lost: ",
            "no backup",
        ):
            assert words in told
        assert board.events.named("sync") == []
        assert not begins(board, data)

        name = ana.begin(confirm)
        state, text = await ana.over(name)
        assert state is State.DONE
        assert "lamp0: done: unknown → new-1.27.bin" in text
        assert begins(board, data)
        assert "no plan of yours" in (await ana.say(confirm))[1]
        rows = [row for row in audit(place.gateway.folder) if row[1] == "/flash write"]  # it stops first
        what = f"{C3} at {board.port}, new-1.27.bin sha256 {sha256(data).hexdigest()}"
        assert [row[:3] for row in rows] == [("ana", "/flash write", "lamp0")] * 2
        assert rows[0][3] == f"{what}: begins"
        assert rows[1][3].startswith(f"{what}: done: unknown → new-1.27.bin, ")

        # One message, edited: who looks back sees its last text, once.
        first, *edits = ana.said(name)
        assert all(each.message.refid == first.message.id for each in edits)
        assert all(each.message.flags & Flag.REPLACES for each in edits)
        shown = [each for each in await ana.history() if each["refid"] == name]
        assert [each["body"] for each in shown] == [text]


async def test_nobody_who_is_not_named_may_and_a_role_is_needed_too(home: Path) -> None:
    put_image(home)
    async with (
        town(home) as (place, [board]),
        place.people("ana", "tom", "eve", "ben") as [ana, tom, eve, ben],
    ):
        _, confirm = await ana.plan("/flash lamp0 plan")
        for person in (tom, eve):  # an admin whom nobody named, and a viewer who was
            for text in ("/flash lamp0 plan", confirm):
                state, told = await person.say(text)
                assert (state, "may not " in told) == (State.REJECTED, True)
        assert "no plan of yours" in (await ben.say(confirm))[1]  # another one's code
        assert bytes(board.flash)[:1] == b"\xff"
        denied = ("tom", "/flash confirm", "lamp0", "denied: not allowed")
        assert denied in audit(place.gateway.folder)
        said = [(each["body"], each["state"]) for each in await tom.history()]
        assert (confirm, "rejected") in said


async def test_a_code_is_for_one_plan_and_three_wrong_ones_void_it(home: Path) -> None:
    put_image(home, "old.bin", 20_000)
    put_image(home, "new.bin", 30_000)
    async with town(home, 2) as (place, boards), place.people("ana") as [ana]:
        state, told = await ana.say("/flash lamp0 plan")
        assert (state, "which image? There is: new.bin, old.bin" in told) == (State.REJECTED, True)
        _, other = await ana.plan("/flash lamp1 plan old.bin")
        _, before = await ana.plan("/flash lamp0 plan old.bin")
        _, confirm = await ana.plan("/flash lamp0 plan new.bin")
        wrong = confirm.replace(confirm.split()[-1], other.split()[-1])
        assert "not the code of your plan; 2 more tries" in (await ana.say(wrong))[1]
        assert "1 more tries" in (await ana.say(before))[1]
        assert "void" in (await ana.say(wrong))[1]
        assert "no plan of yours" in (await ana.say(confirm))[1]
        assert all(bytes(board.flash)[:1] == b"\xff" for board in boards)


async def test_what_makes_no_plan_says_why_and_alone_the_words_show_how(home: Path) -> None:
    put_image(home)
    put_image(home, ".hidden")
    (home / "images" / "secret.bin").write_bytes(b"x")
    (home / "images" / C3 / "wrong.bin").write_bytes(esp_image(0, 20_000))
    more = "board bare {\n    port = /dev/null\n}\n"
    async with town(home, more=more) as (place, _), place.people("ana", "tom") as [ana, tom]:
        for what in ("../secret.bin", "/etc/passwd", "https://example.org/x.bin", ".hidden", "wrong"):
            state, told = await ana.say(f"/flash lamp0 plan {what}")
            assert (state, "there is no image" in told) == (State.REJECTED, True)
        state, told = await ana.say("/flash lamp0 plan wrong.bin")
        assert state is State.REJECTED
        assert told.startswith("wrong.bin: ")
        assert "this is firmware for esp32, and the board has esp32c3" in told
        state, told = await ana.say("/flash bare plan")
        assert state is State.REJECTED
        assert "`boards = bare: …` in `module flash` allows it" in told
        assert "there is no robot 'rovr'" in (await ana.say("/flash rovr plan"))[1]
        assert "did you mean `/flash lamp0 plan`?" in (await ana.say("/flash lamp0 plna"))[1]
        assert "/flash rover confirm" in (await tom.say("/flash"))[1]
        assert "/ota rover plan 1.3" in (await tom.say("/ota"))[1]


async def test_what_changes_after_the_plan_voids_it(home: Path) -> None:
    put_image(home)
    async with town(home) as (place, [board]), place.people("ana") as [ana]:
        _, confirm = await ana.plan("/flash lamp0 plan")
        put_image(home, size=210_000)
        state, told = await ana.say(confirm)
        assert (state, "the plan is void" in told) == (State.REJECTED, True)
        _, confirm = await ana.plan("/flash lamp0 plan")
        async with EspBoard("esp32c3") as other:
            conf = place.gateway.folder / "gateway.conf"
            conf.write_text(conf.read_text().replace(board.port, other.port))
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "boardtalk", "reload", "--state", str(place.gateway.folder))
            )
            assert await process.wait() == 0
            state, told = await ana.say(confirm)
            assert (state, "at another port, now; the plan is void" in told) == (State.REJECTED, True)
            assert bytes(other.flash)[:1] == b"\xff"
        assert bytes(board.flash)[:1] == b"\xff"


@pytest.mark.soak  # what it comes to on the page is in tests/web/test_boards.py
async def test_who_looks_sees_his_plan_and_how_far_each_board_is_and_one_is_cancelled(home: Path) -> None:
    data = put_image(home)
    async with town(home, 2) as (place, boards), place.people("ana", "ben", "eve", "tom") as people:
        ana, ben, eve, tom = people
        images = {"flash": {"kind": C3, "names": ["new-1.27.bin"]}}
        assert (await ana.shown())["offers"] == {"lamp0": images, "lamp1": images}
        _, confirm = await ana.plan("/flash lamp1,lamp0 plan")
        [plan] = (await ana.shown())["plans"]
        assert plan["target"] == "lamp1,lamp0"
        assert confirm == f"/flash lamp1,lamp0 confirm {plan['code']}"
        digest = sha256(data).hexdigest()
        assert [(each["robot"], each["size"], each["sha256"]) for each in plan["items"]] == [
            ("lamp1", len(data), digest),
            ("lamp0", len(data), digest),
        ]
        for nobody in (eve, tom):  # a viewer, and an admin whom nobody named
            shown = await nobody.shown()
            assert (shown["offers"], shown["plans"]) == ({}, [])
        assert (await ben.shown())["plans"] == []  # a code is for who got it

        for board in boards:
            board.flash.faults.erase_s = 0.5
        name = ana.begin(confirm)
        await ana.sees(name, "lamp1: write")
        [run] = (await eve.shown())["runs"]
        line = run["lines"][0]
        assert (run["user"], line["robot"], line["step"]) == ("ana", "lamp1", "write")
        assert 0 <= line["done"] <= line["total"]
        assert (await eve.say("/flash lamp1 cancel"))[0] is State.REJECTED
        assert await ben.say("/flash lamp1 cancel") == (State.DONE, "to be cancelled: lamp1")
        state, told = await ana.over(name)
        assert state is State.CANCELLED
        assert "lamp1: cancelled: stopped after" in told
        assert "the same command goes on from here" in told
        assert "lamp0: done: unknown → new-1.27.bin" in told
        [run] = (await eve.shown())["runs"]
        ends = {line["robot"]: line["end"] for line in run["lines"]}
        assert (ends["lamp1"]["ok"], ends["lamp1"]["code"]) == (False, "cancelled")
        assert (ends["lamp0"]["ok"], ends["lamp0"]["now"]) == (True, "new-1.27.bin")
        assert "nothing is under way on lamp0" in (await ana.say("/flash lamp0 cancel"))[1]
        assert "there is no robot 'lampe'" in (await ana.say("/flash lamp0,lampe plan"))[1]


@pytest.mark.soak
async def test_of_two_who_confirm_at_once_one_is_told_who_was_first(home: Path) -> None:
    data = put_image(home)
    async with town(home) as (place, [board]), place.people("ana", "ben") as [ana, ben]:
        board.flash.faults.erase_s = 0.5
        (_, his), (_, hers) = await ben.plan("/flash lamp0 plan"), await ana.plan("/flash lamp0 plan")
        name = ana.begin(hers)
        await ana.sees(name, "lamp0: write")
        state, told = await ben.say(his)
        assert state is State.REJECTED
        assert told.startswith("lamp0 is being flashed by ana, ")
        for text in ("forward 20", "help"):
            state, told = await ben.say(text, "lamp0")
            assert (state, "being flashed by ana" in told) == (State.REJECTED, True)
        assert (await ana.over(name))[0] is State.DONE
        assert begins(board, data)
        assert "no plan of yours" in (await ben.say(his))[1]  # it was for a board that is another one now


@pytest.mark.soak
async def test_one_of_three_that_fails_stops_none_and_one_code_is_for_all(home: Path) -> None:
    data = put_image(home)
    async with town(home, 3) as (place, boards), place.people("ana") as [ana]:
        boards[1].flash.faults.power_loss_after = 70_000
        told, confirm = await ana.plan("/flash lamps plan")
        assert [line.partition(":")[0] for line in told.splitlines() if line.startswith("lamp")] == [
            "lamp0",
            "lamp1",
            "lamp2",
        ]
        state, told = await ana.say(confirm)
        assert state is State.FAILED
        lines = dict(line.split(": ", 1) for line in told.splitlines() if line.startswith("lamp"))
        assert [lines[f"lamp{number}"][:6] for number in range(3)] == ["done: ", "FAILED", "done: "]
        assert "2 of 3 done, 1 failed" in told
        assert "`/flash lamps plan`" in told
        assert all(begins(board, data) for board in boards[::2])


async def test_stop_is_heard_by_all_the_while_and_the_flash_goes_on(home: Path) -> None:
    data = put_image(home)
    async with AsyncExitStack() as stack:
        rover = await stack.enter_async_context(EmulatedBoard("rover"))
        more = f"board rover {{\n    port = {rover.port}\n}}\n"
        place, [board] = await stack.enter_async_context(town(home, more=more))
        ana, ben = await stack.enter_async_context(place.people("ana", "ben"))
        await ben.online("rover")
        board.flash.faults.erase_s = 0.5
        _, confirm = await ana.plan("/flash lamp0 plan")
        name = ana.begin(confirm)
        await ana.sees(name, "lamp0: write")
        driving = ben.begin("forward 400", "rover")
        await ben.until(lambda: ben.has_begun(driving), "the rover drives")
        heard = len(ben.events)
        ben.stop("rover")
        await ben.until(
            lambda: any(
                isinstance(event, Delivery) and "rover stopped, confirmed" in event.message.body
                for event in ben.events[heard:]
            ),
            "the rover's stop",
        )
        assert (await ben.over(driving))[0] is State.CANCELLED
        ben.stop("lamp0")
        said = "lamp0 CAN'T CONFIRM the stop: `boardtalk flash` is at work on it"
        await ben.until(lambda: any(said in str(event) for event in ben.events), said)
        assert ana.end_of(name) is None, "the flash was over when the stop was answered"
        assert (await ana.over(name))[0] is State.DONE
        assert begins(board, data)


@pytest.mark.soak
async def test_a_worker_that_is_killed_fails_its_board_and_says_how_it_goes_on(home: Path) -> None:
    put_image(home)
    async with town(home) as (place, [board]), place.people("ana") as [ana]:
        board.flash.faults.erase_s = 0.5
        _, confirm = await ana.plan("/flash lamp0 plan")
        name = ana.begin(confirm)
        await ana.sees(name, "lamp0: write")
        [worker] = place.workers()
        os.kill(worker, signal.SIGKILL)
        state, told = await ana.over(name)
        assert state is State.FAILED
        assert "its worker has died (signal 9)" in told
        assert "`/flash lamp0 plan` again goes on" in told


@pytest.mark.soak
async def test_a_gateway_killed_in_the_middle_leaves_no_worker_and_tells_who_waits(home: Path) -> None:
    data = put_image(home)
    async with town(home) as (place, [board]):
        board.flash.faults.erase_s = 0.5
        async with place.people("ana") as [ana]:
            _, confirm = await ana.plan("/flash lamp0 plan")
            name = ana.begin(confirm)
            await ana.sees(name, "lamp0: write")
            first = ana.said(name)[0].message.id
            [worker] = place.workers()
            await place.gateway.kill()
        await place.gateway.start()
        assert not runs(worker)
        await place.found()
        async with place.people("ana") as [ana]:
            await ana.sees(first, "lamp0: broke off: gateway or module were restarted in the middle")
            [shown] = [each for each in await ana.history() if each["id"] == first]
            assert "`/flash lamp0 plan` goes on where it is" in str(shown["body"])
            assert "no plan of yours" in (await ana.say(confirm))[1]
            await board.power_on()
            board.flash.faults.erase_s = 0
            _, confirm = await ana.plan("/flash lamp0 plan")
            assert (await ana.say(confirm))[0] is State.DONE
        assert begins(board, data)
