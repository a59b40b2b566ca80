"""What a configuration says, as plain data; `boardtalk.conf.grammar` reads and writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from boardtalk.sdk import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


SECRET: Final = re.compile("token|password|passwd|passphrase|psk|secret|key|credential", re.IGNORECASE)
"""Keys whose values are nobody's business."""
IN_URL: Final = re.compile(r"(://)([^/@\s]+)@")
"""Login and password of a URL."""
HIDDEN: Final = "hidden"
SHOWN_CHARS: Final = 60
"""An error shows no more of a text; a file may have lines of a megabyte."""


def quoted(text: str) -> str:
    """A text from a file, fit to be shown: on one line, printable, not too long."""
    return repr(text) if len(text) <= SHOWN_CHARS else repr(text[:SHOWN_CHARS]) + "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Something that stands somewhere in a file. The place is no part of what it says."""

    line: int = field(default=0, compare=False)
    """1-based, as `column`; 0 = not from a file."""
    column: int = field(default=0, compare=False)
    path: str | None = field(default=None, compare=False)

    @property
    def where(self) -> str:
        """The place, for a message about another one."""
        return f"{self.path}:{self.line}" if self.path else f"line {self.line}"

    def error(self, reason: str) -> ConfigError:
        """An error (or a warning) that points here."""
        return ConfigError(reason, self.path, self.line, self.column)


@dataclass(frozen=True, slots=True)
class Item(Placed):
    """One ``key = value``."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Block(Placed):
    """One block, such as ``module filter { … }``."""

    kind: str
    name: str = ""
    items: tuple[Item, ...] = ()

    @property
    def title(self) -> str:
        """Kind and name, as the file has them."""
        return f"{self.kind} {self.name}".rstrip()


@dataclass(frozen=True, slots=True)
class Document:
    """The whole configuration, in the order of the files."""

    globals: tuple[Item, ...] = ()
    blocks: tuple[Block, ...] = ()
    unclosed: tuple[ConfigError, ...] = field(default=(), compare=False)
    """A warning for each block whose closing brace is missing."""

    def of(self, kind: str) -> list[Block]:
        """The blocks of a kind."""
        return [block for block in self.blocks if block.kind == kind]

    @property
    def warnings(self) -> list[ConfigError]:
        """What can be read, but may not be what its author meant."""
        repeated = [*_repeated(self.globals)]
        for block in self.blocks:
            repeated += _repeated(block.items)
        return [*self.unclosed, *repeated]


def public(document: Document) -> Document:
    """The same without the values of keys that hold a secret, by their names."""
    blocks = (replace(block, items=tuple(map(_public, block.items))) for block in document.blocks)
    return Document(tuple(map(_public, document.globals)), tuple(blocks))


def secrets(document: Document) -> set[str]:
    """The values that `public` hides."""
    items = (*document.globals, *(item for block in document.blocks for item in block.items))
    hidden = {item.value for item in items if is_secret(item.key)}
    logins = (login for item in items for login in IN_URL.findall(item.value))
    return hidden.union(*(login[1].split(":") for login in logins))


def is_secret(key: str) -> bool:
    """Whether the values of a key are nobody's business."""
    return bool(SECRET.search(key)) and not key.endswith("_file")


def shown(key: str, value: str) -> str:
    """What may be shown of a value."""
    return HIDDEN if is_secret(key) else IN_URL.sub(rf"\1{HIDDEN}@", value)


def _public(item: Item) -> Item:
    return replace(item, value=shown(item.key, item.value))


def _repeated(items: Iterable[Item]) -> Iterator[ConfigError]:
    first: dict[str, Item] = {}
    for item in items:
        known = first.setdefault(item.key, item)
        if known is not item:
            again = f"key {quoted(item.key)} again"
            yield item.error(f"{again}: the first one counts, {known.where}")
