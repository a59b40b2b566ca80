"""The filter keeps back what its owner does not want to read, however it is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from boardtalk.modules.filter import Filter
from boardtalk.modules.filter.module import masked
from boardtalk.modules.filter.words import Words, fold
from boardtalk.sdk import Code, ConfigError, ModuleError, State
from boardtalk.testing import bench

BLOCKED = "blocked_words = fool, naïve Müller, alpha, c++, ass"


@pytest.mark.parametrize(
    "text",
    [
        "you fool",
        "FOOL!",
        "(Fool)",
        "ｆｏｏｌ",
        "f\u00f3\u00f2l",
        "fo\u200dol",
        "f\u0301ool",
        "snake_fool_case",
        "a naive mueller, a Naïve  Müller",
        "NAIVE MULLER",
        "I write C++ here",
        "alpha.",
    ],
)
async def test_a_blocked_word_is_found_however_it_is_written(text: str) -> None:
    async with bench(Filter, BLOCKED) as gateway:
        ended = await gateway.ended(gateway.say("alice", "bob", text))
        assert (ended.code, ended.state) == (Code.DENIED, State.REJECTED)
        assert "is not wanted here" in ended.detail
        assert gateway.inbox("bob") == []


@pytest.mark.parametrize(
    "text", ["alphabet", "the class passes", "naive", "Müller", "c+ +", "abc++", "foo l", "", "…", "fo\nol"]
)
async def test_other_words_are_not(text: str) -> None:
    async with bench(Filter, BLOCKED) as gateway:
        gateway.say("alice", "bob", text or " ")
        gateway.say("alice", "bob", "end")
        await gateway.hears("bob", "^end$")
        assert len(gateway.inbox("bob")) == 2


async def test_words_inside_of_words_are_found_if_that_is_wanted() -> None:
    async with bench(Filter, f"{BLOCKED}\nmatch = anywhere") as gateway:
        assert (await gateway.ended(gateway.say("alice", "bob", "alphabet"))).code is Code.DENIED


async def test_masked_words_leave_the_rest_as_it_was() -> None:
    async with bench(Filter, f"{BLOCKED}\naction = mask") as gateway:
        gateway.say("alice", "bob", "Straße: you FÓOL, use c++ – naïve  Müller ﬁn")
        assert (await gateway.hears("bob", "Straße")).body == "Straße: you ***, use *** – *** ﬁn"


async def test_a_warning_comes_from_the_filter_and_the_message_goes_on() -> None:
    async with bench(Filter, f"{BLOCKED}\naction = warn") as gateway:
        named = gateway.say("alice", "bob", "you fool")
        warning = await gateway.hears("alice", "'fool' is not wanted here")
        assert (warning.sender, warning.refid) == ("filter", named)
        assert (await gateway.hears("bob", "fool")).body == "you fool"


async def test_a_silent_filter_tells_nobody() -> None:
    async with bench(Filter, f"{BLOCKED}\nsilent = yes") as gateway:
        dropped = gateway.say("alice", "bob", "you fool")
        gateway.say("alice", "bob", "end")
        await gateway.hears("bob", "end")
        assert len(gateway.inbox("bob")) == 1
        assert [each.status.state for each in gateway.statuses if each.message_id == dropped] == [
            State.ACCEPTED
        ]


async def test_commands_to_robots_are_looked_at_too() -> None:
    async with bench(Filter, BLOCKED, robots={"rover": ()}) as gateway:
        assert (await gateway.ended(gateway.say("alice", "rover", "fool 20"))).code is Code.DENIED
        gateway.say("alice", "rover", "forward 20")
        assert (await gateway.robot_told()).body == "forward 20"


async def test_words_come_from_a_file_too_and_new_ones_without_a_restart(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("# a comment\n\nbad word\r\n  knave  \n", encoding="utf-8")
    async with bench(Filter, f"words_file = {words}") as gateway:
        assert (await gateway.ended(gateway.say("alice", "bob", "a Bad  word"))).code is Code.DENIED
        assert (await gateway.ended(gateway.say("alice", "bob", "knave"))).code is Code.DENIED
        await gateway.configure("blocked_words = rogue")
        assert (await gateway.ended(gateway.say("alice", "bob", "rogue"))).code is Code.DENIED
        assert (await gateway.ended(gateway.say("alice", "bob", "knave"))).state is State.DONE
        await gateway.configure(f"words_file = {tmp_path / 'gone'}")
        assert (await gateway.ended(gateway.say("alice", "bob", "rogue"))).code is Code.DENIED


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("", "no word to look for"),
        ("blocked_words = , ,", "no word to look for"),
        ("blocked_words = \u0301", "no word to look for"),
        ("words_file = /nowhere/words", "/nowhere/words: No such file"),
        ("words_file = /bin/ls", "no UTF-8 text"),
    ],
)
async def test_without_words_it_does_not_start(settings: str, reason: str) -> None:
    with pytest.raises(ModuleError, match=reason):
        async with bench(Filter, settings):
            pass


async def test_a_wrong_key_is_named() -> None:
    with pytest.raises(ConfigError, match="did you mean 'blocked_words'"):
        async with bench(Filter, "blocked_word = x"):
            pass


async def test_empty_items_and_spaces_at_the_end_match_nothing() -> None:
    async with bench(Filter, "blocked_words = fool , , ") as gateway:
        assert (await gateway.ended(gateway.say("alice", "bob", "hello , , you"))).state is State.DONE


# The search itself ----------------------------------------------------------------------------

LETTERS = st.text(alphabet="abAÄä é\u0301\u200dß_ﬁ+ ", max_size=12)


def slow(words: list[str], text: str) -> bool:
    """The same question, asked word by word."""
    tokens = [part for part in "".join(c if c.isalnum() else " " for c in fold(text).text).split(" ") if part]
    for word in words:
        parts = fold(word).text.split()
        if parts and any(tokens[i : i + len(parts)] == parts for i in range(len(tokens))):
            return True
    return False


@given(words=st.lists(st.text(alphabet="abä ", max_size=5), max_size=4), text=LETTERS)
@example(words=["a", "a a"], text="b a")
def test_it_finds_what_a_search_word_by_word_finds(words: list[str], text: str) -> None:
    assert bool(Words(words).find(text)) == slow(words, text)


@given(words=st.lists(LETTERS, max_size=4), text=LETTERS, anywhere=st.booleans())
def test_what_is_found_lies_in_order_inside_the_text(words: list[str], text: str, anywhere: bool) -> None:
    spans = Words(words, anywhere=anywhere).find(text)
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges)
    assert all(span.start < span.end for span in spans)
    assert not edges or (edges[0] >= 0 and edges[-1] <= len(text))
    assert masked(text, spans).count("***") >= len(spans)


def test_all_text_folds_to_text_that_folds_to_itself() -> None:
    for code in range(0x110000):
        once = fold(chr(code)).text
        assert fold(once).text == once, hex(code)
