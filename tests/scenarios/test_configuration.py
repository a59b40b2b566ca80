"""`boardtalk check`: what is wrong with a file, and where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .rig import boardtalk

GOOD = """\
# all kinds of blocks
log_level = debug
broker {
  port = 18830   # a comment
}
module iot_bridge {
  adopt = all
}
user alice {
  role = operator
}
group team {
  members = alice, rover
}
board rover {
  uid = 0123456789abcdef
  port = auto
  lease = 500
}
"""


def check(folder: Path, content: str | bytes) -> tuple[int, str]:
    """Exit code and words for a file of this content."""
    file = folder / "gateway.conf"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    answer = boardtalk("check", str(file))
    return answer.code, answer.text.replace(str(file), "FILE")


def test_a_good_file_is_fine(tmp_path: Path) -> None:
    code, words = check(tmp_path, GOOD)
    assert code == 0, words


@pytest.mark.parametrize(
    "block",
    [
        "module iot_bridge",
        "module iot_bridge{\n}\n",
        "module  iot_bridge  {  \n  adopt=all  \n}  \n",
        "module = iot_bridge {\n\tadopt\t=\tall\n}",
        "module=iot_bridge{\r\n  adopt = all\r\n}\r\n",
    ],
    ids=repr,
)
def test_old_and_loose_spellings_are_read(tmp_path: Path, block: str) -> None:
    code, words = check(tmp_path, block)
    assert code == 0, words


@pytest.mark.parametrize(
    ("content", "place", "hint"),
    [
        pytest.param("modul iot_bridge {\n}\n", "1:1", "module", id="kind of block"),
        pytest.param("module iot_brigde {\n}\n", "1:", "iot_bridge", id="name of module"),
        pytest.param("broker {\n  prot = 1883\n}\n", "2:3", r"\bport\b", id="key"),
        pytest.param("broker {\n  port = soon\n}\n", "2:", "port", id="type of value"),
        pytest.param("broker {\n  port = 99999999\n}\n", "2:", "port", id="range of value"),
        pytest.param("user alice {\n  role = king\n}\n", "2:", "operator", id="choice"),
        pytest.param("user Al/ice {\n}\n", "1:", "address|Al/ice", id="address"),
        pytest.param("group team {\n}\n", "1:", "members", id="missing key"),
        pytest.param("broker {\n  por", "2:", "=", id="cut off in a key"),
        pytest.param("broker {\n}\n}\n", "3:", "}", id="brace too many"),
        pytest.param("broker {\n\n  = 7\n}\n", "3:", "", id="no key"),
        pytest.param("port = 7\nhello world\n", "2:|1:", "", id="words"),
        pytest.param(b"broker {\n  host = \xff\xfe\n}\n", "2:", "UTF-8", id="no UTF-8"),
        pytest.param(b"broker {\n  host = a\0b\n}\n", "2:", "", id="NUL"),
        pytest.param(bytes(range(256)) * 20, "\\d+:", "", id="binary"),
        pytest.param(b"\x1f\x8b\x08" + b"\xa5" * 500, "1:", "", id="compressed"),
        pytest.param("{" * 50_000, "1:", "", id="only braces"),
        pytest.param("x" * 1_000_000, "1:", "", id="one long line"),
    ],
)
def test_a_bad_file_is_refused_with_the_place_and_a_hint(
    tmp_path: Path, content: str | bytes, place: str, hint: str
) -> None:
    code, words = check(tmp_path, content)
    assert code == 2
    assert re.search(rf"FILE:({place})", words), words[:500]
    assert re.search(r"FILE:\d+:\d+", words), words[:500]
    assert re.search(hint, words), words[:500]
    assert len(words) < 5000


def test_a_file_cut_off_anywhere_is_fine_or_refused_but_never_crashes(tmp_path: Path) -> None:
    for length in range(0, len(GOOD), 47):
        code, words = check(tmp_path, GOOD[:length])
        assert code in (0, 2), words
        assert code == 0 or re.search(r"FILE:\d+:\d+", words), words


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    _, words = check(tmp_path, "broker {\n  prot = 1\n}\nuser alice {\n  rule = viewer\n}\n")
    assert "FILE:2:" in words
    assert "FILE:5:" in words


def test_members_and_owners_of_groups_that_are_no_users_are_told_with_the_nearest_name(
    tmp_path: Path,
) -> None:
    team = "group team {\n  members = alice, alcie, rover, zoe\n  owner = alise\n}\n"
    code, words = check(tmp_path, GOOD.replace(GOOD[GOOD.index("group") : GOOD.index("board r")], team))
    assert code == 0, "they may be added later"
    assert "FILE: fine" in words
    for expected in (
        "warning: FILE:13:3: members: no block makes 'alcie' a user (did you mean 'alice'?)",
        "warning: FILE:13:3: members: no block makes 'zoe' a user; `boardtalk user add",
        "warning: FILE:14:3: owner: no block makes 'alise' a user (did you mean 'alice'?)",
    ):
        assert expected in words, words
    assert words.count("warning") == 3, "a robot may be in a group: a stop to it stops the robot"


@pytest.mark.parametrize("name", ["missing.conf", "", "."])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    answer = boardtalk("check", str(tmp_path / name))
    assert answer.code == 2
    assert answer.text


def test_the_file_that_is_shipped_is_fine() -> None:
    shipped = Path(__file__).parents[2] / "conf" / "gateway.conf"
    answer = boardtalk("check", str(shipped))
    assert answer.code == 0, answer.text
