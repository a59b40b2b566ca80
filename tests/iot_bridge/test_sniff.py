"""What goes over a line is shown frame by frame, in words; files of it open in Wireshark."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boardtalk.frontends import control
from boardtalk.hil.record import entries
from boardtalk.modules.iot_bridge import frames
from boardtalk.modules.iot_bridge.dictionary import digest, parse
from boardtalk.modules.iot_bridge.errors import LinkError
from boardtalk.modules.iot_bridge.frames import Kind, Outcome, Type
from boardtalk.modules.iot_bridge.link import framing
from boardtalk.modules.iot_bridge.service import api
from boardtalk.modules.iot_bridge.sniff import command, pcapng, sources
from boardtalk.modules.iot_bridge.sniff.command import sniff
from boardtalk.modules.iot_bridge.sniff.decoder import Check, Decoder, Seen
from boardtalk.modules.iot_bridge.sniff.dissector import lua
from boardtalk.modules.iot_bridge.sniff.seed import seed_of
from boardtalk.modules.iot_bridge.trace import describe, words

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/frames.json").read_text())
TEXT = json.dumps(
    {
        "name": "rover",
        "commands": [
            {
                "name": "forward",
                "class": "motion",
                "args": [{"name": "distance", "type": "int", "unit": "cm"}],
                "returns": [{"name": "x", "type": "float", "unit": "cm"}],
            }
        ],
        "telemetry": [{"name": "battery", "values": [{"name": "battery", "type": "float", "unit": "V"}]}],
        "events": [{"name": "bumped"}],
        "controls": [{"name": "drive", "args": [{"name": "left", "type": "int"}]}],
    }
).encode()
HASH = digest(TEXT)
SEED = frames.session_seed(7, 9, HASH)
COMMAND = frames.CommandHead.build(dict.fromkeys(("deadline", "epoch", "lease"), 5) | {"id": 77})


def wire(kind: Kind, type_: int, payload: bytes = b"", seq: int = 0, seed: int = SEED, **more: bool) -> bytes:
    seed = 0 if kind is Kind.HELLO else seed
    return framing.encode(kind, type_, payload, seq=seq, ack=3, retry=False, seed=seed, **more)


def hello() -> bytes:
    texts = {"uid": "e661", "name": "rover", "firmware": "boardtalk 0.1.0"}
    numbers = {"version": 1, "host_nonce": 7, "boot_nonce": 9, "dictionary": HASH, "reset_cause": 1}
    rest = {"last_command": 0, "epoch": 0, "latched": False, "max_payload": 243, "window": 16, "buffer": 1024}
    return wire(Kind.HELLO, Type.HELLO, frames.HelloBoard.build(numbers | rest | texts))


def look(*pieces: bytes, down: bool | None = None, decoder: Decoder | None = None) -> list[Seen]:
    decoder = decoder or Decoder()
    return [seen for piece in pieces for seen in decoder.feed(1.0, down, piece)]


def result(x: bytes = bytes(4)) -> bytes:
    return frames.ResultHead.build({"id": 77, "outcome": Outcome.DONE}) + x


def test_a_command_and_its_result_are_shown_in_the_words_of_the_dictionary() -> None:
    decoder = Decoder(find={HASH: TEXT}.get)
    greeted, asked, answered = look(
        hello(),
        wire(Kind.DATA, Type.COMMAND, COMMAND + (20).to_bytes(4, "little"), seq=5),
        wire(Kind.DATA, Type.RESULT, result(), seq=2),
        decoder=decoder,
    )
    assert "HELLO (version 1, host_nonce 7, boot_nonce 9" in greeted.words
    assert (asked.down, answered.down) == (True, False)
    assert asked.label == "DATA 5 ack 3"
    assert asked.words == "COMMAND forward distance 20 cm (deadline 5, id 77, epoch 5, lease 5)"
    assert answered.words == "RESULT x 0 cm (id 77, outcome DONE)"
    assert {seen.check for seen in (greeted, asked, answered)} == {Check.GOOD}


def test_the_commands_in_a_batch_are_shown_and_their_results_too() -> None:
    first = COMMAND + (20).to_bytes(4, "little")
    second = COMMAND.replace(b"M", b"N") + (30).to_bytes(4, "little")
    batch = b"".join(
        frames.BatchItem.build({"type": Type.COMMAND, "size": len(each)}) + each for each in (first, second)
    )
    decoder = Decoder(find={HASH: TEXT}.get)
    _, asked, answered = look(
        hello(),
        wire(Kind.DATA, Type.BATCH, batch, seq=5),
        wire(Kind.DATA, Type.RESULT, result(), seq=2),
        decoder=decoder,
    )
    assert asked.down
    assert asked.words == (
        "BATCH COMMAND forward distance 20 cm (deadline 5, id 77, epoch 5, lease 5)"
        " + COMMAND forward distance 30 cm (deadline 5, id 78, epoch 5, lease 5)"
    )
    assert answered.words == "RESULT x 0 cm (id 77, outcome DONE)"
    command = parse(TEXT).commands[0]
    sent = api.Progress(
        board="rover", id=78, stage=api.Stage.SENT, frame=wire(Kind.DATA, Type.BATCH, batch, seq=5), tries=1
    )
    assert "DATA 5, with others: COMMAND forward distance 30 cm (deadline 5, id 78," in describe(
        sent, command
    )


def test_a_dictionary_is_learned_from_the_line_itself() -> None:
    cut = 200
    pieces = [(0, TEXT[:cut]), (cut, TEXT[cut:])]
    bodies = [
        frames.Dictionary.build({"offset": at, "total": len(TEXT), "data": data}) for at, data in pieces
    ]
    telemetry = wire(Kind.DGRAM, Type.TELEMETRY, b"\0\0\x04A")
    *_, before = look(hello(), telemetry)
    assert before.words == "TELEMETRY 0 00 00 04 41"
    *_, after = look(hello(), *(wire(Kind.DATA, Type.DICTIONARY, body) for body in bodies), telemetry)
    assert after.words == "TELEMETRY battery 8.25 V"


def test_who_comes_in_mid_session_sees_checked_frames_from_the_second_one_on() -> None:
    first, second, broken, third = look(
        wire(Kind.URGENT, Type.STOP, b"\1\0"),
        wire(Kind.DATA, Type.NONE, seq=9),
        wire(Kind.DATA, Type.NONE, seq=10, seed=SEED + 1),
        wire(Kind.DATA, Type.NONE, seq=11),
    )
    assert first.words == "STOP (epoch 1)"
    assert [seen.check for seen in (first, second, broken, third)] == [
        Check.UNKNOWN,
        Check.GOOD,
        Check.BAD,
        Check.GOOD,
    ]


def test_console_text_and_noise_are_told_apart_from_frames() -> None:
    text, noise, frame = look(b"Traceback: \x1b[31moops\r\n\0\xff\x01\0" + wire(Kind.ACK, 0, bytes(6)))
    assert (text.label, text.words) == ("text", "Traceback: [31moops"), "no escape reaches the terminal"
    assert (noise.label, noise.check) == ("noise", Check.BAD)
    assert (frame.words, frame.down) == ("(sack 0, credit 0)", None)


def test_a_message_in_pieces_is_shown_whole_with_its_last_one_whatever_is_repeated() -> None:
    payload = COMMAND + (500).to_bytes(4, "little")
    first = wire(Kind.DATA, Type.COMMAND, payload[:6], seq=255, more=True)
    last = wire(Kind.DATA, Type.COMMAND, payload[6:], seq=0)
    *_, whole = look(hello(), first, first, last, last, decoder=Decoder(find={HASH: TEXT}.get))
    assert whole.words.startswith("COMMAND forward distance 500 cm")


@given(st.binary(min_size=10, max_size=253), st.integers(0, 2**32 - 1))
def test_the_seed_of_any_frame_can_be_computed(covered: bytes, seed: int) -> None:
    body = framing.pack(Kind.DATA, 0, covered[:243], seq=1, ack=2, retry=False, seed=seed)
    assert seed_of(body) == seed


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_every_golden_frame_is_read(vector: Any) -> None:
    [seen] = look(bytes.fromhex(vector["wire"]))
    assert seen.raw.hex() == vector["raw"]
    assert seen.size == len(vector["wire"]) // 2


@given(st.lists(st.binary(max_size=300)), st.sampled_from([True, False, None]))
def test_nothing_that_a_line_carries_breaks_the_decoder(pieces: list[bytes], down: bool | None) -> None:
    decoder = Decoder(find={HASH: TEXT}.get)
    look(hello(), *pieces, down=down, decoder=decoder)
    *_, last = look(b"\0", wire(Kind.URGENT, Type.STOP, b"\1\0"), down=True, decoder=decoder)
    assert last.words == "STOP (epoch 1)"


@given(st.sampled_from(Kind), st.integers(0, 0xFFFF), st.binary(max_size=243), st.booleans())
def test_any_payload_can_be_told_in_one_line(kind: Kind, type_: int, payload: bytes, down: bool) -> None:
    said = words(kind, type_, payload, down=down)
    assert said.isprintable()


packets = st.builds(
    pcapng.Packet,
    st.integers(0, 2**41).map(lambda micro: micro / 1_000_000),
    st.sampled_from([pcapng.FRAMES, pcapng.TEXT]),
    st.sampled_from([True, False, None]),
    st.binary(max_size=300),
    st.text(max_size=50),
)


@given(st.lists(packets))
def test_what_is_written_as_pcapng_is_read_again(sent: list[pcapng.Packet]) -> None:
    file = io.BytesIO()
    writer = pcapng.Writer(file)
    for packet in sent:
        writer.put(packet)
    file.seek(0)
    assert list(pcapng.read(file)) == sent


def test_a_torn_file_is_read_to_the_tear_and_the_place_named(tmp_path: Path) -> None:
    path = tmp_path / "torn.pcapng"
    with path.open("wb") as file:
        writer = pcapng.Writer(file)
        writer.put(pcapng.Packet(1.0, pcapng.FRAMES, True, b"one"))
        whole = file.tell()
        writer.put(pcapng.Packet(2.0, pcapng.FRAMES, True, b"two"))
    path.write_bytes(path.read_bytes()[:-5])
    read = []
    with path.open("rb") as file, pytest.raises(LinkError, match=f"damaged at byte {whole}"):
        read += [packet.data for packet in pcapng.read(file)]


def test_a_raw_capture_becomes_a_pcapng_that_says_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, exported = tmp_path / "line.bin", tmp_path / "line.pcapng"
    raw.write_bytes(hello() + b"booted\n" + wire(Kind.URGENT, Type.STOP, b"\1\0"))
    assert sniff(str(raw), write=exported, state=tmp_path) == 0
    first = capsys.readouterr()
    assert "STOP (epoch 1)" in first.out
    assert "3 good" in first.err
    assert sniff(str(exported), state=tmp_path, only=("stop",)) == 0
    again = capsys.readouterr().out
    assert again.count("\n") == 1
    assert "→ URGENT ack 3" in again


def recorded(path: Path) -> Path:
    """From the middle of a session: two boards that nobody greeted, and what one is comes last."""
    about = control.Recording("0.1.0", "3.11", "", {}, [], {}, 1)
    described = api.BoardChanged(
        name="rover",
        uid="e661",
        port="",
        firmware="",
        state=api.BoardState.READY,
        epoch=0,
        dictionary=HASH.hex(),
    )
    lines = [
        api.Traffic(
            at=51.0, board="rover", down=True, data=wire(Kind.DATA, Type.COMMAND, COMMAND + b"\x14\0\0\0")
        ),
        api.Traffic(at=51.5, board="arm", down=False, data=wire(Kind.DATA, Type.STARTED, bytes(4), seed=3)),
        api.Traffic(at=52.0, board="rover", down=False, data=wire(Kind.DATA, Type.RESULT, result(), seq=2)),
        api.Traffic(at=52.5, board="rover", down=False, data=b"hello >"),
    ]
    all_ = [
        entries.Head(entries.FORMAT, utc=1000.0, clock=50.0, gateway=about),
        *map(entries.Link, lines),
        entries.Link(api.Heard(at=53.0, event=described)),
        entries.Dictionary(HASH.hex(), TEXT.decode()),
    ]
    with entries.writing(path) as write:
        for entry in all_:
            write(entry)
    return path


@pytest.mark.parametrize("name", ["night.jsonl", "night.jsonl.gz"])
def test_a_recording_is_shown_line_by_line_of_its_boards(tmp_path: Path, name: str) -> None:
    path = recorded(tmp_path / name)
    command, started, answer, text = sources.file(path, Decoder())
    assert [each.board for each in (command, started, answer, text)] == ["rover", "arm", "rover", "rover"]
    assert (command.at, command.down, command.words[:30]) == (1001.0, True, "COMMAND forward distance 20 cm")
    assert (answer.at, answer.down, answer.check) == (1002.0, False, Check.GOOD)
    assert "RESULT x 0 cm" in answer.words
    assert (text.label, text.words) == ("text", "hello >")
    assert [each.board for each in sources.file(path, Decoder(), "arm")] == ["arm"]
    with pytest.raises(LinkError, match="line of 'lamp'; there are rover, arm"):
        sniff(str(path), board="lamp", state=tmp_path)


def test_a_recording_that_is_torn_or_damaged_is_shown_up_to_there(tmp_path: Path) -> None:
    path = recorded(tmp_path / "night.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert len(list(sources.file(path, Decoder()))) == 4
    path.write_bytes(whole.replace(b"traffic", b"traffik", 1))
    with pytest.raises(LinkError, match=r"night.jsonl:2: no entry of a recording"):
        list(sources.file(path, Decoder()))
    path.write_bytes(whole.replace(b'"format":1', b'"format":9'))
    with pytest.raises(LinkError, match="format 9"):
        list(sources.file(path, Decoder()))
    zipped = recorded(tmp_path / "torn.jsonl.gz")
    zipped.write_bytes(zipped.read_bytes()[:-60])
    assert len(list(sources.file(zipped, Decoder()))) == 4


async def test_what_can_not_be_shown_while_the_line_is_silent_ends_it(tmp_path: Path) -> None:
    async def line() -> AsyncGenerator[sources.Bytes]:
        yield sources.Bytes(1.0, None, b"no line end >")
        await asyncio.sleep(30)

    def full(seen: Seen) -> None:
        raise LinkError("/dev/full: can't be written")

    with pytest.raises(LinkError, match="can't be written"):
        await command._live(line(), Decoder(), full)


def test_a_full_disk_is_told_once(tmp_path: Path) -> None:
    path = recorded(tmp_path / "night.jsonl")
    with pytest.raises(LinkError, match="/dev/full: can't be written: No space left"):
        sniff(str(path), write=Path("/dev/full"), state=tmp_path)


def test_a_wrong_filter_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match=r"'stopp' is no kind .* there are ack, "):
        sniff("rover", only=("stopp",), state=tmp_path)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")
def test_wireshark_shows_the_fields_of_frames(tmp_path: Path) -> None:
    capture, dissector = tmp_path / "line.pcapng", tmp_path / "boardtalk.lua"
    dissector.write_text(lua())
    raw = tmp_path / "line.bin"
    payload = COMMAND + (20).to_bytes(4, "little")
    raw.write_bytes(
        hello()
        + b"booted\n"
        + wire(Kind.DATA, Type.COMMAND + 4, payload, seq=5)
        + wire(Kind.DATA, Type.SETPOINT + 1, bytes([1, 0, 244, 1, 0, 0, 9]))
        + wire(Kind.DATA, Type.RESULT, result())
        + wire(Kind.LOG, 0, b"\x1ehot")
    )
    sniff(str(raw), write=capture, state=tmp_path)
    shown = tshark(capture, dissector)
    assert [packet["_ws.col.Info"] for packet in shown] == [
        "HELLO HELLO",
        "booted\\n",
        "DATA 5 COMMAND",
        "DATA 0 SETPOINT",
        "DATA 0 RESULT",
        "LOG NONE",
    ]
    greeted, _, command, point, answer, log = shown
    assert greeted["boardtalk.hello_board.uid"] == "e661"
    assert greeted["boardtalk.hello_board.boot_nonce"] == "9"
    assert (command["boardtalk.index"], command["boardtalk.command_head.id"]) == ("4", "77")
    assert command["boardtalk.values"] == "14000000"
    assert (point["boardtalk.index"], point["boardtalk.setpoint_head.lease"]) == ("1", "500")
    assert answer["boardtalk.result_head.outcome"] == "0"
    assert (log["boardtalk.log_body.level"], log["boardtalk.log_body.text"]) == ("30", "686f74")
    assert not any(packet["_ws.malformed"] or packet["_ws.lua.error"] for packet in shown)


FIELDS = (
    "_ws.col.Info",
    "_ws.malformed",
    "_ws.lua.error",
    "boardtalk.index",
    "boardtalk.values",
    "boardtalk.hello_board.uid",
    "boardtalk.hello_board.boot_nonce",
    "boardtalk.command_head.id",
    "boardtalk.setpoint_head.lease",
    "boardtalk.result_head.outcome",
    "boardtalk.log_body.level",
    "boardtalk.log_body.text",
)


def tshark(capture: Path, dissector: Path) -> list[dict[str, str]]:
    """The packets of a capture as Wireshark sees them."""
    wanted = [argument for field in FIELDS for argument in ("-e", field)]
    command = ["tshark", "-X", f"lua_script:{dissector}", "-r", str(capture), "-T", "fields", *wanted]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in ran.stdout.splitlines()]
