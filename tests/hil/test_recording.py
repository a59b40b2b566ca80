"""What happens in a gateway is recorded, and happens again with the same people, boards and clock."""

from __future__ import annotations

import gzip
import re
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import msgspec
import pytest

from boardtalk.events import Presence
from boardtalk.hil.record.command import replay
from boardtalk.hil.record.compare import divergence
from boardtalk.hil.record.entries import (
    AnyEntry,
    Dictionary,
    Gateway,
    Head,
    Link,
    RecordingError,
    encode,
    read,
    summary,
    writing,
)
from boardtalk.hil.record.player import play
from boardtalk.hil.record.regression import assert_as_recorded
from boardtalk.modules.iot_bridge.frames import Outcome
from boardtalk.modules.iot_bridge.service import api
from boardtalk.sdk import Message, Role
from boardtalk.witness import Came, Drew, Passed, Said, Told, public_url
from tests.scenarios import rig
from tests.scenarios.people import Person

DICE = '''\
"""Says what nobody can know beforehand."""
from boardtalk.sdk import CONSUMED, PASS, Message, Module


class Dice(Module):
    name = "dice"

    def on_message(self, message):
        if message.body != "roll":
            return PASS
        body = f"{self.context.random()} at {self.context.time()}"
        self.context.send(Message(sender=message.to, to=message.sender, body=body))
        return CONSUMED
'''
AFTER_S = 2.5
"""How long it goes on after the last word: until people are seen to be gone."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some seconds of a demo with a filter, dice, and people in it."""
    folder = tmp_path_factory.mktemp("recording")
    path = folder / "night.jsonl.gz"
    with rig.Gateway(folder / "state") as gateway:
        gateway.load("dice", DICE)
        (gateway.state / "conf.d" / "filter.conf").write_text("module filter {\n blocked_words = fool\n}\n")
        assert gateway.cli("reload").code == 0
        tokens = {name: gateway.token(name) for name in ("alice", "bob")}
        command = [*rig.PROGRAM, "record", str(path), "--state", str(gateway.state)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=rig.environment(), text=True) as recorder:
            assert recorder.stderr is not None
            assert "Ctrl-C ends it" in recorder.stderr.readline()
            with Person(gateway, "alice", tokens["alice"]) as alice, Person(gateway, "bob", tokens["bob"]):
                alice.do("forward 0.05 m")
                alice.do("fowrard 5")
                alice.do("battery")
                alice.say("bob: roll")
                alice.hears(" at ")
                alice.say("bob: you fool")
                alice.do("stop")
                alice.do("rearm")
            time.sleep(AFTER_S)
            recorder.send_signal(signal.SIGTERM)
            assert recorder.wait(20) == 0
        recorded = b"".join(map(encode, read(path))).decode()
        assert not [token for token in tokens.values() if token in recorded]
    return path


@pytest.fixture(scope="module")
def entries(recording: Path) -> list[AnyEntry]:
    return list(read(recording))


def test_the_gateway_does_again_what_it_did_then(entries: list[AnyEntry]) -> None:
    now = play(entries)
    assert divergence(entries, now) is None
    assert sum(isinstance(entry, Gateway) and isinstance(entry.seen, Passed) for entry in now) >= 7


def test_how_a_robot_is_may_be_told_twice(entries: list[AnyEntry]) -> None:
    """As when it is seen only after a re-arming that nobody has it for himself any more."""
    told = next(
        index
        for index, entry in enumerate(entries)
        if isinstance(entry, Gateway)
        and isinstance(entry.seen, Told)
        and isinstance(entry.seen.event, Presence)
        and entry.seen.event.address == "rover"
    )
    assert divergence([*entries[:told], entries[told], *entries[told:]], play(entries)) is None


def test_who_is_still_there_at_the_end_of_a_recording_does_not_go_then(entries: list[AnyEntry]) -> None:
    gone = next(
        index
        for index, entry in enumerate(entries)
        if isinstance(entry, Gateway) and isinstance(entry.seen, Came) and not entry.seen.online
    )
    assert divergence(entries[:gone], play(entries[:gone])) is None


def test_a_gateway_of_which_nobody_is_an_admin_is_played_too(entries: list[AnyEntry]) -> None:
    head, *rest = entries
    assert isinstance(head, Head)
    gateway = msgspec.structs.replace(head.gateway, users=dict.fromkeys(head.gateway.users, Role.OPERATOR))
    assert divergence(entries, play([msgspec.structs.replace(head, gateway=gateway), *rest])) is None


def test_twice_in_a_row_it_is_the_same_bit_for_bit(entries: list[AnyEntry]) -> None:
    first, second = (b"".join(map(encode, play(entries))) for _ in range(2))
    assert first == second


def test_what_a_module_saw_of_the_world_is_what_it_sees_again(entries: list[AnyEntry]) -> None:
    drawn = [entry.seen for entry in entries if isinstance(entry, Gateway) and isinstance(entry.seen, Drew)]
    values = [seen.value for seen in drawn if seen.instance == "dice"]
    assert len(values) == 2
    told = b"".join(map(encode, play(entries))).decode()
    assert f"{values[0]} at {values[1]}" in told


def test_another_verdict_of_a_module_is_told_with_message_and_module(entries: list[AnyEntry]) -> None:
    head, *rest = entries
    assert isinstance(head, Head)
    configuration = head.gateway.configuration.replace("blocked_words = fool", "blocked_words = other")
    gateway = msgspec.structs.replace(head.gateway, configuration=configuration)
    found = divergence(entries, play([msgspec.structs.replace(head, gateway=gateway), *rest]))
    assert found is not None
    assert found.where == "chain, alice → bob"
    assert "filter refused" in found.recorded or "filter consumed" in found.recorded
    assert "filter passed" in found.now


def test_another_byte_on_the_way_to_a_board_is_told_by_its_place_and_in_words(
    entries: list[AnyEntry],
) -> None:
    changed = [_six_instead_of_five(entry) for entry in entries]
    assert changed != entries
    found = divergence(entries, play(changed))
    assert found is not None
    assert found.where == "board rover"
    assert "forward distance 5 cm" in found.recorded
    assert "forward distance 6 cm" in found.now
    assert "byte 0 of the arguments: 05 then, 06 now" in str(found)


def _six_instead_of_five(entry: AnyEntry) -> AnyEntry:
    match entry:
        case Gateway(Said(at, message)) if message.body == "forward 0.05 m":
            return Gateway(Said(at, message.with_(body="forward 0.06 m")))
    return entry


def test_a_board_that_answered_something_else_is_noticed(entries: list[AnyEntry]) -> None:
    def failed(entry: AnyEntry) -> AnyEntry:
        match entry:
            case Link(api.Heard(event=api.Result(outcome=Outcome.DONE) as result) as heard):
                event = msgspec.structs.replace(result, outcome=Outcome.FAILED, detail="stalled")
                return Link(msgspec.structs.replace(heard, event=event))
        return entry

    found = divergence(entries, play(map(failed, entries)))
    assert found is not None
    assert "done" in found.recorded
    assert "failed" in found.now


def test_the_command_says_so_and_makes_a_test_of_it(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(recording, make_test=tmp_path / "test_night.py") == 0
    assert "as recorded: " in capsys.readouterr().out
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:hypothesispytest", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert "1 passed" in ran.stdout, ran.stdout


def test_logins_and_queries_of_urls_are_left_out() -> None:
    assert public_url("https://me:canary@example.org/v1?key=canary") == "https://example.org/v1"
    assert public_url("http://example.org/a@b") == "http://example.org/a@b"


def test_what_was_torn_is_read_to_the_tear_and_that_is_told(recording: Path, tmp_path: Path) -> None:
    text = gzip.decompress(recording.read_bytes())
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(text[: len(text) // 2])
    told: list[str] = []
    found = list(read(torn, told.append))
    assert len(found) == text[: len(text) // 2].count(b"\n")
    [why] = told
    assert why.startswith(
        f"{torn}:{len(found) + 1}: the recording ends here, and is incomplete: the recorder"
    )
    with pytest.raises(RecordingError, match="is incomplete"):
        list(read(torn))


def test_a_damaged_recording_is_read_and_played_to_the_damage(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = gzip.decompress(recording.read_bytes())
    damaged = tmp_path / "damaged.jsonl.gz"
    (tmp_path / "made").mkdir()
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(text[: len(text) // 2]) + packer.flush(zlib.Z_FULL_FLUSH)
    damaged.write_bytes(packed + b"\x07")  # no block begins so
    assert replay(damaged, make_test=tmp_path / "made" / "test_it.py") == 0
    out = capsys.readouterr()
    assert "as recorded: " in out.out
    assert_as_recorded(tmp_path / "made" / damaged.name)
    assert re.search(
        r"damaged.jsonl.gz:\d+: the recording ends here, and is incomplete: it is damaged", out.err
    )
    damaged.write_bytes(packed[:10] + b"\x07")
    with pytest.raises(RecordingError, match=r"damaged.jsonl.gz:1: no entry of a recording"):
        replay(damaged)


@pytest.mark.parametrize("name", ["full.jsonl", "full.jsonl.gz"])
def test_a_full_disk_is_told_by_name_and_the_recording_is_incomplete(tmp_path: Path, name: str) -> None:
    full = tmp_path / name
    full.symlink_to("/dev/full")
    told = f"{name}: can't be written: No space left .* is incomplete"
    with pytest.raises(RecordingError, match=told), writing(full) as write:
        for _ in range(1000):
            write(Dictionary("", "x" * 1000))


def test_a_whole_recording_says_nothing_of_its_end(recording: Path) -> None:
    told: list[str] = []
    assert len(list(read(recording, told.append))) > 10
    assert told == []


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([], "nothing happened"),
        ([Gateway(Said(1.0, Message(sender="ann", to="bob", body="hi")))], "1 message"),
        (
            [Link(api.Traffic(at=1.0, board="r", down=True, data=b"")) for _ in range(2)],
            "2 pieces of traffic",
        ),
    ],
)
def test_what_there_is_is_said_in_numbers(entries: list[AnyEntry], words: str) -> None:
    assert summary(entries) == words


def test_no_recording_is_refused_by_name_and_line(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text("what?\n")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(RecordingError, match=r"empty.jsonl: there is nothing in it: the recorder was killed"):
        list(read(tmp_path / "empty.jsonl"))
    with pytest.raises(RecordingError, match=r"wrong.jsonl:1: no entry of a recording"):
        list(read(wrong))
    with pytest.raises(RecordingError, match=r"missing.jsonl: can't be read: No such file"):
        list(read(tmp_path / "missing.jsonl"))
