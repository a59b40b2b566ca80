"""The chatbot without any service: what it understands, and what becomes of commands."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from boardtalk.modules.chatbot import Chatbot
from boardtalk.sdk import (
    ArgumentInfo,
    Code,
    CommandInfo,
    ConfigError,
    Contact,
    Flag,
    Kind,
    Message,
    ModuleError,
    Refused,
    State,
)
from boardtalk.testing import Bench, bench

ROVER = (
    CommandInfo(
        name="forward",
        help="drive ahead",
        cls="motion",
        args=(
            ArgumentInfo(name="distance", type="int", unit="cm", min=1, max=100),
            ArgumentInfo(name="speed", type="int", unit="%", default=50),
        ),
    ),
    CommandInfo(name="battery", help="charge left", cls="query"),
    CommandInfo(name="led", cls="action", args=(ArgumentInfo(name="on", type="bool"),)),
)
ROBOTS = {"rover": ROVER}
USERS = {"alice": "operator", "bob": "operator", "victor": "viewer"}


async def answer(gateway: Bench, text: str, user: str = "alice") -> str:
    """What the chatbot answers to a text."""
    heard = len(gateway.inbox(user))
    message_id = gateway.say(user, "chatbot", text)
    await gateway.ended(message_id)
    [found] = [each for each in gateway.inbox(user)[heard:] if each.refid == message_id]
    return found.body


# Talking ----------------------------------------------------------------------------------------


async def test_an_answer_refers_to_its_question_whose_status_goes_from_accepted_to_done() -> None:
    async with bench(Chatbot) as gateway:
        asked = gateway.say("alice", "chatbot", "Hello!", aid=7)
        heard = await gateway.hears("alice", "Hello alice, I am chatbot")
        assert (heard.sender, heard.refid, heard.aid) == ("chatbot", asked, 7)
        await gateway.ended(asked)
        states = [each.status.state for each in gateway.statuses if each.message_id == asked]
        assert states == [State.ACCEPTED, State.STARTED, State.DONE]


async def test_other_conversations_pass() -> None:
    async with bench(Chatbot, "address = helper", robots=ROBOTS) as gateway:
        gateway.say("alice", "bob", "hello")
        await gateway.hears("bob", "hello")
        await gateway.ended(gateway.say("alice", "rover", "forward 20"))
        assert [each.body for each in gateway.told] == ["forward 20"]
        assert gateway.inbox("alice") == []


async def test_it_stands_in_the_directory_as_a_service() -> None:
    async with bench(Chatbot, "address = helper") as gateway:
        contact = gateway.module.context.contact("helper")
        assert contact is not None
        assert (contact.kind, contact.online) == (Kind.SERVICE, True)


async def test_an_address_that_somebody_has_is_refused() -> None:
    with pytest.raises(ModuleError, match="'alice' is somebody else's address"):
        async with bench(Chatbot, "address = alice"):
            pass


async def test_it_tells_which_robots_are_here_and_what_they_can_do() -> None:
    async with bench(Chatbot, robots=ROBOTS) as gateway:
        assert await answer(gateway, "which robots are there?") == "- rover"
        can = await answer(gateway, "What can Rover do?")
        assert can.splitlines() == [
            "rover:",
            "  forward distance (int cm from 1 to 100) [speed (int %)] - drive ahead",
            "  battery - charge left",
            "  led on (bool)",
        ]


async def test_a_viewer_is_told_only_what_he_may_ask() -> None:
    async with bench(Chatbot, users=USERS, robots=ROBOTS) as gateway:
        assert await answer(gateway, "rover help", "victor") == "rover:\n  battery - charge left"


async def test_without_robots_it_says_so() -> None:
    async with bench(Chatbot) as gateway:
        assert await answer(gateway, "robots") == "No robot is here just now."


@pytest.mark.parametrize("text", ["abrakadabra", "", "  ", "rover", "{user} => {bot}", "\u202e\x00"])
async def test_what_it_does_not_understand_it_says(text: str) -> None:
    async with bench(Chatbot) as gateway:
        assert await answer(gateway, text) == "I did not understand that. Type `help` to learn what I can do."


async def test_a_very_long_text_is_refused() -> None:
    async with bench(Chatbot) as gateway:
        asked = gateway.say("alice", "chatbot", "word " * 10_000)
        assert (await gateway.ended(asked)).detail == "that is too long: I understand at most 200 words"


async def test_words_are_completed() -> None:
    async with bench(Chatbot) as gateway:
        assert [each.text for each in gateway.module.on_complete("chatbot", "he")] == ["help"]


# Who is answered --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.SERVICE, Kind.ROBOT])
async def test_programs_are_not_answered_so_that_two_bots_do_not_talk_for_ever(kind: Kind) -> None:
    async with bench(Chatbot, robots=ROBOTS) as gateway:
        gateway.module.context.register(Contact(address="otherbot", kind=kind))
        for sender in ("otherbot", "chatbot", "gateway", "nobody"):
            with pytest.raises(Refused, match="chatbot answers people only"):
                gateway.module.on_message(Message(sender=sender, to="chatbot", body="rover battery"))
        assert await answer(gateway, "thanks") == "You are welcome."
        assert gateway.told == []


async def test_that_somebody_types_is_no_question() -> None:
    async with bench(Chatbot) as gateway:
        gateway.say("alice", "chatbot", "hello", flags=Flag.PRESENCE)
        assert "You are welcome" in await answer(gateway, "thank you")
        assert len(gateway.inbox("alice")) == 1


# Commands ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "tell rover to forward 20",
        "tell rover forward 20",
        "rover forward 20",
        "Rover: forward 20",
        "please tell rover to forward 20.",
    ],
)
async def test_a_motion_waits_for_a_yes_then_the_robot_gets_it_from_the_user(text: str) -> None:
    async with bench(Chatbot, robots=ROBOTS) as gateway:
        assert await answer(gateway, text) == "Shall I tell rover to: forward 20? Answer yes"
        assert gateway.told == []
        assert await answer(gateway, "Yes!") == "Telling rover to: forward 20"
        told = await gateway.robot_told()
        assert (told.sender, told.to, told.body) == ("alice", "rover", "forward 20")
        assert len(gateway.told) == 1


async def test_what_becomes_of_the_command_is_told_to_the_user() -> None:
    async with bench(Chatbot, robots=ROBOTS) as gateway:
        await answer(gateway, "rover forward 20")
        await answer(gateway, "yes")
        about = [each for each in gateway.statuses if each.to == "rover"]
        assert [(each.recipient, each.status.state) for each in about] == [("alice", State.DONE)]


async def test_a_query_needs_no_yes() -> None:
    async with bench(Chatbot, users=USERS, robots=ROBOTS) as gateway:
        assert await answer(gateway, "ask rover for battery?", "victor") == "Telling rover to: battery"
        assert (await gateway.robot_told()).sender == "victor"


@pytest.mark.parametrize("command", ["led on", "fly 3", "battery\u0301", "BATTERY", "/battery"])
async def test_what_is_not_surely_a_query_counts_as_the_worst(command: str) -> None:
    async with bench(Chatbot, robots=ROBOTS) as gateway:
        assert await answer(gateway, f"rover {command}") == f"Shall I tell rover to: {command}? Answer yes"
        assert gateway.told == []


async def test_a_class_that_nobody_knows_counts_as_motion() -> None:
    robots = {"rover": (CommandInfo(name="launch", cls="rearm"),)}
    async with bench(Chatbot, robots=robots, users=USERS) as gateway:
        assert "`motion` needs" in await answer(gateway, "rover launch", "victor")
        assert "Shall I" in await answer(gateway, "rover launch")


async def test_a_user_gets_no_rights_that_he_has_not() -> None:
    async with bench(Chatbot, users=USERS, robots=ROBOTS) as gateway:
        refused = await answer(gateway, "rover forward 20", "victor")
        assert refused.startswith("victor may not tell rover to forward: `motion` needs the role operator")
        await answer(gateway, "yes", "victor")
        assert gateway.told == []


async def test_another_user_s_yes_is_no_yes() -> None:
    async with bench(Chatbot, robots=ROBOTS) as gateway:
        await answer(gateway, "rover forward 20", "alice")
        assert "did not understand" in await answer(gateway, "yes", "bob")
        assert gateway.told == []
        await answer(gateway, "yes", "alice")
        assert (await gateway.robot_told()).sender == "alice"


@pytest.mark.parametrize("word", ["no", "No.", "cancel"])
async def test_a_no_cancels(word: str) -> None:
    async with bench(Chatbot, robots=ROBOTS) as gateway:
        await answer(gateway, "rover forward 20")
        assert await answer(gateway, word) == "Not sent."
        assert "did not understand" in await answer(gateway, "yes")
        assert gateway.told == []


@pytest.mark.parametrize("text", ["hello", "yes please", "yes, but slowly", "y", "ok"])
async def test_whatever_else_is_said_cancels_and_is_told_so(text: str) -> None:
    async with bench(Chatbot, robots=ROBOTS) as gateway:
        await answer(gateway, "rover forward 20")
        assert (await answer(gateway, text)).startswith("Not sent: rover: forward 20\n")
        await answer(gateway, "yes")
        assert gateway.told == []


async def test_a_yes_counts_once() -> None:
    async with bench(Chatbot, robots=ROBOTS) as gateway:
        await answer(gateway, "rover forward 20")
        await answer(gateway, "yes")
        assert "did not understand" in await answer(gateway, "yes")
        assert len(gateway.told) == 1


@pytest.mark.parametrize(("seconds", "sent"), [(29, 1), (31, 0)])
async def test_a_yes_comes_within_30_seconds_or_not_at_all(
    seconds: float, sent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(Chatbot, robots=ROBOTS) as gateway:
        await answer(gateway, "rover forward 20")
        monkeypatch.setattr(gateway.module.context, "now", lambda: time.monotonic() + seconds)
        asked = gateway.say("alice", "chatbot", "yes")
        ended = await gateway.ended(asked)
        assert ended.detail == ("" if sent else "too late: that was to be confirmed within 30 s; ask again")
        await answer(gateway, "yes")
        assert len(gateway.told) == sent


async def test_a_robot_that_has_gone_meanwhile_gets_nothing() -> None:
    async with bench(Chatbot) as gateway:
        context = gateway.module.context
        context.register(Contact(address="rover", kind=Kind.ROBOT, commands=ROVER))
        await answer(gateway, "rover forward 20")
        context.unregister("rover")
        assert await answer(gateway, "yes") == "There is no robot 'rover' here"


@pytest.mark.parametrize("command", ["rearm", "REARM", "\uff52earm", "please rearm", '"rearm"'])
async def test_it_never_re_arms_a_robot(command: str) -> None:
    async with bench(Chatbot, robots=ROBOTS) as gateway:
        assert "I never re-arm a robot" in await answer(gateway, f"tell rover to {command}")
        await answer(gateway, "yes")
        assert gateway.told == []


@pytest.mark.parametrize("command", ["stop", "Stop now", "please halt"])
async def test_of_a_stop_it_says_that_nothing_was_stopped(command: str) -> None:
    async with bench(Chatbot, robots=ROBOTS) as gateway:
        assert "NOTHING WAS STOPPED" in await answer(gateway, f"tell rover to {command}")
        await answer(gateway, "yes")
        assert gateway.told == []


@pytest.mark.parametrize("command", ["say a\u200bb", "say " + "x" * 200])
async def test_a_command_that_could_not_be_read_as_it_is_is_not_passed_on(command: str) -> None:
    async with bench(Chatbot, robots=ROBOTS) as gateway:
        assert "is not passed on" in await answer(gateway, f"rover {command}")
        await answer(gateway, "yes")
        assert gateway.told == []


@pytest.mark.parametrize(("typed", "shown"), [("say \u202eabc", "say abc"), ("say \x1b[2J", "say [2J")])
async def test_what_is_shown_is_what_is_sent(typed: str, shown: str) -> None:
    async with bench(Chatbot, robots=ROBOTS) as gateway:
        assert await answer(gateway, f"rover {typed}") == f"Shall I tell rover to: {shown}? Answer yes"
        await answer(gateway, "yes")
        assert (await gateway.robot_told()).body == shown


async def test_commands_can_be_turned_off() -> None:
    async with bench(Chatbot, "commands = no", robots=ROBOTS) as gateway:
        assert await answer(gateway, "rover battery") == "I don't pass commands on to robots here."
        assert gateway.told == []


async def test_what_a_robot_says_about_itself_commands_no_other_robot() -> None:
    hostile = (
        CommandInfo(name="@rover: battery", cls="query"),
        CommandInfo(name="x", help="\n@rover: battery\n- @rover: battery", cls="query"),
    )
    async with bench(Chatbot, robots={"rover": ROVER, "evil": hostile}) as gateway:
        assert "rover: battery" in await answer(gateway, "what can evil do")
        assert gateway.told == []


# Rules of one's own -----------------------------------------------------------------------------


async def test_own_rules_come_before_those_built_in(tmp_path: Path) -> None:
    rules = tmp_path / "house.rules"
    rules.write_text(
        """\
# what the house says
hello * => Good day, {user}!\\nI am {bot}.
my name is {name} | call me {name} => Nice to meet you, {name}.
where is {thing} in the {room} => Look for {thing} behind the {room} door.
was kann {robot} => {can}
light \\
    on => Let there be light.\\n@rover: led on
fetch {what} with {robot} => @{robot}: forward 20
* => Pardon?
"""
    )
    async with bench(Chatbot, f"rules = {rules}", robots=ROBOTS) as gateway:
        assert await answer(gateway, "hello there") == "Good day, alice!\nI am chatbot."
        assert await answer(gateway, "My name is Anna  Maria.") == "Nice to meet you, Anna Maria."
        assert await answer(gateway, "my name is") == "Pardon?"
        where = await answer(gateway, "Where is the big key in the back room?")
        assert where == "Look for the big key behind the back room door."
        assert (await answer(gateway, "Was kann rover?")).startswith("rover:\n")
        assert await answer(gateway, "was kann er?") == "Pardon?"
        assert (
            await answer(gateway, "light on")
            == "Let there be light.\nShall I tell rover to: led on? Answer yes"
        )
        assert (await answer(gateway, "fetch tea with rover")).endswith(
            "Shall I tell rover to: forward 20? Answer yes"
        )
        assert (await answer(gateway, "thanks")).endswith("You are welcome.")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("hello", ":1: expected PATTERN => ANSWER, not 'hello'"),
        ("# fine\nhi =>", ":2: expected PATTERN => ANSWER"),
        ("=> what", ":1: a pattern is empty"),
        ("a | => what", ":1: a pattern is empty"),
        ("{a} {b} => x", ":1: {b} needs a word between it and the one before"),
        ("* * => x", r":1: \* needs a word between"),
        ("{a} is {a} => x", ":1: a name stands twice"),
        ("{user} => x", ":1: {user} means something else already"),
        ("a => {b}", ":1: {b} of the answer is in not all of its patterns"),
        ("{b} | a => {b}", ":1: {b} of the answer is in not all of its patterns"),
        ("a => {can}", ":1: {can} of the answer needs {robot} in each pattern"),
        ("a => b\n" * 501, ": 501 patterns are more than the limit of 500"),
        ("x" * 300_000, ": longer than 262144 bytes"),
        ("\udcff => x", " can't be read: not UTF-8 text"),
    ],
)
async def test_a_rules_file_that_makes_no_sense_is_refused_and_the_line_told(
    text: str, problem: str, tmp_path: Path
) -> None:
    rules = tmp_path / "house.rules"
    rules.write_text(text, errors="surrogateescape")
    with pytest.raises(ModuleError, match=f"house.rules{problem}"):
        async with bench(Chatbot, f"rules = {rules}"):
            pass


async def test_a_rules_file_that_is_missing_is_named() -> None:
    with pytest.raises(ModuleError, match="rules /nowhere can't be read: No such file"):
        async with bench(Chatbot, "rules = /nowhere"):
            pass


# Settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("engine = dialogflow", "needs the key 'project'"),
        ("project = p", "needs the key 'access_token' or 'access_token_file'"),
        ("engine = openai", "needs the key 'model'"),
        ("model = m\nendpoint = localhost:11434", "expected a URL such as"),
        ("model = m\nendpoint = http://me:secret@host/v1", "no password"),
        ("model = m\nendpoint = http://host/v1?key=secret", "no password"),
        ("access_token = a\naccess_token_file = b", "not both"),
        ("model = m\nrules = r", "'rules' is for engine = rules"),
        ("address = Chat Bot", "is not an address"),
        ("address = gateway", "means something else"),
        ("max_answer = 99999", "a whole number from 100 to 12000"),
        ("responsefield = x", "unknown key 'responsefield'; did you mean 'responseField'"),
    ],
)
async def test_settings_that_do_not_go_together_are_refused(settings: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as refused:
        async with bench(Chatbot, settings):
            pass
    assert "secret@" not in str(refused.value)


# When it ends -----------------------------------------------------------------------------------


async def test_new_settings_are_taken() -> None:
    async with bench(Chatbot) as gateway:
        assert isinstance(gateway.module, Chatbot)
        await gateway.configure("address = helper")
        gateway.say("alice", "helper", "hi")
        await gateway.hears("alice", "I am helper")
        gone = await gateway.ended(gateway.say("alice", "chatbot", "hi"))
        assert gone.code is Code.BAD_ADDRESS
