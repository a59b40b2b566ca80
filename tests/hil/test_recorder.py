"""The fixture `recorder`: a test of a robot that can be played again, with and without boards."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

from boardtalk.hil.plugin.chats import Chat
from boardtalk.hil.plugin.recorder import Recorder
from boardtalk.hil.record.entries import Gateway, read
from boardtalk.hil.record.regression import assert_as_recorded
from boardtalk.witness import Said
from tests.scenarios.rig import boardtalk, environment

FAILS = """
    def test_it(chat, recorder):
        chat.send("rover", "forward 5")
        assert False
"""


def test_what_a_test_does_is_recorded_until_it_ends_that(chat: Chat, recorder: Recorder) -> None:
    chat.send("rover", "forward 5")
    recorder.end()
    chat.send("rover", "battery")
    seen = [entry.seen for entry in read(recorder.path) if isinstance(entry, Gateway)]
    assert [each.message.body for each in seen if isinstance(each, Said)] == ["forward 5"]
    assert_as_recorded(recorder.path)


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
