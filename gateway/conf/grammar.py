r"""The language of configuration files: text ⇄ `Document`. Knows no key and no kind of block.

::

    log_level = debug              # a global item; its value ends with the line
    module filter {                # a block: kind, name, items in order
        blocked_words = one, two
    }
    module filter{                 /** the same module once more: a second instance **/
    }
    module skeleton                # a block without items
    module = chatbot {             # the older spelling of `module chatbot {`
    }
    broker { url = mqtts://example.org }

A comment begins with ``#`` or ``/**`` at the beginning of a line or after a space; inside a word
(a colour, a URL) these are data. There are no quotes, nested blocks, includes or expansions.
Repeated blocks and keys are kept in order. Examples that lost their closing braces on the way are
read too, with a warning: a block ends at the latest where the next one begins.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput

from boardtalk.conf.document import Block, Document, Item, quoted
from boardtalk.sdk import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINES: Final = 20_000
"""More is no configuration, and reading it would hold up a Pi for seconds."""

_GRAMMAR: Final = r"""
start: _NL* item* (_section item*)* unclosed*
_section: bare | module | closed | unclosed+ (closed | module)

// After an unclosed block only a brace or `module` begins the next one: in a block, any other line
// without `=` is a slip of the pen.
bare: KIND [NAME] _NL+
module: MODULE [NAME] _NL+                      -> bare
closed: _head "{" one_line? "}" _NL+
      | _head "{" _NL+ item* "}" _NL+
unclosed: _head "{" _NL+ item*
_head: (OPENER | MODULE) [NAME]
     | OLD_MODULE "=" NAME
item: KEY "=" [VALUE] _NL+
one_line: KEY "=" [VALUE_IN_BRACES]             -> item

// Words end at `=`, `{` and `}`; only a value holds them. The first word of a line tells what the
// line is, tried from the highest priority down.
OLD_MODULE.4: /module(?=[^\S\n]*=[^={}\n]*\{)/
KEY.3: RUN /(?=[^\S\n]*=)/
MODULE.2: /module(?![^\s={}])/
OPENER.1: WORD /(?=(?:[^\S\n]++(?!#|\/\*\*)[^\s={}]++)*+[^\S\n]*\{)/
KIND: WORD
NAME: RUN
VALUE: /\S++(?:[^\S\n]++(?!#|\/\*\*)\S++)*/
VALUE_IN_BRACES.1: /\S+?(?:[^\S\n]++(?!#|\/\*\*)\S+?)*?/ LAST_BRACE
LAST_BRACE: /(?=[^\S\n]*\}(?:[^\S\n]*\n|[^\S\n]+(?:#|\/\*\*)))/
RUN: WORD (BLANK WORD)*
WORD: /(?!#|\/\*\*)[^\s={}]++/
BLANK: /[^\S\n]++/
COMMENT.5: /(?<!\S)(?:#[^\n]*|\/\*(?=\*)(?s:.*?)\*\/)/
_NL: /\n\s*/
%ignore BLANK
%ignore COMMENT
"""
"""`++` gives nothing back: a line is scanned in proportion to its length, whatever it holds."""

_EXPECTED: Final = (
    ("VALUE_IN_BRACES", "a value and `}`; a block of several keys has one on each line"),
    ("KIND", "`key = value`, or the first line of a block, such as `module NAME {`"),
    ("OPENER", "`key = value` or `}`"),
    ("KEY", "`key = value }` or the end of the line"),
    ("LBRACE", "`{` or the end of the line"),
    ("RBRACE", "`}`"),
    ("_NL", "the end of the line"),
    ("NAME", "a name"),
)
"""What to ask for: by the first of these terminals that the parser would have taken."""

_FORBIDDEN: Final = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]|\r(?!\n)")
"""Control characters: no editor shows them, and some editors count them as line ends."""


def parse(text: str, path: str | None = None) -> Document:
    """Read a configuration.

    Args:
        text: the content of a file.
        path: its name, for errors.

    Raises:
        ConfigError: not in the language; knows line and column.
    """
    text += "\n"
    if found := _FORBIDDEN.search(text):
        line, column = _place(text, found.start())
        reason = f"control character {found[0]!r}: this is not a text file"
        raise ConfigError(reason, path, line, column)
    if text.count("\n") > MAX_LINES:
        raise ConfigError(f"more than {MAX_LINES} lines: this is no configuration file", path)
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise _explained(error, text, path) from None
    return _Builder(path).transform(tree)


def render(document: Document) -> str:
    """The text that `parse` reads as `document`.

    Raises:
        ConfigError: something in it can't be written, such as a value of two lines: it would be
            read as something else.
    """
    texts = []
    for name, text, part in _parts(document):
        if not _reads_as(text, part):
            raise ConfigError(
                f"{name} can't be written to a configuration file: it holds a line break, a space "
                "at an end, a comment, or a brace or `=` where these have a meaning"
            )
        texts.append(text)
    return "".join(texts)


def _parts(document: Document) -> Iterator[tuple[str, str, Document]]:
    """The pieces to write: what each is called, its text, and what that text must mean."""
    for item in document.globals:
        yield f"key {quoted(item.key)}", _line(item), Document(globals=(item,))
    for block in document.blocks:
        items = "".join(f"  {_line(item)}" for item in block.items)
        yield (
            f"block {quoted(block.title)}",
            f"{block.title} {{\n{items}}}\n",
            Document(blocks=(block,)),
        )


def _line(item: Item) -> str:
    space = "" if item.value.startswith(("#", "/**")) else " "  # else it would begin a comment
    return f"{item.key} ={space}{item.value}\n"


def _reads_as(text: str, part: Document) -> bool:
    try:
        return parse(text) == part
    except ConfigError:
        return False


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual")


class _Builder(Transformer[Token, Document]):
    """Turns the parser's tree into our data, from the leaves up."""

    def __init__(self, path: str | None) -> None:
        super().__init__()
        self._path = path
        self._unclosed: list[ConfigError] = []

    def start(self, parts: list[Item | Block]) -> Document:
        return Document(
            globals=tuple(part for part in parts if isinstance(part, Item)),
            blocks=tuple(part for part in parts if isinstance(part, Block)),
            unclosed=tuple(self._unclosed),
        )

    def closed(self, parts: list[Any]) -> Block:
        kind, name, *items = parts
        return Block(str(kind), str(name or ""), tuple(items), **self._place(kind))

    bare = closed

    def unclosed(self, parts: list[Any]) -> Block:
        block = self.closed(parts)
        where = "where the next block begins, or with the file"
        self._unclosed.append(block.error(f"{quoted(block.title)} has no closing `}}`: it ends {where}"))
        return block

    def item(self, parts: list[Any]) -> Item:
        key, value = parts
        return Item(str(key), str(value or ""), **self._place(key))

    def _place(self, token: Any) -> dict[str, Any]:
        return {"line": token.line, "column": token.column, "path": self._path}


def _explained(error: UnexpectedInput, text: str, path: str | None) -> ConfigError:
    """What stands where, and what should stand there instead."""
    rest = text.split("\n")[error.line - 1][error.column - 1 :].rstrip()
    accepted = getattr(error, "expected", None) or getattr(error, "allowed", None) or ()
    expected = next((words for terminal, words in _EXPECTED if terminal in accepted), "nothing")
    if rest.startswith("/**"):
        reason = "this comment has no end: `**/` is expected"
    elif rest.startswith("}") and "KIND" in accepted:
        reason = "this `}` closes nothing: no block is open here, and blocks don't nest"
    elif not rest:
        reason = f"the line ends too early: expected {expected}"
    else:
        reason = f"can't read {quoted(rest)} here: expected {expected}"
    return ConfigError(reason, path, error.line, error.column)


def _place(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, 1-based."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
