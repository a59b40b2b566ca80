"""The configuration files, and all that is wrong with them."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from boardtalk.conf.blocks import (
    BROKERS,
    KINDS,
    AllowBlock,
    BrokerBlock,
    EmbeddedBroker,
    Gateway,
    Listen,
    ModuleOptions,
    RemoteBroker,
)
from boardtalk.conf.document import Block, Document, quoted
from boardtalk.conf.grammar import parse
from boardtalk.conf.rights import rights_problems
from boardtalk.conf.settings import fields, problems, settings, shared_settings, suggestion
from boardtalk.sdk import AddressError, ConfigError, Settings, check_name
from boardtalk.sdk.hints import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_FILE_BYTES: Final = 1 << 20
"""A larger file is no configuration."""

NO_PORT: Final = ("auto", "mqtt")
"""In place of one, for any number of boards."""
OWN_KINDS: Final = ("module", "broker", "listen", "allow", "policy", "grant")

T = TypeVar("T", bound=Settings)


def load(path: Path) -> Document:
    """Read a configuration file, then the ``*.conf`` in the folder ``conf.d`` beside it, by name.

    Of a global key that stands in several files, the first counts: the main file has the last word.

    Raises:
        ConfigError: a file can't be read, is no text, or is not in the language.
    """
    parts = [parse(_text(each), str(each)) for each in (path, *_further(path.parent / "conf.d"))]
    return Document(
        globals=tuple(item for part in parts for item in part.globals),
        blocks=tuple(block for part in parts for block in part.blocks),
        unclosed=tuple(warning for part in parts for warning in part.unclosed),
    )


def module_settings(block: Block, type_: type[T]) -> tuple[ModuleOptions, T]:
    """The gateway's options and the module's own settings of one `module` block.

    Raises:
        ConfigError: a key is unknown or missing, or a value is wrong.
    """
    return shared_settings(block, ModuleOptions, type_)


def module_options(block: Block) -> ModuleOptions:
    """The gateway's options of one `module` block, whatever the module's own keys are.

    Raises:
        ConfigError: a value is wrong.
    """
    keys = fields(ModuleOptions)
    return settings(
        replace(block, items=tuple(each for each in block.items if each.key in keys)), ModuleOptions
    )


def broker_settings(block: Block) -> BrokerBlock:
    """The settings of a `broker` block, of the type that its name or its `url` asks for.

    Raises:
        ConfigError: a key is unknown or missing, or a value is wrong; no such broker.
    """
    return settings(block, _broker_type(block))


def foreign_broker(document: Document) -> str:
    """Where the broker is that somebody else runs; "" if there is no such broker.

    Raises:
        ConfigError: its block is wrong.
    """
    found = [broker_settings(block) for block in document.of("broker")[:1]]
    return found[0].url if found and isinstance(found[0], RemoteBroker) else ""


def check(
    document: Document,
    module_types: Mapping[str, type[Settings] | None],
    block_types: Mapping[str, type[Settings]],
) -> list[ConfigError]:
    """All errors of a configuration, in its order; behind these, boards at one port.

    Args:
        document: the configuration.
        module_types: the settings of each module that there is; None if they are not known.
        block_types: the settings of each kind of block that modules declare.

    Raises:
        ModuleError: the settings of a module can't be read at all; the fault is in its code.
    """
    kinds = {**block_types, **KINDS}
    errors = problems(document.globals, Gateway)
    named = [block for block in document.blocks if block.kind in kinds]
    first = {block.name: block for block in reversed(named)}
    brokers, pages = document.of("broker"), document.of("listen")
    for block in document.blocks:
        match block.kind:
            case "module":
                errors += _module_problems(block, module_types)
            case "broker":
                errors += _broker_problems(block, brokers[0])
            case "listen":
                errors += _listen_problems(block, pages[0])
            case "allow":
                errors += problems(block, AllowBlock)
            case "policy" | "grant":
                errors += rights_problems(block, document)
            case kind if kind in kinds:
                errors += _name_problems(block, first[block.name])
                errors += problems(block, kinds[kind])
            case kind:
                hint = suggestion(kind, (*OWN_KINDS, *kinds), "known kinds")
                errors.append(block.error(f"there is no kind of block {quoted(kind)}; {hint}"))
    return [*errors, *_shared_ports(document.of("board"))]


def unknown_members(document: Document, users: Iterable[str] = ()) -> list[ConfigError]:
    """A warning for each member and owner of a group, and each user of a grant, that no block makes one.

    Boards may be members too: a stop to the group stops them. A grant may be for a group.

    Args:
        document: the configuration.
        users: further ones.
    """
    known = {*users, *(block.name for block in document.of("user"))}
    apart = ("user", "module", *OWN_KINDS)
    others = {block.name: block.kind for block in document.blocks if block.kind not in apart}
    fine = {("members", "board"), ("users", "group")}
    return [
        item.error(f"{item.key}: {_stranger(name, known, others)}")
        for block in document.blocks
        if block.kind in ("group", "grant")
        for item in block.items
        if item.key in ("members", "owner", "users")
        for name in map(str.strip, item.value.split(","))
        if name not in ("", "*") and name not in known and (item.key, others.get(name)) not in fine
    ]


def _stranger(name: str, known: Iterable[str], others: Mapping[str, str]) -> str:
    if name in others:
        return f"{name!r} is a {others[name]}, and no user"
    near = nearest(name, known)
    guess = f" (did you mean {near!r}?)" if near else ""
    return f"no block makes {quoted(name)} a user{guess}; `boardtalk user add` can"


def _module_problems(block: Block, known: Mapping[str, type[Settings] | None]) -> list[ConfigError]:
    if block.name in known:
        type_ = known[block.name]
        try:
            return problems(block, ModuleOptions, type_) if type_ else []
        except (Exception, SystemExit) as error:  # noqa: BLE001 - code of the module's reads them
            return [
                block.error(f"the settings of this module can't be read: {type(error).__name__}: {error}")
            ]
    hint = suggestion(block.name, known, "there are")
    what = f"there is no module {quoted(block.name)}" if block.name else "`module` needs a name"
    return [block.error(f"{what}; {hint}")]


def _broker_problems(block: Block, first: Block) -> list[ConfigError]:
    errors = []
    if block is not first:
        errors.append(block.error(f"a second broker; there can be one, and {first.where} has it"))
    try:
        return errors + problems(block, _broker_type(block))
    except ConfigError as error:
        return [*errors, error]


def _broker_type(block: Block) -> type[BrokerBlock]:
    if block.name in BROKERS:
        return BROKERS[block.name]
    if block.name:
        hint = suggestion(block.name, BROKERS, "known brokers")
        reason = f"there is no broker {quoted(block.name)}; {hint}; any other: `broker {{ url = … }}`"
        raise block.error(reason)
    return RemoteBroker if any(item.key == "url" for item in block.items) else EmbeddedBroker


def _listen_problems(block: Block, first: Block) -> list[ConfigError]:
    if block is not first:
        return [block.error(f"a second page; there can be one, and {first.where} has it")]
    if block.name:
        return [block.error(f"`listen` takes no name: {quoted(block.name)} is too much")]
    return problems(block, Listen)


def _name_problems(block: Block, first: Block) -> list[ConfigError]:
    try:
        check_name(block.name)
    except AddressError as error:
        what = f"`{block.kind}` needs a name" if not block.name else str(error)
        return [block.error(what)]
    if block is not first:
        return [block.error(f"the name {block.name!r} is taken: {first.where} is `{first.title}`")]
    return []


def _shared_ports(boards: Iterable[Block]) -> Iterator[ConfigError]:
    """Boards at one port that no uid tells apart: under which name the one there runs would be luck."""
    seen: dict[str, tuple[Block, str]] = {}
    for block in boards:
        given = {item.key: item for item in reversed(block.items)}
        if "port" not in given or given["port"].value in NO_PORT:
            continue
        port, uid = given["port"], given["uid"].value.lower() if "uid" in given else ""
        first, known = seen.setdefault(port.value, (block, uid))
        if first is not block and (not uid or not known or uid == known):
            there = f"`{first.title}` ({first.where}) is there too"
            cure = "give each a port of its own, or each its `uid` if they take turns"
            yield port.error(f"port = {quoted(port.value)}: {there}; {cure}")


def _further(folder: Path) -> list[Path]:
    try:
        paths = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"can't be read: {error.strerror}", str(folder)) from error
    return [path for path in paths if path.suffix == ".conf" and path.name[0] != "."]


def _text(path: Path) -> str:
    """The text of a file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError("not a file that holds text", str(path))
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError("there is no such file", str(path)) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"can't be read: {reason}", str(path)) from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"larger than {MAX_FILE_BYTES} bytes: no configuration file", str(path))
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = len(data[data.rfind(b"\n", 0, error.start) + 1 : error.start].decode()) + 1
        reason = f"byte 0x{data[error.start]:02x} is no UTF-8: this is not a text file"
        raise ConfigError(reason, str(path), line, column) from error
