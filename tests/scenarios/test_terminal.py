"""The interactive chat, keys pressed at a real pty."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .people import VOLTS, Join
from .rig import GATEWAY, START_S, Gateway, boardtalk, local_user, nothing_runs
from .terminal import CTRL_C, CTRL_D, ENTER, TAB, Terminal


@pytest.fixture
def chat(demo: Gateway) -> Iterator[Terminal]:
    """The chat of a person at the gateway that the tests of this file share."""
    demo.chat("rover", "rearm")
    with Terminal("chat", state=demo.state) as terminal:
        terminal.prompted()
        yield terminal
        terminal.type(CTRL_D)
        assert terminal.ends() == 0
    assert demo.alive


def test_make_run_opens_a_chat_with_the_rover_and_ctrl_d_ends_it_all(tmp_path: Path) -> None:
    with Terminal("demo", state=tmp_path / "state") as terminal:
        terminal.prompted(within=START_S)
        terminal.type("rover: help" + ENTER)
        terminal.sees(r"\bforward\b.*\bbattery\b|\bbattery\b.*\bforward\b")
        terminal.type("forward 20" + ENTER)
        terminal.sees(r"accepted.*started.*done")
        terminal.type("forward 900" + ENTER)
        terminal.sees(r"500 ?cm")
        terminal.type("fowrard 20" + ENTER)
        terminal.sees(r"did you mean .?forward")
        terminal.type("battery" + ENTER)
        terminal.sees(VOLTS.pattern)
        terminal.type(CTRL_D)
        assert terminal.ends() == 0
        assert "Traceback" not in terminal.screen
    nothing_runs(tmp_path / "state")


def test_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    with Terminal("demo", state=tmp_path / "state") as terminal:
        terminal.prompted(within=START_S)
        terminal.type(CTRL_C)
        assert terminal.ends() in (0, 130)
        assert "Traceback" not in terminal.screen
    nothing_runs(tmp_path / "state")


def test_ctrl_c_during_the_start_leaves_nothing_running(tmp_path: Path) -> None:
    with Terminal("demo", state=tmp_path / "state") as terminal:
        terminal.sees(r"\S", within=START_S)
        terminal.type(CTRL_C)
        assert terminal.ends() in (0, 130)
        assert "Traceback" not in terminal.screen
    nothing_runs(tmp_path / "state")


def test_a_line_without_address_goes_to_the_last_conversation(chat: Terminal) -> None:
    chat.type("rover: battery" + ENTER)
    chat.sees(VOLTS.pattern)
    chat.type("forward 1" + ENTER)
    chat.sees(r"accepted.*started.*done")


def test_stop_in_the_chat_ends_a_running_motion_until_rearmed(chat: Terminal) -> None:
    chat.type("rover: forward 500" + ENTER)
    chat.sees(r"started")
    chat.type("stop" + ENTER)
    chat.sees(r"cancelled|failed|stopped")
    chat.type("rover: forward 1" + ENTER)
    chat.sees(r"rearm")
    chat.type("rover: rearm" + ENTER)
    chat.sees(r"done")
    chat.type("rover: forward 1" + ENTER)
    chat.sees(r"accepted.*started.*done")


def test_tab_completes_addresses_commands_and_arguments(chat: Terminal) -> None:
    chat.type("rov" + TAB)
    chat.sees(r"rover")
    chat.type("\x15" + "rover: forw" + TAB)
    chat.sees(r"forward")
    chat.type("\x15" + "rover: forward dist" + TAB)
    chat.sees(r"distance")
    chat.type("\x15")


def test_words_to_an_unknown_address_are_answered_and_the_chat_goes_on_with_the_last_one(
    chat: Terminal,
) -> None:
    chat.type("nobody: hello" + ENTER)
    chat.sees(r"nobody.*(unknown|no |there is)")
    chat.type("battery" + ENTER)
    chat.sees(VOLTS.pattern)


def test_several_pasted_lines_are_several_messages(chat: Terminal) -> None:
    chat.type("\x1b[200~battery\nfowrard 20\n\x1b[201~" + ENTER)
    chat.sees(rf"{VOLTS.pattern}.*did you mean forward|did you mean forward.*{VOLTS.pattern}")


def test_ctrl_c_clears_the_line_first(chat: Terminal) -> None:
    chat.type("battery")
    chat.sees("battery")
    chat.type(CTRL_C)
    chat.prompted()
    chat.type("/nosuch" + ENTER)
    chat.sees(r"there is no /nosuch; there is:.*/quit")
    assert "8." not in chat.screen


def test_a_stop_in_other_words_stops_too(chat: Terminal) -> None:
    chat.type("forward 500" + ENTER)
    chat.sees("started")
    chat.type("please stop now!" + ENTER)
    chat.sees("rover stopped")
    chat.type("don't stop" + ENTER)
    chat.sees("NOTHING WAS STOPPED")


def test_c07_stop_in_the_chat_works_while_the_gateway_hangs(chat: Terminal, demo: Gateway) -> None:
    demo.signal(GATEWAY, signal.SIGSTOP)
    try:
        chat.type("stop" + ENTER)
        chat.sees("the gateway does not answer; rover stopped, confirmed")
    finally:
        demo.signal(GATEWAY, signal.SIGCONT)
    chat.type("forward 1" + ENTER)
    chat.sees("rearm")


def test_c07_a_robot_that_is_named_is_stopped_whomever_one_talked_to(chat: Terminal) -> None:
    chat.type(f"{local_user()}: the rover has to wait" + ENTER)
    chat.sees(f"{local_user()}: the rover has to wait")
    chat.type("stop rover" + ENTER)
    chat.sees("rover stopped")


def test_others_are_told_who_stopped_their_robot(chat: Terminal, demo: Gateway, join: Join) -> None:
    chat.type("battery" + ENTER)
    chat.sees(VOLTS.pattern)
    alice = join(demo, "alice")
    alice.say("rover: stop")
    chat.sees("rover: stopped by alice")
    alice.say("rover: rearm")
    chat.sees("rover: armed by alice")


def test_the_chat_needs_a_terminal(demo: Gateway) -> None:
    for command in (("chat",), ("demo",)):
        refused = boardtalk(*command, state=demo.state)
        assert refused.code == 2
        assert "needs a terminal" in refused.err


def test_another_persons_message_is_shown_while_a_line_is_being_typed(
    chat: Terminal, demo: Gateway, join: Join
) -> None:
    alice = join(demo, "alice")
    chat.type("rover: forw")
    chat.sees(r"forw")
    alice.say(f"{local_user()}: lunch is ready")
    chat.sees(r"alice.*lunch is ready")
    chat.type("\x15")


def test_lines_longer_than_the_terminal_and_in_other_scripts_are_no_problem(chat: Terminal) -> None:
    chat.type("rover: " + "vorwärts 前進 🚗 " * 20 + ENTER)
    chat.sees(r"there is no command")
    chat.type("rover: battery" + ENTER)
    chat.sees(VOLTS.pattern)


def test_one_message_needs_no_terminal(demo: Gateway) -> None:
    piped = boardtalk("chat", "rover", "battery", state=demo.state)
    assert piped.code == 0
    assert not re.search("\x1b", piped.out)


def test_an_interrupted_command_exits_130(demo: Gateway) -> None:
    demo.chat("rover", "rearm")
    with Terminal("chat", "rover", "forward 500", state=demo.state) as terminal:
        terminal.sees("started")
        terminal.type(CTRL_C)
        assert terminal.ends() == 130
        assert "Traceback" not in terminal.screen
    demo.cli("stop")
