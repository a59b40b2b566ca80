"""What the language of configuration files is: every spelling, every error, both directions."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from boardtalk.conf.document import Block, Document, Item
from boardtalk.conf.grammar import MAX_LINES, parse, render
from boardtalk.sdk import ConfigError


def item(key: str, value: str) -> Item:
    return Item(key, value)


def block(title: str, **items: str) -> Block:
    kind, _, name = title.partition(" ")
    return Block(kind, name, tuple(Item(*each) for each in items.items()))


def parsed(text: str) -> Document | ConfigError:
    try:
        return parse(text)
    except ConfigError as error:
        return error


# Spellings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "module filter {\n  words = a b\n}",
        "module filter{\n  words = a b\n}",
        "module  filter   {\n\twords=a b\n}\n",
        "module=filter{\nwords =a b\n}",
        "module = filter {\n    words  =  a b   \n    }",
        "module filter { words = a b }",
        "module filter {words=a b}",
        "module=filter{ words = a b } # all on one line",
        "module filter { # comment\n words = a b # comment\n} # comment",
        "  module filter {\r\n  words = a b \t \r\n  }\r\n",
        "/** the filter **/ module filter { /** its words **/\n  words = a b /** two **/\n} /***/",
        "\n\n# a\n\n  # b\nmodule filter {\n\n# c\nwords = a b\n\n}\n\n# d",
        "module filter {\n/** a comment\n words = c\n} of many lines */\nwords = a b\n}",
        "module\u00a0filter {\n\u2003words\u00a0= a b\u00a0\n}",
    ],
)
def test_a_block_may_be_spelled_in_all_these_ways(text: str) -> None:
    assert parse(text) == Document(blocks=(block("module filter", words="a b"),))
    assert parse(text).warnings == []


@pytest.mark.parametrize(
    "text",
    [
        "module skeleton",
        "module   skeleton  # comment",
        "module skeleton {}",
        "module skeleton{ }",
        "module=skeleton{}",
        "module skeleton {\n}",
        "module skeleton {\n  /**Configuration for module-1 **/\n}",
    ],
)
def test_a_block_may_be_without_items(text: str) -> None:
    assert parse(text) == Document(blocks=(block("module skeleton"),))
    assert parse(text).warnings == []


@pytest.mark.parametrize("text", ["listen", "listen {}", "listen{\n}"])
def test_a_block_may_be_without_a_name(text: str) -> None:
    assert parse(text) == Document(blocks=(Block("listen"),))


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("k=v", "v"),
        ("  k \t=  v \t ", "v"),
        ("k = Bare bones version of a Module", "Bare bones version of a Module"),
        ("k = two  spaces", "two  spaces"),
        ("k = a=b = c", "a=b = c"),
        ("k = https://example.org/v2#top?q=1", "https://example.org/v2#top?q=1"),
        ("k = ab#12", "ab#12"),
        ("k = 1 #Log level", "1"),
        ("k = a # b # c", "a"),
        ("k =", ""),
        ("k = # nothing", ""),
        ("k=#ff0000", "#ff0000"),
        ("k=/**/x", "/**/x"),
        ("k = src/**/x", "src/**/x"),
        ("k = a /* b */ c", "a /* b */ c"),
        ("k = {x} }", "{x} }"),
        ("k = \"quoted\" 'as it is'", "\"quoted\" 'as it is'"),
        ("k = $(reboot) $HOME ~ \\n %s", "$(reboot) $HOME ~ \\n %s"),
        ("k = Grüße, 機器人", "Grüße, 機器人"),
    ],
)
def test_a_value_goes_to_the_end_of_its_line(line: str, value: str) -> None:
    assert parse(line) == Document(globals=(item("k", value),))
    assert parse(f"module x {{\n{line}\n}}") == Document(blocks=(block("module x", k=value),))


def test_a_block_on_one_line_ends_with_its_last_brace() -> None:
    document = parse("broker { url = mqtt://[::1]:1883 }\nmodule x { greeting = {a} = {b}}\nuser a { k = }")
    assert document.blocks == (
        block("broker", url="mqtt://[::1]:1883"),
        block("module x", greeting="{a} = {b}"),
        block("user a", k=""),
    )


def test_upper_and_lower_case_differ() -> None:
    assert parse("module Chatbot {\nresponseField = Text\n}").blocks == (
        block("module Chatbot", responseField="Text"),
    )


def test_order_and_repetitions_are_kept() -> None:
    document = parse("b = 1\nmodule x { k = 1 }\nmodule y\nmodule x { k = 2 }\na = 2\nb = 3")
    assert document.globals == (item("b", "1"), item("a", "2"), item("b", "3"))
    assert document.blocks == (
        block("module x", k="1"),
        block("module y"),
        block("module x", k="2"),
    )


def test_a_repeated_key_is_kept_with_a_warning_that_the_first_counts() -> None:
    document = parse("module x {\n  k = 1\n  k = 2\n}", "a.conf")
    assert document.blocks[0].items == (item("k", "1"), item("k", "2"))
    assert [str(each) for each in document.warnings] == [
        "a.conf:3:3: key 'k' again: the first one counts, a.conf:2"
    ]


def test_items_named_like_kinds_of_blocks_are_items() -> None:
    text = "module x {\n  user = joe\n  module = y\n  board = a b\n  broker=mosquitto\n}"
    assert parse(text).blocks == (block("module x", user="joe", module="y", board="a b", broker="mosquitto"),)


def test_everything_knows_its_place() -> None:
    document = parse("a = 1\n  user bob {\n\trole = admin\n}\n", "b.conf")
    (one,), (two,) = document.globals, document.blocks
    assert (one.path, one.line, one.column) == ("b.conf", 1, 1)
    assert (two.path, two.line, two.column) == ("b.conf", 2, 3)
    assert (two.items[0].path, two.items[0].line, two.items[0].column) == ("b.conf", 3, 2)


# The ancestor's documents have lost every line that held only a brace ----------------------------

SEED = """
 module <module name>

module <module name> {
  <config name> = <config value>
  <config name> = <config value>

module skeleton {
  file_name = xyz
  auth_key = abc

module <module_1 name> {
  /**Configuration for module-1 **/

module <module_2 name> {
  /**Configuration for module-2 **/
module <module_N name> {
  /**Configuration for module-N **/

module skeleton {
file = abc
auth_token = xyz


module chatbot{
    project = mesibo-chatbot
\t    endpoint = https://dialogflow.googleapis.com/v2
\t    access_token = xxxxxx.Kl6iBzVH7dvV2XywzpnehLJwczdClfMoAHHOeTVNFkmTjqVX7VagKHH1-xxxxxxx
\t    language = en
\t    address = my_chatbot
\t    log = 1
"""


def test_the_ancestors_examples_can_be_read_as_they_are_printed() -> None:
    document = parse(SEED)
    assert [each.name for each in document.blocks] == [
        "<module name>", "<module name>", "skeleton", "<module_1 name>", "<module_2 name>",
        "<module_N name>", "skeleton", "chatbot",
    ]  # fmt: skip
    assert document.blocks[1].items == (item("<config name>", "<config value>"),) * 2
    assert document.blocks[2] == block("module skeleton", file_name="xyz", auth_key="abc")
    assert document.blocks[6] == block("module skeleton", file="abc", auth_token="xyz")
    assert document.blocks[7].items[-2:] == (item("address", "my_chatbot"), item("log", "1"))
    assert len(document.unclosed) == 7


def test_an_unclosed_block_ends_at_the_next_one_with_a_warning() -> None:
    document = parse("module a {\n  k = 1\nmodule b\nuser c {\n}\nuser d {\n", "c.conf")
    assert document.blocks == (
        block("module a", k="1"), block("module b"), block("user c"), block("user d"),
    )  # fmt: skip
    consequence = "it ends where the next block begins, or with the file"
    assert [str(each) for each in document.warnings] == [
        f"c.conf:1:1: 'module a' has no closing `}}`: {consequence}",
        f"c.conf:6:1: 'user d' has no closing `}}`: {consequence}",
    ]


# Errors ---------------------------------------------------------------------------------------


LINE = "expected `key = value`, or the first line of a block, such as `module NAME {`"
ITEM = "expected `key = value` or `}`"
NOTHING_OPEN = "this `}` closes nothing: no block is open here, and blocks don't nest"
ONE_LINE = "expected a value and `}`; a block of several keys has one on each line"
END = "expected the end of the line"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("}", f"1:1: {NOTHING_OPEN}"),
        ("a {\n  b {\n  }\n}\n", f"4:1: {NOTHING_OPEN}"),
        ("a {\n  words one, two\n}\n", f"2:3: can't read 'words one, two' here: {ITEM}"),
        ("a {\n  user joe\n}\n", f"2:3: can't read 'user joe' here: {ITEM}"),
        ("= 1", f"1:1: can't read '= 1' here: {LINE}"),
        ("module x\n{\n}", f"2:1: can't read '{{' here: {LINE}"),
        ("a {\n} b", f"2:3: can't read 'b' here: {END}"),
        ("a }", f"1:3: can't read '}}' here: {END}"),
        ("module a }", "1:10: can't read '}' here: expected `{` or the end of the line"),
        ("module = {\n}", "1:10: can't read '{' here: expected a name"),
        ("a { b = c\n}", f"1:9: can't read 'c' here: {ONE_LINE}"),
        ("a { b }", "1:5: can't read 'b }' here: expected `key = value }` or the end of the line"),
        ("k = a /** b **/ c", f"1:17: can't read 'c' here: {END}"),
        ("k = 1\n  /** no end\nmodule x\n", "2:3: this comment has no end: `**/` is expected"),
        ("k = 1 /** no end", "1:7: this comment has no end: `**/` is expected"),
        ("k = 1\nk2 = \0", "2:6: control character '\\x00': this is not a text file"),
        ("k = \x1b[2J", "1:5: control character '\\x1b': this is not a text file"),
        ("k = 1\rk2 = 2", "1:6: control character '\\r': this is not a text file"),
        ("k = [\nx y = 1\n" + "y" * 100 + "{}}", f"3:103: can't read '}}' here: {END}"),
        ("a b " * 99 + "= {}\nc }", f"2:3: can't read '}}' here: {END}"),
        ("{" * 99, f"1:1: can't read '{'{' * 60}'… here: {LINE}"),
        ("\n" * MAX_LINES, f" more than {MAX_LINES} lines: this is no configuration file"),
    ],
)  # fmt: skip
def test_an_error_says_where_and_what_is_expected(text: str, error: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "d.conf")
    assert str(caught.value) == f"d.conf:{error}"


# Both directions ------------------------------------------------------------------------------

WORD = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"), exclude_characters="={}"),
    min_size=1,
).filter(lambda word: not word.startswith(("#", "/**")))
WORDS = st.lists(WORD, min_size=1, max_size=3).map(" ".join)
VALUE_WORD = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), min_size=1)
VALUES = st.tuples(
    VALUE_WORD,
    st.lists(VALUE_WORD.filter(lambda word: not word.startswith(("#", "/**"))), max_size=3),
).map(lambda words: " ".join([words[0], *words[1]])) | st.just("")
ITEMS = st.builds(Item, WORDS.filter(lambda key: key != "module"), VALUES)
BLOCKS = st.builds(Block, WORD, WORDS | st.just(""), st.lists(ITEMS, max_size=4).map(tuple))
DOCUMENTS = st.builds(
    Document, st.lists(ITEMS, max_size=4).map(tuple), st.lists(BLOCKS, max_size=4).map(tuple)
)


@given(DOCUMENTS)
def test_what_is_written_reads_back_the_same(document: Document) -> None:
    assert parse(render(document)) == document


ANY_ITEM = st.builds(Item, st.text(), st.text())
ANY_BLOCK = st.builds(Block, st.text(), st.text(), st.lists(ANY_ITEM, max_size=2).map(tuple))


@given(st.builds(Document, st.tuples(ANY_ITEM), st.tuples(ANY_BLOCK)))
@example(Document(globals=(Item("a", "1\nuser eve { role = admin }"),)))
@example(Document(globals=(Item("module", "eve {"),)))
@example(Document(globals=(Item("a", "b /** c"),)))
@example(Document(blocks=(Block("user", "a {}\nuser eve", ()),)))
@example(Document(blocks=(Block("user", "a", (Item("}\nuser eve {\nrole", "admin"),)),)))
def test_what_would_read_back_as_something_else_is_never_written(document: Document) -> None:
    try:
        text = render(document)
    except ConfigError:
        return
    assert parse(text) == document


LINES = st.lists(
    st.sampled_from(
        [
            *("module x {", "module=x{", "module = y", "module x", "user a {", "listen {}", "a b"),
            *("x { k = v }", "{", "}", "}}", "=", "k = v", "k=", "k = v }", "k = v # c", "# c"),
            *("/**", "**/", "/** c **/", "\t", "\r"),
        ]
    )
).map("\n".join)


@given(st.text() | st.text("modulek={}#/* \n\r\t\0") | LINES)
def test_any_text_is_a_document_or_an_error_with_a_place(text: str) -> None:
    result = parsed(text)
    if isinstance(result, Document):
        assert parse(render(result)) == result
    else:
        assert 1 <= result.line <= text.count("\n") + 1
        assert result.column >= 1
