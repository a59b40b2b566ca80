"""Board definitions: those that come with boardtalk, files of one's own, and what is said of wrong ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from boardtalk import boards
from boardtalk.boards.__main__ import schema

SHIPPED = boards.folders()[0]
SCHEMA = Path(__file__).parents[2] / "docs" / "board.schema.json"
MINIMAL = """\
name = "My board"
mcu = "esp32c3"
port = "esp32"

[[usb]]
id = "303a:1001"

[[usb]]
id = "1a86:7523"
bridge = true

[bootloader]
entry = ["dtr-rts"]

[flash]
protocol = "esp"
"""


def wrong(tmp_path: Path, text: str) -> str:
    """What is said of a file; without its folder."""
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(boards.DefinitionError) as caught:
        boards.read(file)
    return str(caught.value).removeprefix(f"{tmp_path}/")


@pytest.fixture(autouse=True)
def no_folder_of_mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_the_boards_that_are_promised_are_there_and_all_are_valid() -> None:
    known = boards.definitions()
    assert {"pico", "pico-w", "pico2", "esp32", "esp32-c3", "esp32-s3", "esp8266", "microbit"} <= set(known)
    assert {"stm32f405-dfu", "stm32f405-uart", "emulated-esp32c3", "emulated-stm32f405"} <= set(known)


def test_whoever_has_no_image_reads_where_to_get_one() -> None:
    for id_, each in boards.definitions().items():
        emulated = id_.startswith("emulated-")
        assert emulated or each.definition.image or each.definition.url.startswith("https://"), id_


def test_a_board_in_its_loader_is_no_port_to_be_opened_for_a_greeting() -> None:
    ids = boards.usb_ids()
    assert (0x2E8A, 0x0005) in ids
    assert (0x10C4, 0xEA60) in ids
    assert (0x2E8A, 0x0003) not in ids
    assert (0x0483, 0xDF11) not in ids


@pytest.mark.parametrize(
    ("given", "instead", "says"),
    [
        ('protocol = "esp"', 'protocol = "esp"\nbauds = 1', "mine.toml:17: flash.bauds: unknown key 'bauds'"),
        ("bridge = true", "bridges = true", "mine.toml:10: usb[1].bridges: unknown key 'bridges'; did you"),
        ('mcu = "esp32c3"', 'mcu = "esp32c3"\nzzz = 1', "mine.toml:3: zzz: unknown key 'zzz'; known: name, "),
        ('id = "1a86:7523"', 'id = "1A86"', "mine.toml:9: usb[1].id: Expected `str` matching regex"),
        ('entry = ["dtr-rts"]', 'entry = ["dtr"]', "mine.toml:13: bootloader.entry[0]: Invalid enum value"),
        ('entry = ["dtr-rts"]', 'entry = ["button"]', "mine.toml: bootloader.hint is missing"),
        ('mcu = "esp32c3"\n', "", "mine.toml: Object missing required field `mcu`"),
        ("[flash]", "[flash", "mine.toml: Expected ']' at the end of a table declaration (at line 15"),
        ('protocol = "esp"', "baud = 9600", "mine.toml:15: flash: Object missing required field `protocol`"),
        ('protocol = "esp"', 'protocol = "esp"\nbaud = 3', "mine.toml:17: flash.baud: Expected `int` >="),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_line_and_key(
    tmp_path: Path, given: str, instead: str, says: str
) -> None:
    assert given in MINIMAL
    assert wrong(tmp_path, MINIMAL.replace(given, instead, 1)).startswith(says)


def test_a_folder_of_mine_overrides_what_is_shipped(tmp_path: Path) -> None:
    folder = boards.user_folder()
    assert folder == tmp_path / "config" / "boardtalk" / "boards"
    folder.mkdir(parents=True)
    (folder / "pico.toml").write_text(MINIMAL)
    assert boards.definition("pico").definition.name == "My board"
    assert boards.definition("pico").path == folder / "pico.toml"
    (tmp_path / "pico.toml").write_text(MINIMAL.replace("My board", "This once"))
    assert boards.definition("pico", [*boards.folders(), tmp_path]).definition.name == "This once"


def test_a_broken_definition_that_is_overridden_hurts_nobody(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, text in ((first, "nonsense"), (second, MINIMAL)):
        folder.mkdir()
        (folder / "mine.toml").write_text(text)
    assert set(boards.definitions([first, second])) == {"mine"}


def test_an_unknown_board_is_told_the_nearest() -> None:
    with pytest.raises(boards.DefinitionError, match=r"no board 'esp32c3'; did you mean esp32-c3\?"):
        boards.definition("esp32c3")


def test_the_schema_for_editors_is_up_to_date() -> None:
    current = json.loads(msgspec.json.encode(schema()))
    assert json.loads(SCHEMA.read_text()) == current, "python -m boardtalk.boards > docs/board.schema.json"


# The commands ---------------------------------------------------------------------------------------


def boardtalk(*words: str, rc: int = 0) -> tuple[str, str]:
    """Run a command; what it says, and its errors."""
    command = [sys.executable, "-m", "boardtalk", "boards", *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == rc, ended.stderr
    return ended.stdout, ended.stderr


def test_the_commands_list_show_and_check(tmp_path: Path) -> None:
    assert "Raspberry Pi Pico 2" in boardtalk("list")[0]
    assert json.loads(boardtalk("list", "--json")[0])["pico"]["flash"]["protocol"] == "uf2"
    said, errors = boardtalk("show", "pico")
    assert said == (SHIPPED / "pico.toml").read_text()
    assert f"yours would be {tmp_path}/config/boardtalk/boards/pico.toml" in errors
    assert "all right" in boardtalk("validate")[0]


def test_validate_tells_all_that_is_wrong(tmp_path: Path) -> None:
    good, bad, worse = (tmp_path / f"{name}.toml" for name in ("good", "bad", "worse"))
    good.write_text(MINIMAL)
    bad.write_text(MINIMAL + "speed = 1\n")
    _, errors = boardtalk("validate", str(good), str(bad), str(worse), rc=1)
    assert f"{bad}:17: flash.speed: unknown key 'speed'" in errors
    assert f"{worse}: can't be read" in errors
