"""Changes values in the text of a configuration file, and nothing else: comments and order stay as they are.

Whatever comes out is read again and compared with what was meant: odd spellings are left to people.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from boardtalk.conf.grammar import parse
from boardtalk.sdk import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from boardtalk.conf.document import Block, Document, Item

INDENT: Final = "    "
MAX_TAIL: Final = 100
"""Lines of comments between the last key of a block and its end; of more, a program does not find it."""


def edited(text: str, path: str, number: int, values: Mapping[str, str | None]) -> str:
    """The text of a file with other values in one of its blocks.

    Args:
        text: of the file.
        path: its name, for errors.
        number: of the block, from 0.
        values: by key; None: the key goes, and its default counts.

    Raises:
        ConfigError: it is not in the language, or the change can't be made in its text.
    """
    before = parse(text, path)
    meant = _meant(before, number, values)
    for candidate in _candidates(text, before.blocks[number], values):
        try:
            found = parse(candidate, path)
        except ConfigError:
            continue
        if _plain(found) == meant:
            return candidate
    block = before.blocks[number]
    keys = ", ".join(values)
    raise block.error(f"{keys} can't be changed here by a program; change it in the file, and reload")


def added(text: str, path: str, blocks: Sequence[Block]) -> str:
    """The text of a file with further blocks at its end.

    Raises:
        ConfigError: it is not in the language, or they can't be written.
    """
    before = parse(text, path)
    written = "".join(map(_written, blocks))
    end = "\n" if text and not text.endswith("\n") else ""
    new = f"{text}{end}{written}"
    meant = replace(before, blocks=(*before.blocks, *blocks))
    if _plain(parse(new, path)) != _plain(meant):
        raise ConfigError(
            f"{blocks[-1].title} can't be written by a program; write it there, and reload", path
        )
    return new


def removed(text: str, path: str, number: int) -> str:
    """The text of a file without one of its blocks, counted from 0. What stands before it stays.

    Raises:
        ConfigError: it is not in the language, or the block can't be cut out of its text.
    """
    before = parse(text, path)
    meant = replace(before, blocks=(*before.blocks[:number], *before.blocks[number + 1 :]))
    lines = text.splitlines(keepends=True)
    block = before.blocks[number]
    start, last = block.line - 1, max([block.line, *(each.line for each in block.items)])
    for end in range(start + 1, min(last + MAX_TAIL, len(lines)) + 1):
        candidate = "".join([*lines[:start], *lines[end:]])
        try:
            found = parse(candidate, path)
        except ConfigError:
            continue
        if found == meant:
            return candidate
    raise block.error("this block can't be removed by a program; change the file, and reload")


def with_file(document: Document, path: str, text: str) -> Document:
    """A configuration in which one of its files has another text."""
    new = parse(text, path)
    own = [at for at, each in enumerate(document.blocks) if each.path == path]
    first, last = (own[0], own[-1] + 1) if own else (len(document.blocks),) * 2
    return replace(document, blocks=(*document.blocks[:first], *new.blocks, *document.blocks[last:]))


def _written(block: Block) -> str:
    items = "".join(f"{INDENT}{each.key} = {each.value}\n" for each in block.items)
    return f"\n{block.title} {{\n{items}}}\n"


def _plain(document: Document) -> tuple[object, ...]:
    """What a configuration says: of a repeated key, the first value counts."""
    blocks = [(each.kind, each.name, _first(each.items)) for each in document.blocks]
    return document.globals, blocks


def _first(items: tuple[Item, ...]) -> dict[str, str]:
    return {item.key: item.value for item in reversed(items)}


def _meant(document: Document, number: int, values: Mapping[str, str | None]) -> tuple[object, ...]:
    same, blocks = _plain(document)
    assert isinstance(blocks, list)  # noqa: S101 - made above
    kind, name, known = blocks[number]
    wanted = {**known, **values}
    blocks[number] = kind, name, {key: value for key, value in wanted.items() if value is not None}
    return same, blocks


def _candidates(text: str, block: Block, values: Mapping[str, str | None]) -> Iterator[str]:
    """Ways to write it, the nicest first."""
    lines = text.splitlines(keepends=True)
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    known = {item.key for item in block.items}
    added = [f"{key} = {value}" for key, value in values.items() if key not in known and value is not None]
    last = block.items[-1] if block.items else None
    at = last.line if last else block.line
    indent = lines[at - 1][: last.column - 1] if last and last.line != block.line else INDENT
    for item in block.items:
        if item.key in values:
            lines[item.line - 1] = _changed(lines[item.line - 1], item, values[item.key])
    if not added:
        yield "".join(lines)
        return
    opener = lines[block.line - 1]
    new = "".join(f"{indent}{line}{end}" for line in added)
    yield "".join([*lines[:at], new, *lines[at:]])
    head, brace, rest = opener.partition("{")
    inside, closing, tail = rest.rpartition("}")
    if brace and closing:
        kept = f"{INDENT}{inside.strip()}{end}" if inside.strip() else ""
        lines[block.line - 1] = f"{head}{{{end}{kept}{new}}}{tail}"
    else:
        after = block.column - 1 + len(block.title)
        lines[block.line - 1] = f"{opener[:after]} {{{end}{new}}}{opener[after:]}"
    yield "".join(lines)


def _changed(line: str, item: Item, value: str | None) -> str:
    """A line with another value of an item; None: without it."""
    begin = item.column - 1
    equals = line.index("=", begin + len(item.key))
    start = line.index(item.value, equals + 1) if item.value else equals + 1
    rest = line[start + len(item.value) :]
    if value is not None:
        return f"{line[:begin]}{item.key} = {value}{rest}"
    return "" if not line[:begin].strip() else f"{line[:begin]}{rest.lstrip(' ')}"
