"""Finds, checks and starts the modules that a configuration names, in its order."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from boardtalk import conf
from boardtalk.chain import Chain, Stage
from boardtalk.sdk import API_VERSION, Config, ModuleError
from boardtalk.sdk import Module as ModuleBase
from boardtalk.sdk.hints import nearest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from boardtalk.sdk import ConfigError, Context

GROUP: Final = "boardtalk.modules"
"""Entry-point group: the modules that come with boardtalk use the same door as everybody's."""

CLEANUP_S: Final = 5.0
"""A module that takes longer to clean up is left as it is: the others and their robots wait."""

log = structlog.get_logger()


class Instance(msgspec.Struct, frozen=True):
    """A module to be loaded once: its class, its settings and how the chain treats it."""

    name: str
    """The module's name, with ``#2`` and so on for further instances."""
    module: type[ModuleBase]
    settings: Config
    options: conf.ModuleOptions


def available() -> dict[str, type[ModuleBase]]:
    """All installed modules that fit this gateway, by name."""
    found = {}
    for point in entry_points(group=GROUP):
        try:
            found[point.name] = _checked(point.name, point.load())
        except ModuleError as error:
            log.error("module left out", module=point.name, error=str(error))
        except Exception as error:  # noqa: BLE001 - a broken module must not stop the gateway
            log.error("module left out", module=point.name, error=f"{type(error).__name__}: {error}")
    return found


def _checked(name: str, module: object) -> type[ModuleBase]:
    if not (isinstance(module, type) and issubclass(module, ModuleBase)):
        raise ModuleError(f"module {name!r}: its entry point is no subclass of boardtalk.sdk.Module")
    if module.api_version != API_VERSION:
        raise ModuleError(
            f"module {name!r} is written for module API {module.api_version}; this gateway has {API_VERSION}"
        )
    if module.name != name:
        raise ModuleError(f"module {name!r} calls itself {module.name!r}: entry point and `name` must agree")
    return module


def problems(document: conf.Document) -> list[ConfigError]:
    """All that is wrong with a configuration, given the modules that are installed."""
    modules = available()
    kinds = {kind: type_ for module in modules.values() for kind, type_ in module.blocks.items()}
    return conf.check(document, {name: module.Config for name, module in modules.items()}, kinds)


def plan(document: conf.Document, modules: Mapping[str, type[ModuleBase]]) -> list[Instance]:
    """The instances that a configuration asks for, in its order, with checked settings.

    Raises:
        ConfigError: an unknown module, or settings that it does not take.
    """
    counts: dict[str, int] = {}
    instances = []
    for block in document.of("module"):
        module = modules.get(block.name)
        if module is None:
            near = nearest(block.name, modules)
            hint = f"did you mean {near}?" if near else f"installed: {', '.join(sorted(modules))}"
            raise block.error(f"there is no module {block.name!r}; {hint}")
        counts[block.name] = number = counts.get(block.name, 0) + 1
        options, settings = conf.module_settings(block, module.Config)
        instances.append(
            Instance(block.name if number == 1 else f"{block.name}#{number}", module, settings, options)
        )
    return instances


def module_blocks(
    document: conf.Document, modules: Iterable[type[ModuleBase]]
) -> dict[str, dict[str, Config]]:
    """The further blocks that modules read, by kind and name.

    Raises:
        ConfigError: a key is unknown or missing, or a value is wrong.
    """
    kinds = {kind: type_ for module in modules for kind, type_ in module.blocks.items()}
    return {
        kind: {block.name: conf.settings(block, type_) for block in document.of(kind)}
        for kind, type_ in kinds.items()
    }


@asynccontextmanager
async def running(
    instances: Sequence[Instance], context_for: Callable[[str, int], Context]
) -> AsyncIterator[tuple[Chain, Mapping[str, ModuleBase]]]:
    """The instances started in order, and the chain of those that did; cleaned up in reverse.

    Raises:
        ModuleError: one that is `required` did not start.
    """
    stages: list[Stage] = []
    started: dict[str, ModuleBase] = {}
    try:
        for instance in instances:
            module = instance.module(context_for(instance.name, len(stages)), instance.settings)
            if await _started(instance, module):
                started[instance.name] = module
                stages.append(Stage(instance.name, module.on_message, on_fail=instance.options.on_fail))
        yield Chain(stages), started
    finally:
        for name, module in reversed(started.items()):
            await _clean_up(name, module)


async def _started(instance: Instance, module: ModuleBase) -> bool:
    try:
        result = module.on_start()
        if result is not None:
            await result
    except Exception as error:
        log.exception("module did not start", module=instance.name, error=str(error))
        if instance.options.required:
            raise ModuleError(f"required module {instance.name!r} did not start: {error}") from error
        return False
    return True


async def _clean_up(name: str, module: ModuleBase) -> None:
    try:
        result = module.on_cleanup()
        if result is not None:
            async with asyncio.timeout(CLEANUP_S):
                await result
    except Exception as error:
        log.exception("module did not clean up", module=name, error=str(error) or type(error).__name__)
