"""The module instances in service: started, reconfigured, replaced and cleaned up one by one.

A change takes no message with it: while an instance is replaced, the messages that come to it wait,
and the others go on.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

import msgspec
import structlog

from boardtalk.chain import Stage
from boardtalk.health import Condition, Report
from boardtalk.sdk import BoardtalkError, Module, ModuleError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import TypeAlias

    from boardtalk.loader.plan import Instance
    from boardtalk.sdk import Context

    ContextFor: TypeAlias = Callable[[Instance], AbstractAsyncContextManager[Context]]

START_S: Final = 10.0
"""A module that takes longer to start, or to take new settings, has failed to."""
CLEANUP_S: Final = 5.0
"""A module that takes longer to clean up is left as it is: the others and their robots wait."""
VERDICTS: Final = ("consumed", "replaced", "refused", "failed", "rested")
"""What a `Health` counts, as a `Report` calls it."""

log = structlog.get_logger()


class What(StrEnum):
    """What became of an instance when the configuration changed."""

    STARTED = "started"
    RECONFIGURED = "reconfigured"
    RESTARTED = "restarted"
    REMOVED = "removed"
    KEPT = "kept as it was"
    """It refused its new settings, or did not start with them."""
    FAILED = "failed"
    MOVED = "moved"
    """Its place in the chain, or what happens when it fails, is another."""


class Change(msgspec.Struct, frozen=True):
    """One instance that is no longer as it was."""

    name: str
    what: What
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.what}{f' ({self.detail})' if self.detail else ''}"


@dataclass(slots=True)
class _Running:
    instance: Instance
    module: Module
    stage: Stage
    context: AsyncExitStack
    """Ends what the instance has under way."""


class Runner:
    """Use as an async context manager; on leaving, all instances are cleaned up, in reverse order.

    Args:
        context_for: makes the context of an instance.
    """

    def __init__(self, context_for: ContextFor) -> None:
        self._context_for = context_for
        self._running: dict[str, _Running] = {}
        """In the order of the chain."""
        self._failed: dict[str, tuple[Instance, str]] = {}
        self._retired: list[_Running] = []
        self._changing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in reversed([*self._running.values(), *self._retired]):
            await _clean_up(each)

    @property
    def stages(self) -> list[Stage]:
        """The places of the instances in service, in the order of the chain."""
        return [each.stage for each in self._running.values()]

    @property
    def modules(self) -> dict[str, Module]:
        """The instances in service, by name, in the order of the chain."""
        return {name: each.module for name, each in self._running.items()}

    @property
    def instances(self) -> list[Instance]:
        """All instances that are in service or should be."""
        return [each.instance for each in self._running.values()] + [
            instance for instance, _ in self._failed.values()
        ]

    def reports(self) -> list[Report]:
        """How all instances are, those that did not start behind the others."""
        reports = [_report(each, position) for position, each in enumerate(self._running.values(), start=1)]
        return reports + [
            Report(
                name=name,
                condition=Condition.FAILED,
                position=0,
                version=instance.module.version,
                description=instance.module.description,
                on_fail=instance.options.on_fail,
                last_error=reason,
            )
            for name, (instance, reason) in self._failed.items()
        ]

    async def start(self, instances: Sequence[Instance]) -> None:
        """Start all instances.

        Raises:
            ModuleError: one that is `required` did not start.
        """
        await self.apply(instances)
        for name, (instance, reason) in self._failed.items():
            if instance.options.required:
                raise ModuleError(f"required module {name!r} did not start: {reason}")

    async def apply(self, instances: Sequence[Instance]) -> list[Change]:
        """Bring what runs in line with these instances. Put `stages` into service, then call `retire`."""
        async with self._changing:
            before = dict(self._running)
            places = list(before)
            started = await asyncio.gather(
                *(self._start(each) for each in instances if each.name not in before)
            )
            changes = list(started)
            for instance in instances:
                if instance.name in before:
                    changes += await self._renew(before[instance.name], instance)
            wanted = [instance.name for instance in instances]
            for name in before.keys() - set(wanted):
                self._retired.append(self._running.pop(name))
                changes.append(Change(name, What.REMOVED))
            for name in self._failed.keys() - set(wanted):
                del self._failed[name]
            self._running = {name: self._running[name] for name in wanted if name in self._running}
            kept = [name for name in self._running if name in before]
            if kept != [name for name in places if name in kept]:
                moved = ", ".join(self._running)
                changes.append(Change("chain", What.MOVED, f"the order is now {moved}"))
            return changes

    async def retire(self) -> None:
        """Clean up the instances that `apply` took out, once no message waits for them."""
        retired, self._retired = self._retired, []
        for each in reversed(retired):
            each.stage.leave()
            await each.stage.idle()
            await _clean_up(each)

    async def _start(self, instance: Instance) -> Change:
        try:
            running = await self._started(instance)
        except ModuleError as error:
            self._failed[instance.name] = instance, str(error)
            return Change(instance.name, What.FAILED, str(error))
        self._failed.pop(instance.name, None)
        self._running[instance.name] = running
        return Change(instance.name, What.STARTED)

    async def _started(self, instance: Instance, stage: Stage | None = None) -> _Running:
        """Start an instance, in a stage that waits for it if there is one.

        Raises:
            ModuleError: it did not start; the text says why.
        """
        context = AsyncExitStack()
        try:
            given = await context.enter_async_context(self._context_for(instance))
            module = instance.module(given, instance.settings)
            result = module.on_start()
            if result is not None:
                async with asyncio.timeout(START_S):
                    await result
        except Exception as error:
            await context.aclose()
            reason = f"not within {START_S:g} s" if isinstance(error, TimeoutError) else _words(error)
            _tell("module did not start", instance, reason, error)
            raise ModuleError(reason) from error
        except BaseException:
            await context.aclose()
            raise
        if stage is None:
            stage = Stage(instance.name, module.on_message, instance.options.on_fail)
        else:
            stage.take(module.on_message, instance.options.on_fail)
        return _Running(instance, module, stage, context)

    async def _renew(self, running: _Running, instance: Instance) -> list[Change]:
        """Give an instance what has changed in its configuration."""
        old = running.instance
        changes = []
        if instance.options != old.options:
            running.stage.on_fail = instance.options.on_fail
            running.instance = replace(old, options=instance.options)
            changes.append(Change(instance.name, What.MOVED, f"on_fail = {instance.options.on_fail}"))
        if instance.module is old.module and (instance.settings, instance.blocks) == (
            old.settings,
            old.blocks,
        ):
            return changes
        in_place = instance.module is old.module and type(running.module).on_config is not Module.on_config
        if in_place and instance.blocks == old.blocks:
            return [*changes, await self._reconfigure(running, instance)]
        return [*changes, await self._replace(running, instance)]

    async def _reconfigure(self, running: _Running, instance: Instance) -> Change:
        try:
            result = running.module.on_config(instance.settings)
            if result is not None:
                async with asyncio.timeout(START_S):
                    await result
        except Exception as error:  # noqa: BLE001 - a module's failure is its own
            _tell("module refuses its new settings", instance, _words(error), error)
            return Change(instance.name, What.KEPT, _words(error))
        detail = _differences(running.instance, instance)
        running.instance = instance
        running.module.config = instance.settings
        return Change(instance.name, What.RECONFIGURED, detail)

    async def _replace(self, running: _Running, instance: Instance) -> Change:
        """Replace an instance; by one like it was if the new one does not start."""
        name, stage = instance.name, running.stage
        stage.hold()
        await stage.idle()
        await _clean_up(running)
        try:
            self._running[name] = await self._started(instance, stage)
        except ModuleError as error:
            return await self._restored(running, instance, str(error))
        return Change(name, What.RESTARTED, _differences(running.instance, instance))

    async def _restored(self, old: _Running, instance: Instance, reason: str) -> Change:
        try:
            self._running[instance.name] = await self._started(old.instance, old.stage)
        except ModuleError as error:
            del self._running[instance.name]
            self._failed[instance.name] = instance, reason
            old.stage.leave()
            return Change(instance.name, What.FAILED, f"{reason}; and with its old settings: {error}")
        return Change(instance.name, What.KEPT, reason)


async def _clean_up(running: _Running) -> None:
    async with running.context:
        try:
            result = running.module.on_cleanup()
            if result is not None:
                async with asyncio.timeout(CLEANUP_S):
                    await result
        except Exception as error:  # noqa: BLE001 - a module's failure is its own
            _tell("module did not clean up", running.instance, _words(error), error)


def _report(running: _Running, position: int) -> Report:
    stage, instance = running.stage, running.instance
    health = stage.health
    return Report(
        name=instance.name,
        condition=Condition.RESTING if stage.rests else Condition.RUNNING,
        position=position,
        version=instance.module.version,
        description=instance.module.description,
        on_fail=stage.on_fail,
        calls=health.calls,
        passed=health.passed,
        slow=health.slow,
        p50_ms=health.percentile_ms(50),
        p99_ms=health.percentile_ms(99),
        last_error=health.last_error,
        **{verdict: health.verdicts[verdict] for verdict in VERDICTS},
    )


def _differences(old: Instance, new: Instance) -> str:
    """The keys whose values changed; not the values, which may be secrets."""
    before, after = msgspec.structs.asdict(old.settings), msgspec.structs.asdict(new.settings)
    keys = [key for key in after if before.get(key) != after[key]]
    return ", ".join(keys + [kind for kind in new.blocks if new.blocks[kind] != old.blocks.get(kind)])


def _tell(event: str, instance: Instance, reason: str, error: Exception) -> None:
    """Log a failure; where in the code it was matters only if nobody meant it to happen."""
    meant = isinstance(error, BoardtalkError | TimeoutError)
    log.error(event, module=instance.name, error=reason, exc_info=None if meant else error)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
