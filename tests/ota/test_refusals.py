"""What a board does not take, whoever sends it: real MicroPython, behind a real link process."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.errors import LinkError, UpdateRefused
from boardtalk.modules.iot_bridge.frames import Ota
from boardtalk.modules.iot_bridge.ota.conversation import Conversation
from boardtalk.modules.iot_bridge.ota.install import LOADER
from boardtalk.modules.iot_bridge.ota.keys import signed
from boardtalk.modules.iot_bridge.ota.release import File, Release, collect
from boardtalk.modules.iot_bridge.service import api

from .rig import UID, Site

DATA = b"print('mine')\n"


def manifest(
    key: bytes, *, path: str = "main.py", size: int = len(DATA), uid: str = UID, number: int = 1
) -> bytes:
    """As the gateway makes it, except for what is told."""
    made = Release((File(path, DATA),), "x").manifest(uid, number, key)
    text = made[: made.index(b"mac ")].replace(b"file %d " % len(DATA), b"file %d " % size)
    return text + b"mac " + signed(key, text).hex().encode() + b"\n"


async def begin(talk: Conversation, text: bytes, size: int | None = None) -> list[bytes]:
    head = {"step": Ota.MANIFEST, "size": len(text) if size is None else size}
    await talk.ask(Ota.MANIFEST, frames.OtaManifest.build(head))
    await talk.stream(text)
    return await talk.ask(Ota.BEGIN)


async def commit(talk: Conversation, text: bytes, data: bytes = DATA) -> None:
    await begin(talk, text)
    await talk.say(frames.OtaFile.build({"step": Ota.FILE, "file": 0, "offset": 0}))
    await talk.stream(data)
    await talk.ask(Ota.COMMIT)


async def test_a_board_takes_only_what_is_meant_for_it(lamp: Site) -> None:
    key = lamp.key
    good = manifest(key)
    refused = {
        "signed with another key": (manifest(bytes(32)), "not signed"),
        "changed on its way": (good.replace(sha256(DATA).hexdigest()[:4].encode(), b"0000"), "not signed"),
        "for another board": (manifest(key, uid="ff" * 8), "another board"),
        "truncated": (good[: good.index(b"mac ")], "not whole"),
        "of another format": (b"x" + good, "not whole, or of another format"),
        "out of the slot": (manifest(key, path="../main.py"), "is not allowed"),
        "out of the slot, further down": (manifest(key, path="lib/../../boot.py"), "is not allowed"),
        "absolute": (manifest(key, path="/main.py"), "is not allowed"),
        "the boot file": (manifest(key, path="boot.py"), "is not allowed"),
        "a key": (manifest(key, path="ota.key"), "is not allowed"),
        "the loader": (manifest(key, path="slots.py"), "is not allowed"),
        "the loader, as FAT sees it": (manifest(key, path="OTA.mpy"), "is not allowed"),
        "too large": (manifest(key, size=1 << 21), "it needs 2113536 bytes"),
        "of negative size": (manifest(key, size=-1), "is not allowed"),
        "old": (manifest(key, number=0), "release 0 is not newer than 0"),
    }
    loader = {name: lamp.board.files.read(name) for name in (*LOADER, "ota.key")}
    async with lamp.talk() as talk:
        with pytest.raises(UpdateRefused, match="stop the robot first"):
            await begin(talk, good)
        await talk.stop("a test")
        for name, (text, why) in refused.items():
            with pytest.raises(UpdateRefused, match=why):
                await begin(talk, text)
                pytest.fail(f"a manifest that is {name} was taken")
        with pytest.raises(UpdateRefused, match="not whole"):
            await begin(talk, good, len(good) + 1)
        with pytest.raises(UpdateRefused, match="more than the manifest says"):
            await commit(talk, good, DATA + b"!")
        with pytest.raises(UpdateRefused, match=r"main\.py is not as the manifest says"):
            await commit(talk, good, DATA.replace(b"mine", b"evil"))
        with pytest.raises(UpdateRefused, match=r"main\.py is not as the manifest says"):
            await commit(talk, good, DATA[:-1])
        with pytest.raises(UpdateRefused, match="not signed"):
            await talk.decide(Ota.ROLLBACK, bytes(32))
        with pytest.raises(UpdateRefused, match="there is no release before"):
            await talk.decide(Ota.ROLLBACK, key)
        with pytest.raises(LinkError, match="being updated already"):
            async with lamp.talk():
                pass
        await commit(talk, good)
    assert await lamp.runs() == ("1", False), "the program that was taken ends at once, three times"
    async with lamp.talk() as talk:
        await talk.stop("a test")
        with pytest.raises(UpdateRefused, match="release 1 is not newer than 1"):
            await begin(talk, good)
    [board] = (await lamp.link(api.ListBoards(re=1))).boards
    assert board.firmware.endswith(", 1")
    assert {name: lamp.board.files.read(name) for name in loader} == loader


@pytest.mark.parametrize(
    ("name", "why"),
    [("slots.py", "loader"), ("OTA.py", "loader"), ("ota_more/x.py", "loader"), ("a" * 70, "64 bytes")],
)
def test_what_a_board_would_refuse_is_not_sent(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "main.py").touch()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    with pytest.raises(LinkError, match=why):
        collect([tmp_path])


def test_a_release_is_a_whole_program_without_what_is_hidden(tmp_path: Path) -> None:
    for name in ("lib/drive.py", ".git/config", "__pycache__/main.pyc", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(LinkError, match=r"no main\.py"):
        collect([tmp_path])
    (tmp_path / "main.py").touch()
    assert [file.path for file in collect([tmp_path]).files] == ["lib/drive.py", "main.py"]
    assert collect([tmp_path / "main.py"]).version != collect([tmp_path]).version
