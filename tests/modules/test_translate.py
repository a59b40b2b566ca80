"""Everybody writes and reads in his own language; robots get their commands; nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boardtalk import conf
from boardtalk.loader import Instance, Source
from boardtalk.modules.translate import Translate
from boardtalk.modules.translate.commands import Word, keeps_numbers, keeps_values, reworded
from boardtalk.sdk import (
    ArgumentInfo,
    Code,
    CommandInfo,
    ConfigError,
    Contact,
    Flag,
    Kind,
    Message,
    State,
    Status,
)
from boardtalk.testing import Bench, bench

from .servers import Request, Service, after, asked, raw, service

GERMAN = {
    "Guten Morgen": "Good morning",
    "Guten Abend": "Good evening",
    "Gut": "Good",
    "vorwärts 20": "Forward 20.",
    "fahre 0,2 m vor": "forward 0.2 m",
    "rückwärts 20": "back 200",
    "links zwanzig": "left 20",
    "anhalten": "stop",
    "entsichern": "rearm",
    "vor 5, bitte": "forward\n5 ",
    "na los": "...",
}
"""What the server knows, from German to English."""
ENGLISH = {
    "Good morning": "Guten Morgen",
    "done": "fertig",
    "8.2 V left": "8,2 V übrig",
    "9.1 V left": "91 V übrig",
    "5 km away": "5 Meilen entfernt",
    **{english: german for german, english in GERMAN.items()},
}
BOTH = "languages = alice: de, bob: en"
SLOW = f"{BOTH}\nwait = 0.1"
ROBOTS = {
    "rover": (
        CommandInfo(name="forward", cls="motion", args=(ArgumentInfo(name="distance", type="int"),)),
        CommandInfo(name="battery", cls="query"),
    )
}


def answered(request: Request) -> bytes:
    """As LibreTranslate answers; what it does not know is given back in brackets."""
    known = GERMAN if request.body["target"] == "en" else ENGLISH
    text = known.get(request.body["q"], f"<{request.body['q']}>")
    detected = {"confidence": 90, "language": "de" if text in ENGLISH else "en"}
    more = {"detectedLanguage": detected} if request.body["source"] == "auto" else {}
    return json.dumps({"translatedText": text, **more}).encode()


def dictionary(server: Service) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    """The answer to whatever was asked last."""

    async def send(writer: asyncio.StreamWriter) -> None:
        await raw("200 OK", answered(server.requests[-1]))(writer)

    return send


@asynccontextmanager
async def translator(settings: str = BOTH, **options: Any) -> AsyncIterator[tuple[Bench, Service]]:
    """A gateway with the module, and the server behind it."""
    async with (
        service() as server,
        bench(Translate, f"endpoint = {server.url}\n{settings}", **options) as gateway,
    ):
        server.answers = [dictionary(server)]
        yield gateway, server


async def heard(gateway: Bench, sender: str, to: str, text: str, **parameters: object) -> Message:
    """What somebody gets when somebody else says something."""
    before = len(gateway.inbox(to))
    await gateway.ended(gateway.say(sender, to, text, **parameters))
    await gateway.hears(to, "")
    return gateway.inbox(to)[before]


def directions(server: Service) -> list[tuple[str, str]]:
    return [(each.body["source"], each.body["target"]) for each in server.requests]


# People -----------------------------------------------------------------------------------------


async def test_each_reads_in_his_own_language_and_sees_the_original_below() -> None:
    async with translator() as (gateway, server):
        morning = await heard(gateway, "alice", "bob", "Guten Morgen")
        assert morning.body == "Good morning\n(de: Guten Morgen)"
        assert (await heard(gateway, "bob", "alice", "Good morning")).body == (
            "Guten Morgen\n(en: Good morning)"
        )
        assert directions(server) == [("de", "en"), ("en", "de")]


async def test_a_translated_message_is_the_same_message() -> None:
    async with translator() as (gateway, _):
        named = gateway.say("alice", "bob", "Guten Morgen", refid="r", aid=7, flags=Flag.READ_RECEIPT)
        assert (await gateway.ended(named)).state is State.DONE
        message = await gateway.hears("bob", "Good morning")
        assert (message.sender, message.to, message.id) == ("alice", "bob", named)
        assert (message.refid, message.aid) == ("r", 7)
        assert message.flags == Flag.READ_RECEIPT | Flag.TRANSLATED
        told = [each.status.state for each in gateway.statuses if each.message_id == named]
        assert told == [State.ACCEPTED, State.DONE]


async def test_the_original_can_be_left_out() -> None:
    async with translator(f"{BOTH}\nshow = translation") as (gateway, _):
        assert (await heard(gateway, "alice", "bob", "Guten Morgen")).body == "Good morning"


async def test_the_same_language_needs_no_translation() -> None:
    async with translator("languages = alice: de, bob: de") as (gateway, server):
        message = await heard(gateway, "alice", "bob", "Guten Morgen")
        assert (message.body, message.flags) == ("Guten Morgen", 0)
        assert server.requests == []


async def test_who_is_not_listed_is_left_alone_unless_there_is_a_language_for_the_rest() -> None:
    users = {"alice": "viewer", "bob": "viewer", "carol": "viewer"}
    async with translator("languages = alice: de", users=users) as (gateway, server):
        assert (await heard(gateway, "alice", "bob", "Guten Morgen")).body == "Guten Morgen"
        assert server.requests == []
    async with translator("languages = alice: de\ntarget = en", users=users) as (gateway, server):
        assert (await heard(gateway, "alice", "bob", "Gut")).body == "Good\n(de: Gut)"
        assert (await heard(gateway, "bob", "carol", "Good")).body == "Good"
        assert directions(server) == [("de", "en")]


async def test_the_original_module_s_source_and_target_are_those_of_all() -> None:
    async with translator("source = de\ntarget = en") as (gateway, server):
        assert (await heard(gateway, "alice", "bob", "Gut")).body == "Good\n(de: Gut)"
        assert (await heard(gateway, "bob", "alice", "Gut")).body == "Good\n(de: Gut)"


async def test_a_language_can_be_found_out() -> None:
    async with translator("source = auto\ntarget = en\nlanguages = carol: en") as (gateway, server):
        assert (await heard(gateway, "alice", "bob", "Gut")).body == "Good\n(de: Gut)"
        unchanged = await heard(gateway, "alice", "bob", "I am fine")
        assert (unchanged.body, unchanged.flags) == ("I am fine", 0)
        assert directions(server) == [("auto", "en")] * 2


async def test_two_may_talk_in_other_languages_than_with_the_rest() -> None:
    users = dict.fromkeys(("alice", "bob", "carol"), "viewer")
    settings = "languages = alice: de, bob: en, carol: fr\npairs = alice carol: en fr, bob carol: en"
    async with translator(settings, users=users) as (gateway, server):
        for sender, to in (("alice", "carol"), ("carol", "alice"), ("alice", "bob"), ("bob", "carol")):
            await heard(gateway, sender, to, "hm")
        assert directions(server) == [("en", "fr"), ("fr", "en"), ("de", "en")]


async def test_a_group_has_a_language_if_it_is_listed() -> None:
    groups = {"crew": ("alice", "bob"), "team": ("alice", "bob")}
    async with translator(f"{BOTH}, crew: en", groups=groups) as (gateway, server):
        gateway.say("alice", "crew", "Gut")
        message = await gateway.hears("bob", "Good")
        assert (message.body, message.groupid) == ("Good\n(de: Gut)", "crew")
        gateway.say("alice", "team", "Guten Abend")
        assert (await gateway.hears("bob", "Abend")).body == "Guten Abend"


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("20 + 4 = 24 :-)", {}),
        ("Gut", {"flags": Flag.TRANSIENT}),
        ("Gut", {"flags": Flag.PRESENCE}),
        ("Gut", {"flags": Flag.TRANSLATED}),
        ('{"x": "Gut"}', {"type": 3}),
    ],
)
async def test_what_is_no_text_of_people_is_left_alone(text: str, parameters: dict[str, Any]) -> None:
    async with translator() as (gateway, server):
        gateway.say("alice", "bob", text, **parameters)
        assert (await gateway.hears("bob", "")).body == text
        assert server.requests == []


async def test_services_are_left_alone_and_so_are_their_answers() -> None:
    async with translator() as (gateway, server):
        context = gateway.module.context
        context.register(Contact(address="oracle", kind=Kind.SERVICE, online=True))
        gateway.say("alice", "oracle", "Guten Morgen")
        context.send(Message(sender="oracle", to="alice", body="Good morning"))
        assert (await gateway.hears("alice", "Good")).body == "Good morning"
        assert server.requests == []


async def test_a_text_is_translated_once_and_then_known() -> None:
    async with translator() as (gateway, server):
        for _ in range(3):
            assert (await heard(gateway, "alice", "bob", "Gut")).body == "Good\n(de: Gut)"
        assert len(server.requests) == 1


async def test_a_second_translator_in_the_chain_does_not_translate_again() -> None:
    async with translator() as (gateway, server):
        settings = f"endpoint = {server.url}\n{BOTH}"
        await gateway.apply(made(settings), made(settings, "translate#2"))
        assert gateway.contact("translate")
        assert gateway.contact("translate-2")
        assert (await heard(gateway, "alice", "bob", "Gut")).body == "Good\n(de: Gut)"
        assert [each.replaced for each in gateway.reports] == [1, 0]
        assert len(server.requests) == 1


def made(settings: str, name: str = "translate") -> Instance:
    """One of several instances."""
    block = conf.parse(f"module translate {{\n{settings}\n}}", "settings").blocks[0]
    options, config = conf.module_settings(block, Translate.Config)
    source = Source("translate", "under test", Translate.__module__)
    return Instance(name, Translate, config, options, {}, source)


# Robots -----------------------------------------------------------------------------------------


async def test_a_command_is_translated_to_what_the_robot_understands() -> None:
    async with translator(robots=ROBOTS) as (gateway, server):
        named = gateway.say("alice", "rover", "vorwärts 20", expiry=5)
        told = await gateway.robot_told()
        assert (told.body, told.sender, told.id, told.expiry) == ("Forward 20", "alice", named, 5)
        note = await gateway.hears("alice", "is told")
        assert (note.sender, note.body) == ("translate", "rover is told: Forward 20")
        assert (await gateway.ended(named)).state is State.DONE
        states = [each.status.state for each in gateway.statuses if each.message_id == named]
        assert states == [State.ACCEPTED, State.DONE]
        assert directions(server) == [("de", "en")]


async def test_a_command_is_one_line_however_it_was_translated() -> None:
    async with translator(robots=ROBOTS) as (gateway, _):
        gateway.say("alice", "rover", "vor 5, bitte")
        assert (await gateway.robot_told()).body == "forward 5"


async def test_an_answer_that_takes_longer_stays_as_it_is() -> None:
    async with translator(SLOW, robots=ROBOTS) as (gateway, server):
        server.answers = [after(asyncio.Event(), raw("200 OK", b""))]
        said(gateway, "done")
        assert (await gateway.hears("alice", "")).body == "done\n(not translated: it takes too long)"


async def test_an_old_command_stays_as_old_as_it_is() -> None:
    async with translator(robots=ROBOTS) as (gateway, _):
        before = gateway.module.context.now()
        gateway.say("alice", "rover", "vorwärts 20")
        told = await gateway.robot_told()
        assert before <= told.accepted
        gateway.say("alice", "rover", "vorwärts 20", id="again")
        assert (await gateway.robot_told(2)).row != told.row != 0


@pytest.mark.parametrize(
    "text",
    [
        "forward 20",
        "/Forward 20 cm",
        "ｂattery",
        "help",
        "forward ?",
        "? forward",
        "rearm",
        "watch battery",
        "stop",
        "Halt!",
        "bitte stop jetzt",
    ],
)
async def test_what_a_robot_understands_is_not_touched(text: str) -> None:
    async with translator(robots=ROBOTS) as (gateway, server):
        gateway.say("alice", "rover", text)
        told = await gateway.robot_told()
        assert (told.body, told.flags) == (text, 0)
        assert server.requests == []


async def test_a_robot_whose_commands_nobody_knows_gets_what_is_typed() -> None:
    async with translator(robots={"rover": ()}) as (gateway, server):
        gateway.say("alice", "rover", "vorwärts 20")
        assert (await gateway.robot_told()).body == "vorwärts 20"
        assert server.requests == []


async def test_a_robot_may_have_commands_in_another_language() -> None:
    async with translator(f"{BOTH}, rover: de", robots=ROBOTS) as (gateway, server):
        gateway.say("alice", "rover", "vorwärts 20")
        gateway.say("bob", "rover", "Good")
        assert (await gateway.robot_told(2)).body == "Gut"
        assert directions(server) == [("en", "de")]


async def test_own_words_for_commands_need_no_server() -> None:
    words = "words = vor: forward, Vor  langsam: forward speed=10, akku: battery"
    async with translator(f"{BOTH}\n{words}", robots=ROBOTS) as (gateway, server):
        for said, meant in {
            "VOR 20": "forward 20",
            "vor langsam 5": "forward speed=10 5",
            "Akku": "battery",
        }.items():
            gateway.say("alice", "rover", said)
            assert (await gateway.robot_told(len(gateway.told) + 1)).body == meant
        assert server.requests == []
        gateway.say("alice", "rover", "vorwärts 20")
        assert (await gateway.robot_told(4)).body == "Forward 20"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("anhalten", "NOTHING WAS STOPPED: type `stop` alone"),
        ("entsichern", "I never re-arm a robot"),
        ("na los", "the translation says nothing"),
        ("rückwärts 20", "its numbers would change"),
        ("links zwanzig", "its numbers would change; write them as digits"),
    ],
)
async def test_a_translation_that_would_be_dangerous_is_not_told(text: str, reason: str) -> None:
    async with translator(robots=ROBOTS) as (gateway, _):
        gateway.say("alice", "rover", text)
        assert (await gateway.robot_told()).body == text
        assert reason in (await gateway.hears("alice", "rover is told what you wrote")).body


async def test_a_decimal_comma_is_no_other_number() -> None:
    async with translator(robots=ROBOTS) as (gateway, _):
        gateway.say("alice", "rover", "fahre 0,2 m vor")
        assert (await gateway.robot_told()).body == "forward 0.2 m"


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("done", "fertig\n(en: done)"),
        ("8.2 V left", "8,2 V übrig\n(en: 8.2 V left)"),
        ("9.1 V left", "9.1 V left\n(not translated: its numbers would change)"),
        ("5 km away", "5 km away\n(not translated: its numbers would change)"),
        ("8.2", "8.2"),
        ("forward: drive ahead\nbattery", "forward: drive ahead\nbattery"),
    ],
)
async def test_answers_are_translated_and_their_values_stay(answer: str, shown: str) -> None:
    async with translator(f"{BOTH}\nshow = translation", robots=ROBOTS) as (gateway, _):
        said(gateway, answer)
        assert (await gateway.hears("alice", "")).body == shown


async def test_an_answer_keeps_what_it_tells_about_the_command() -> None:
    async with translator(robots=ROBOTS) as (gateway, _):
        said(gateway, "done", refid="c1")
        await gateway.hears("alice", "fertig")
        [delivery] = gateway._inboxes["alice"]
        assert delivery.status is not None
        assert (delivery.status.state, delivery.message.refid) == (State.DONE, "c1")


def said(gateway: Bench, text: str, **parameters: Any) -> None:
    """Have the robot answer alice, as its module does."""
    message = Message(sender="rover", to="alice", body=text, **parameters)
    gateway._hub.submit("somebody", message, Status(code=Code.DONE, state=State.DONE))


# When the server is slow, or down ---------------------------------------------------------------


async def test_a_translation_that_takes_longer_comes_after_its_message() -> None:
    async with translator(SLOW) as (gateway, server):
        ready = asyncio.Event()
        server.answers = [after(ready, raw("200 OK", b'{"translatedText": "Good morning"}'))]
        named = gateway.say("alice", "bob", "Guten Morgen", aid=3)
        first = await gateway.hears("bob", "Guten Morgen")
        assert first.body == "Guten Morgen\n(the translation follows)"
        assert (await gateway.ended(named)).state is State.DONE
        ready.set()
        second = await gateway.hears("bob", "^Good morning")
        assert second.body == "Good morning\n(de: Guten Morgen)"
        assert (second.sender, second.id, second.refid, second.aid) == ("alice", "", named, 3)
        assert second.flags == Flag.TRANSLATED


async def test_late_translations_come_in_the_order_of_their_messages() -> None:
    async with translator(SLOW) as (gateway, server):
        first, second = asyncio.Event(), asyncio.Event()
        server.answers = [
            after(first, raw("200 OK", b'{"translatedText": "one"}')),
            after(second, raw("200 OK", b'{"translatedText": "two"}')),
            dictionary(server),
        ]
        for text in ("eins", "zwei"):
            await gateway.ended(gateway.say("alice", "bob", text))
        second.set()
        await gateway.ended(gateway.say("alice", "bob", "Gut"))
        assert [each.body for each in gateway.inbox("bob") if each.refid] == []
        first.set()
        await gateway.hears("bob", "^two")
        late = [each.body for each in gateway.inbox("bob") if each.refid]
        assert late[:2] == ["one\n(de: eins)", "two\n(de: zwei)"]


async def test_a_late_translation_does_not_come_after_the_message_has_expired() -> None:
    async with translator(SLOW) as (gateway, server):
        ready = asyncio.Event()
        server.answers = [after(ready, raw("200 OK", b'{"translatedText": "Good"}'))]
        gateway.say("alice", "bob", "Gut", expiry=0)
        gateway.say("alice", "bob", "Gut", expiry=60)
        await asyncio.sleep(0.3)
        ready.set()
        await gateway.hears("bob", "^Good")
        assert [each.refid for each in gateway.inbox("bob") if each.refid] == ["test-2"]


async def test_a_late_translation_that_fails_is_told_to_who_waits_for_it() -> None:
    async with translator(SLOW) as (gateway, server):
        ready = asyncio.Event()
        server.answers = [after(ready, raw("500 Oops", b""))]
        gateway.say("alice", "bob", "Gut")
        await gateway.hears("bob", "follows")
        ready.set()
        note = await gateway.hears("bob", "is not translated")
        assert note.sender == "translate"
        assert note.body.startswith("what alice wrote is not translated: LibreTranslate refuses (status 500)")


async def test_a_conversation_has_at_most_five_late_translations() -> None:
    async with translator(SLOW) as (gateway, server):
        server.answers = [after(asyncio.Event(), raw("200 OK", b""))]
        for number in range(7):
            await gateway.ended(gateway.say("alice", "bob", f"Nummer {number}"))
        bodies = [each.body for each in gateway.inbox("bob")]
        assert [each.partition("\n")[2] for each in bodies] == [
            *["(the translation follows)"] * 5,
            *["(not translated: the translator is too slow)"] * 2,
        ]


async def test_a_robot_is_never_told_late() -> None:
    async with translator(SLOW, robots=ROBOTS) as (gateway, server):
        ready = asyncio.Event()
        server.answers = [after(ready, raw("200 OK", b'{"translatedText": "forward 20"}'))]
        gateway.say("alice", "rover", "vorwärts 20")
        assert (await gateway.robot_told()).body == "vorwärts 20"
        assert (
            "it takes too long; say it again"
            in (await gateway.hears("alice", "rover is told what you wrote")).body
        )
        ready.set()
        await asyncio.sleep(0.1)
        assert len(gateway.told) == 1
        async with asyncio.timeout(5):
            while gateway.told[-1].body != "forward 20":  # once it is known
                gateway.say("alice", "rover", "vorwärts 20")
                await gateway.robot_told(len(gateway.told) + 1)
        assert len(server.requests) == 1


async def test_others_do_not_wait_for_a_slow_translation() -> None:
    users = dict.fromkeys(("alice", "bob", "carol"), "viewer")
    async with translator(f"{BOTH}\nwait = 0.9", users=users) as (gateway, server):
        server.answers = [after(asyncio.Event(), raw("200 OK", b""))]
        gateway.say("alice", "bob", "Guten Morgen")
        await asked(server, 1)
        gateway.say("alice", "carol", "hello")
        await gateway.hears("carol", "hello")
        assert gateway.inbox("bob") == []


async def test_a_server_that_is_down_is_left_alone_for_a_while() -> None:
    async with translator() as (gateway, server):
        server.answers = [raw("503 Busy", b"")]
        reason = "(not translated: LibreTranslate refuses (status 503): it has a fault of its own, try later)"
        for text in ("eins", "zwei", "drei"):
            assert (await heard(gateway, "alice", "bob", text)).body == f"{text}\n{reason}"
        assert len(server.requests) == 1
        server.answers = [dictionary(server)]
        await asyncio.sleep(1.1)
        assert (await heard(gateway, "alice", "bob", "Gut")).body == "Good\n(de: Gut)"
        assert (await heard(gateway, "alice", "bob", "Guten Abend")).body == (
            "Good evening\n(de: Guten Abend)"
        )


async def test_a_text_that_can_not_be_translated_does_not_keep_others_from_it() -> None:
    async with translator() as (gateway, server):
        server.answers = [raw("400 Bad Request", b'{"error": "no"}'), dictionary(server)]
        assert "status 400" in (await heard(gateway, "alice", "bob", "hm")).body
        assert (await heard(gateway, "alice", "bob", "Gut")).body == "Good\n(de: Gut)"


async def test_a_robot_gets_what_was_typed_if_there_is_no_translation() -> None:
    async with translator(robots=ROBOTS) as (gateway, server):
        server.answers = [raw("500 Oops", b"")]
        gateway.say("alice", "rover", "vorwärts 20")
        assert (await gateway.robot_told()).body == "vorwärts 20"
        note = await gateway.hears("alice", "")
        assert note.body.startswith("rover is told what you wrote, not translated: LibreTranslate refuses")


async def test_a_text_that_is_too_long_goes_on_as_it_is() -> None:
    async with translator() as (gateway, server):
        long = "Wort " * 1001
        assert (await heard(gateway, "alice", "bob", long)).body == (
            f"{long}\n(not translated: longer than 5000 characters)"
        )
        full = "ä" * 32_760
        assert (await heard(gateway, "alice", "bob", full)).body == full
        assert server.requests == []


async def test_the_server_gets_no_more_at_once_than_it_should() -> None:
    users = dict.fromkeys(("alice", *"abcdefgh"), "viewer")
    known = ", ".join(f"{each}: en" for each in "abcdefgh")
    settings = f"languages = alice: de, {known}\nparallel = 2"
    async with translator(settings, users=users) as (gateway, server):
        ready = asyncio.Event()
        server.answers = [after(ready, raw("200 OK", b'{"translatedText": "Good"}'))]
        for number, to in enumerate("abcdefgh"):
            gateway.say("alice", to, f"Gut {number}")
        await asked(server, 2)
        await asyncio.sleep(0.05)
        assert len(server.requests) == server.most == 2
        ready.set()
        for to in "abcdefgh":
            await gateway.hears(to, "Good")
        assert server.most == 2


async def test_what_waits_at_the_end_is_not_lost() -> None:
    async with translator(f"{BOTH}\nwait = 0.9") as (gateway, server):
        server.answers = [after(asyncio.Event(), raw("200 OK", b""))]
        gateway.say("alice", "bob", "Guten Morgen")
        await asked(server, 1)
        await gateway.configure(f"endpoint = {server.url}\n{BOTH}\nwait = 0.5")
        assert (await gateway.hears("bob", "Guten Morgen")).sender == "alice"


# Settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("", "nobody's language is known: set `languages`"),
        ("languages = alice", "expected a list with commas, each NAME: LANGUAGE|no code of a language"),
        ("languages = alice: german", "'german' is no code of a language, such as de or pt-BR"),
        ("languages = Alice: de", "is not an address"),
        ("languages = alice: de, alice: en", "stands there twice"),
        ("pairs = alice: de", "expected NAME NAME: LANGUAGE LANGUAGE"),
        ("pairs = alice bob: de en fr", "expected NAME NAME: LANGUAGE LANGUAGE"),
        ("target = klingon", "target: 'klingon' is no code of a language"),
        ("source = de", "the key 'source' needs the key 'target'"),
        ("target = de\nwords = vor", "expected WORDS: COMMAND"),
        ("target = de\nwords = steh: stop", "robots are stopped and re-armed by these words alone"),
        ("target = de\nwords = los: Rearm", "robots are stopped and re-armed by these words alone"),
        ("target = de\nengine = google", "engine = google needs the key 'api_key'"),
        ("target = de\nendpoint = ftp://a", "endpoint: expected a URL"),
        ("target = de\nendpoint = http://a:b@c", "no password"),
        ("target = de\naccess_token = x", "LibreTranslate takes 'api_key'"),
        ("target = de\napi_key = x\napi_key_file = y", "give api_key or api_key_file, not more than one"),
        ("target = de\nwait = 1", "expected a number from 0.05 to 0.9"),
        ("target = de\naddress = all", "means something else in chat"),
    ],
)
async def test_wrong_settings_are_told(settings: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        async with bench(Translate, settings):
            pass


# What must not be lost --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "translation", "kept"),
    [
        ("8.2 V", "8,2 V", True),
        ("8.2 V", "8.2 W", False),
        ("8.2 V", "8.2 Volt", False),
        ("20 cm and 3 s", "3 s und 20 cm", True),
        ("20 cm", "20 m", False),
        ("-5 °C", "-5 °C", True),
        ("50 %", "50%", True),
        ("3 men", "3 Männer", True),
        ("in 3", "in drei", False),
        ("wait", "warte 1", False),
    ],
)
def test_values_are_compared_with_their_units(text: str, translation: str, kept: bool) -> None:
    assert keeps_values(text, translation) is kept


@given(st.lists(st.integers(0, 10**6), max_size=5), st.integers(0, 4), st.integers(1, 9))
def test_a_number_that_changes_is_noticed(numbers: list[int], which: int, by: int) -> None:
    text = " go ".join(map(str, numbers))
    assert keeps_numbers(text, f"gehe {text}")
    if which < len(numbers):
        changed = [number + by * (index == which) for index, number in enumerate(numbers)]
        assert not keeps_numbers(text, " go ".join(map(str, changed)))


@given(st.text())
def test_any_text_can_be_looked_at(text: str) -> None:
    keeps_values(text, text[::-1])
    assert reworded(text, [Word("sehr schnell: forward 5")]) is None
    assert reworded(f"Sehr\tSCHNELL {text}", [Word("sehr schnell: forward 5")]) is not None
