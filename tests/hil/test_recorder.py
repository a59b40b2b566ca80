"""The fixture `recorder`: a test of a robot that can be played again, with and without boards."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from boardtalk.hil.plugin import gateways as plugin
from boardtalk.hil.plugin.chats import Chat
from boardtalk.hil.plugin.recorders import Recorder
from boardtalk.hil.record.entries import Gateway, RecordingError, encode, read
from boardtalk.hil.record.player import play
from boardtalk.hil.record.regression import assert_as_recorded
from boardtalk.witness import Drew, Said
from tests.scenarios.rig import boardtalk, environment

DICE = """
    from boardtalk.sdk import CONSUMED, PASS, Message, Module

    class Dice(Module):
        name = "dice"

        def on_message(self, message):
            if message.body != "roll":
                return PASS
            for _ in range(50_000 if message.to == "carl" else 0):
                self.context.now()
            body = f"{self.context.random()} at {self.context.time()}"
            self.context.send(Message(sender=message.to, to=message.sender, body=body))
            return CONSUMED
"""
FAILS = """
    def test_it(chat, recorder):
        chat.send("rover", "forward 5")
        assert False
"""


@pytest.fixture
def gateway_conf(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if "alone" not in request.node.name:
        return ""
    (tmp_path / "dice.py").write_text(textwrap.dedent(DICE))
    blocks = "module dice {\n  isolate = yes\n}\nuser bob {\n}\nuser carl {\n}\n"
    return f"module_folders = {tmp_path}\n{blocks}"


@pytest.fixture
def full_disk(tmp_path: Path) -> None:
    """Where the recorder writes, nothing is left."""
    (tmp_path / "recording.jsonl").symlink_to("/dev/full")


def test_what_a_module_in_a_process_alone_saw_of_the_world_is_what_it_sees_again(
    chat: Chat, recorder: Recorder
) -> None:
    chat.send("bob", "roll")
    said = chat.hears(" at ").text
    recorder.end()
    entries = [*read(recorder.path)]
    drawn = [entry.seen for entry in entries if isinstance(entry, Gateway) and isinstance(entry.seen, Drew)]
    assert said == " at ".join(str(seen.value) for seen in drawn if seen.instance == "dice")
    assert said in b"".join(map(encode, play(entries))).decode()
    assert_as_recorded(recorder.path)


def test_a_module_in_a_process_alone_that_sees_too_much_is_recorded_in_part_and_goes_on(
    chat: Chat, recorder: Recorder
) -> None:
    chat.send("carl", "roll")
    chat.hears(" at ")
    chat.send("bob", "roll")
    chat.hears(" at ")
    recorder.end()
    drawn = [entry.seen for entry in read(recorder.path) if isinstance(entry, Gateway)]
    assert 100 < sum(isinstance(seen, Drew) and seen.instance == "dice" for seen in drawn) < 20_000


def test_what_a_test_does_is_recorded_until_it_ends_that(chat: Chat, recorder: Recorder) -> None:
    chat.send("rover", "forward 5")
    recorder.end()
    chat.send("rover", "battery")
    seen = [entry.seen for entry in read(recorder.path) if isinstance(entry, Gateway)]
    assert [each.message.body for each in seen if isinstance(each, Said)] == ["forward 5"]
    assert_as_recorded(recorder.path)


def test_a_full_disk_is_told_and_the_gateway_goes_on(
    full_disk: None, gateway: plugin.Gateway, chat: Chat, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(RecordingError, match=r"recording.jsonl: can't be written: No space left on device"):
        recorder = request.getfixturevalue("recorder")  # it tells as soon as its buffer is full
        for _ in range(30):
            assert chat.send("rover", "battery").state == "done"
        recorder.end()
    done = boardtalk("record", "/dev/full", "--seconds", "1", state=gateway.folder)
    assert done.code == 2
    assert "/dev/full: can't be written: No space left on device; the recording is incomplete" in done.text
    assert chat.send("rover", "battery").state == "done"


async def test_an_async_test_awaits_its_end(chat: Chat, recorder: Recorder) -> None:
    assert (await chat.send("rover", "battery")).state == "done"
    await recorder.end()
    assert "battery" in recorder.path.read_text()


def test_the_report_of_a_failed_test_names_the_recording_which_is_kept(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(textwrap.dedent(FAILS))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--basetemp={tmp_path / 'kept'}",
    ]
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=100, check=False
    )
    [line] = [line for line in ran.stdout.splitlines() if line.startswith("recording: ")]
    path = line.removeprefix("recording: ").partition(";")[0]
    done = boardtalk("replay", path)
    assert done.code == 0, done.text
