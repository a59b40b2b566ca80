"""Which module instances a configuration asks for, in its order, with checked settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from boardtalk import conf
from boardtalk.finder import Source, find
from boardtalk.sandbox.module import Given, Isolated, isolated
from boardtalk.sdk import ConfigError, ModuleError, Settings
from boardtalk.sdk.hints import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from boardtalk.sdk import Module


@dataclass(frozen=True, slots=True)
class Instance:
    """A module to be loaded once: its class, its settings and how the chain treats it."""

    name: str
    """The module's name, with ``#2`` and so on for further instances."""
    module: type[Module]
    settings: Settings
    options: conf.ModuleOptions
    blocks: Mapping[str, Mapping[str, Settings]]
    """The further blocks that it reads, by kind and name."""
    source: Source

    @property
    def files(self) -> list[Path]:
        """Its code."""
        return list(self.module.files) if issubclass(self.module, Isolated) else self.source.files()

    @property
    def values(self) -> Mapping[str, object]:
        """Its settings, by key."""
        if isinstance(self.settings, Given):
            return {item.key: item.value for item in reversed(self.settings.block.items)}
        return msgspec.structs.asdict(self.settings)


@dataclass(frozen=True, slots=True)
class Plan:
    """All instances of a configuration, and what is wrong with it."""

    instances: tuple[Instance, ...]
    blocks: Mapping[str, Mapping[str, Settings]]
    """The further blocks of all modules, by kind and name."""


def problems(document: conf.Document) -> list[ConfigError]:
    """All that is wrong with a configuration, given the modules that there are."""
    sources, errors = _sources(document)
    modules: dict[str, type[Module]] = {}
    for block in document.of("module"):
        if block.name in sources:
            try:
                loaded = _load(document, block, sources)
            except ConfigError as error:
                errors.append(error)
                continue
            errors += loaded.problems
            if not loaded.problems and not issubclass(loaded.module, Isolated):
                modules[block.name] = loaded.module
    configs = {name: modules[name].Config if name in modules else None for name in sources}
    kinds = _kinds(modules)
    if any(block.kind not in kinds for block in document.blocks):  # of a module that is switched off?
        ours = {name: source.load() for name, source in sources.items() if source.is_ours}
        kinds = _kinds(ours) | kinds
    return [*errors, *conf.check(document, configs, kinds)]


def plan(document: conf.Document) -> Plan:
    """What a configuration asks for. The modules that it names are imported, but for isolated ones.

    Raises:
        ConfigError: an unknown module, settings that it does not take, or one that can't be imported.
    """
    sources, errors = _sources(document)
    if errors:
        raise errors[0]
    loaded = [(_as_run(block, sources), _load(document, block, sources)) for block in document.of("module")]
    kinds = _kinds({block.name: each.module for block, each in loaded})
    blocks = {
        kind: {block.name: conf.settings(block, type_) for block in document.of(kind)}
        for kind, type_ in kinds.items()
    }
    instances = []
    counts: dict[str, int] = {}
    for block, (module, wrong) in loaded:
        if wrong:
            raise wrong[0]
        counts[block.name] = number = counts.get(block.name, 0) + 1
        options, settings = _settings(block, module)
        instances.append(
            Instance(
                name=block.name if number == 1 else f"{block.name}#{number}",
                module=module,
                settings=settings,
                options=options,
                blocks={kind: blocks[kind] for kind in module.blocks},
                source=sources[block.name],
            )
        )
    return Plan(tuple(instances), blocks)


def _sources(document: conf.Document) -> tuple[dict[str, Source], list[ConfigError]]:
    """The modules that there are, and what is wrong with where they are looked for."""
    items = [item for item in document.globals if item.key == "module_folders"]
    try:
        return find(conf.settings(items, conf.Gateway).module_folders), []
    except ModuleError as error:
        return find(), [items[0].error(str(error))]


class _Loaded(NamedTuple):
    module: type[Module]
    problems: tuple[ConfigError, ...] = ()
    """Of an isolated one, whose settings only its process can read."""


def _load(document: conf.Document, block: conf.Block, sources: Mapping[str, Source]) -> _Loaded:
    if block.name not in sources:
        near = nearest(block.name, sources)
        hint = f"did you mean {near}?" if near else f"there are: {', '.join(sorted(sources))}"
        raise block.error(f"there is no module {block.name!r}; {hint}")
    block = _as_run(block, sources)
    options = conf.module_options(block)
    try:
        source = _allowed(document, sources[block.name])
        return _Loaded(*isolated(source, block, options)) if options.isolate else _Loaded(source.load())
    except ModuleError as error:
        raise block.error(str(error)) from error


def _as_run(block: conf.Block, sources: Mapping[str, Source]) -> conf.Block:
    """The block of a module as it is run: a native one is isolated, also if nobody says so.

    Raises:
        ConfigError: somebody says that it is not to be.
    """
    if block.name not in sources or not sources[block.name].is_native:
        return block
    implied = replace(block, items=(*block.items, conf.Item("isolate", "yes")))
    if conf.module_options(implied).isolate:
        return implied
    said = next(item for item in block.items if item.key == "isolate")
    raise said.error("a native module always runs in a process of its own: leave out `isolate = no`")


def _settings(block: conf.Block, module: type[Module]) -> tuple[conf.ModuleOptions, Settings]:
    if issubclass(module, Isolated):
        return conf.module_options(block), Given(block=block)
    return conf.module_settings(block, module.Config)


def _allowed(document: conf.Document, source: Source) -> Source:
    """A source that may be imported: one of ours, or one that the allow-list has, if there is one.

    Raises:
        ModuleError: it must not be.
    """
    listed = {
        block.name: next((item.value for item in block.items if item.key == "sha256"), "")
        for block in document.of("allow")
    }
    if source.is_ours or not listed:
        return source
    digest = source.digest()
    if listed.get(source.name) == digest:
        return source
    what = "has changed since it was allowed" if source.name in listed else "is not on the allow-list"
    raise ModuleError(
        f"module {source.name!r} ({source.origin}) {what}; if you trust it as it is now: "
        f"allow {source.name} {{ sha256 = {digest} }}"
    )


def _kinds(modules: Mapping[str, type[Module]]) -> dict[str, type[Settings]]:
    return {kind: type_ for module in modules.values() for kind, type_ in module.blocks.items()}
