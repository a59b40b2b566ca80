"""Each command: what it prints, for people and for programs, and how it exits."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from boardtalk.cli import command_line

from .people import Person
from .rig import PROGRAM, Gateway, boardtalk, environment


@pytest.mark.parametrize(
    "arguments",
    [
        ("chat", "rover", "battery"),
        ("chat",),
        ("boards",),
        ("history",),
        ("stop",),
        ("stop", "rover"),
    ],
    ids=" ".join,
)
def test_without_a_gateway_a_command_says_so_and_exits_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    answer = boardtalk(*arguments, state=tmp_path / "nobody")
    assert answer.code == 2
    assert answer.err.strip()


@pytest.mark.parametrize(
    "arguments",
    [
        ("dance",),
        ("chat", "--colour"),
        ("chat", "rover", "battery", "--timeout", "soon"),
        ("chat", "rover", "battery", "--timeout", "-1"),
        ("boards", "surplus", "surplus"),
        ("user", "add"),
        ("user", "add", "alice", "--role", "king"),
        ("check",),
        ("run", "--conf"),
        ("run", "--conf", "missing.conf"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...]) -> None:
    answer = boardtalk(*arguments)
    assert answer.code == 2
    assert answer.text


def test_every_command_says_what_it_is_for_with_an_example_that_it_takes() -> None:
    app = command_line()
    commands = dict(_commands(app))
    assert ("boards", "validate") in commands
    for path, told in commands.items():
        examples = re.findall(r"^ *Example: boardtalk (.*?)(?: >|$)", told, flags=re.MULTILINE)
        assert examples, path
        for words in map(shlex.split, examples):
            assert tuple(words[: len(path)]) == path
            app.parse_args(words, exit_on_error=False, print_error=False)


def _commands(group: App, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """All that can be run, below a group, and what their help says."""
    for name, command in group.resolved_commands().items():
        if not name.startswith("-"):
            yield from _commands(command, (*path, name))
    if path and group.default_command:
        yield path, group.default_command.__doc__ or ""


def test_a_mistyped_command_of_a_group_is_answered_with_the_right_one() -> None:
    answer = boardtalk("boards", "lsit")
    assert answer.code == 2
    assert 'Did you mean "list"?' in answer.err
    assert "`boardtalk boards --help`" in answer.err


def test_the_overview_of_a_group_says_what_each_of_its_commands_is_for() -> None:
    assert "Show a definition" in boardtalk("boards", "--help").out


@pytest.mark.parametrize("arguments", [(), ("--help",)], ids=str)
def test_the_overview_says_what_each_command_is_for(arguments: tuple[str, ...]) -> None:
    shown = boardtalk(*arguments)
    assert shown.code == 0
    assert "Chat with a simulated rover" in shown.text
    assert "Stop a robot" in shown.text


def test_ctrl_c_while_it_is_being_loaded_leaves_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cyclopts.py").write_text("raise KeyboardInterrupt")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    answer = boardtalk("--version")
    assert (answer.code, answer.text) == (130, "")


def test_what_a_full_disk_does_not_take_is_told_without_a_traceback(tmp_path: Path) -> None:
    conf = tmp_path / "gateway.conf"
    conf.touch()
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*PROGRAM, "check", conf], stdout=full, stderr=subprocess.PIPE, env=environment(), check=False
        )
    assert (done.returncode, done.stderr) == (1, b"boardtalk: No space left on device\n")


def test_a_terminal_that_can_not_show_a_letter_shows_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    (tmp_path / "hülle.conf").touch()
    answer = boardtalk("check", "hülle.conf", folder=tmp_path)
    assert (answer.code, answer.text) == (0, "h?lle.conf: fine, 0 blocks")


def test_version() -> None:
    answer = boardtalk("--version")
    assert answer.code == 0
    assert answer.out.strip()[-1].isdigit()


def test_the_ready_line_names_where_mqtt_clients_connect_on_loopback_only(demo: Gateway) -> None:
    assert demo.ready.startswith("ready mqtt=")
    assert "modules=" in demo.ready
    assert demo.host == "127.0.0.1"


def test_boards_lists_address_uid_port_firmware_and_state(demo: Gateway) -> None:
    assert {"address", "uid", "port", "firmware", "state"} <= demo.board("rover").keys()
    listing = demo.cli("boards")
    assert listing.code == 0
    assert "rover" in listing.text
    assert str(demo.board("rover")["uid"]) in listing.text


def test_no_column_of_boards_is_cut_off_in_a_narrow_terminal(demo: Gateway) -> None:
    answer = boardtalk("boards", state=demo.state, columns=40)
    board = demo.board("rover")
    [line] = [line for line in answer.out.splitlines() if "rover" in line]
    assert f"{board['uid']}  {board['port']}  {board['firmware']}  " in line
    assert line.endswith(f"{board['state']} ")


def test_a_second_demo_is_refused_and_leaves_the_first_ones_files_alone(demo: Gateway) -> None:
    files = [demo.state / "gateway.conf", demo.state / "gateway.log"]
    before = [path.read_bytes() for path in files]
    second = boardtalk("demo", "--headless", state=demo.state)
    assert second.code == 2
    assert "another gateway" in second.err
    assert [path.read_bytes()[: len(old)] for path, old in zip(files, before, strict=True)] == before


def test_listing_and_one_shot_commands_speak_json(demo: Gateway, alice: Person) -> None:
    for arguments in (
        ("boards",),
        ("chat", "rover", "battery"),
        ("history",),
        ("stop", "rover"),
        ("user", "add", "jason"),
        ("user", "role", "jason", "viewer"),
        ("user", "token", "jason"),
        ("user", "remove", "jason"),
    ):
        answer = demo.cli(*arguments, "--json")
        assert answer.code == 0, (arguments, answer)
        assert answer.rows, arguments


def test_a_message_needs_no_quotes(demo: Gateway) -> None:
    demo.chat("rover", "rearm")
    assert demo.cli("chat", "rover", "forward", "1", "cm").code == 0


def test_stop_with_a_misspelt_name_stops_all(demo: Gateway) -> None:
    answer = demo.cli("stop", "rvoer")
    assert answer.code == 0
    assert "no robot 'rvoer': all were stopped" in answer.err
    assert "rover stopped" in answer.out


def test_refusals_are_json_too(demo: Gateway, alice: Person) -> None:
    answer = demo.chat("rover", "forward 900", "--json")
    assert answer.code == 1
    assert any("rejected" in str(row.get("state")) for row in answer.rows)
    assert any("500" in str(row.get("body")) for row in answer.rows)


def test_json_of_a_command_tells_its_states_in_order(demo: Gateway, alice: Person) -> None:
    rows = demo.chat("rover", "forward 1", "--json").rows
    states = [str(row["state"]) for row in rows if "state" in row]
    assert states.index("accepted") < states.index("started") < states.index("done")


def test_doctor_reports_findings_as_json(demo: Gateway) -> None:
    report = demo.cli("doctor", "--json")
    assert report.code in (0, 1)
    assert report.rows


def test_history_shows_what_was_said_newest_last(demo: Gateway) -> None:
    demo.chat("rover", "battery")
    demo.chat("rover", "fowrard 20")
    shown = demo.cli("history", "rover").out
    assert 0 <= shown.rindex("battery") < shown.rindex("fowrard 20")
    bodies = [str(row.get("body")) for row in demo.cli("history", "rover", "--json").rows]
    assert any("fowrard 20" in body for body in bodies)


def test_history_is_limited_on_request(demo: Gateway) -> None:
    demo.chat("rover", "battery")
    shown = demo.cli("history", "--limit", "1", "--json")
    assert sum("body" in row for row in shown.rows) == 1


def test_an_empty_history_says_so(demo: Gateway) -> None:
    answer = demo.cli("history", "--search", "never said this")
    assert (answer.code, answer.out, answer.err) == (0, "", "nothing was said\n")
