"""The module instances in service: started, reconfigured, replaced and cleaned up one by one.

A change takes no message with it: while an instance is replaced, the messages that come to it wait,
and the others go on.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

import msgspec
import structlog

from boardtalk.chain.chain import Stage, exited
from boardtalk.chain.health import Condition, Report
from boardtalk.conf.changes import Change, What
from boardtalk.sdk import CONSUMED, PASS, BoardtalkError, Code, Module, ModuleError, State, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    from boardtalk.loader.plan import Instance
    from boardtalk.sdk import Context, Message, Settings

    ContextFor: TypeAlias = Callable[[Instance], AbstractAsyncContextManager[Context]]

START_S: Final = 10.0
"""A module that takes longer to start, or to take new settings, has failed to."""
CLEANUP_S: Final = 5.0
"""A module that takes longer to clean up is left as it is: the others and their robots wait."""
UNKNOWN: Final = Status(
    code=Code.FAILED, state=State.UNKNOWN, detail="its module was replaced before it was answered"
)
VERDICTS: Final = ("consumed", "replaced", "refused", "rested")
"""What a `Health` counts, as a `Report` calls it."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Running:
    instance: Instance
    module: Module
    stage: Stage
    context: AsyncExitStack
    """Ends what the instance has under way."""


@dataclass(slots=True)
class _Failed:
    """An instance that did not start, and its place in the chain."""

    instance: Instance
    reason: str
    stage: Stage


class Runner:
    """Use as an async context manager; on leaving, all instances are cleaned up, in reverse order.

    Args:
        context_for: makes the context of an instance.
    """

    def __init__(self, context_for: ContextFor) -> None:
        self._context_for = context_for
        self._running: dict[str, _Running] = {}
        self._failed: dict[str, _Failed] = {}
        self._order: list[str] = []
        """Names of all instances, in the order of the chain."""
        self._retired: list[_Running] = []
        self._changing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        leaving = [name for name in self._running if name not in self._order]  # a change was given up
        in_service = [self._running[name] for name in (*leaving, *self.modules)]
        for each in reversed([*in_service, *self._retired]):
            await _clean_up(each)

    @property
    def stages(self) -> list[Stage]:
        """The places of the instances, in the order of the chain.

        One that did not start has its place too: with ``on_fail = drop`` nothing passes it.
        """
        return [(self._running.get(name) or self._failed[name]).stage for name in self._order]

    @property
    def modules(self) -> dict[str, Module]:
        """The instances in service, by name, in the order of the chain."""
        return {name: self._running[name].module for name in self._order if name in self._running}

    @property
    def instances(self) -> list[Instance]:
        """All instances that are in service or should be, in the order of the chain."""
        return [(self._running.get(name) or self._failed[name]).instance for name in self._order]

    def reports(self) -> list[Report]:
        """How all instances are, in the order of the chain."""
        return [
            _report(self._running.get(name) or self._failed[name], position)
            for position, name in enumerate(self._order, start=1)
        ]

    async def start(self, instances: Sequence[Instance]) -> None:
        """Start all instances.

        Raises:
            ModuleError: one that is `required` did not start.
        """
        await self.apply(instances)
        for name, failed in self._failed.items():
            if failed.instance.options.required:
                raise ModuleError(f"required module {name!r} did not start: {failed.reason}")

    async def apply(self, instances: Sequence[Instance]) -> list[Change]:
        """Bring what runs in line with these instances. Put `stages` into service, then call `retire`."""
        async with self._changing:
            before, order = dict(self._running), self._order
            self._order = wanted = [instance.name for instance in instances]
            started = await asyncio.gather(
                *(self._start(each) for each in instances if each.name not in before)
            )
            changes = list(started)
            for instance in instances:
                if instance.name in before:
                    changes += await self._renew(before[instance.name], instance)
            for name in before.keys() - set(wanted):
                self._retired.append(self._running.pop(name))
                changes.append(Change(name, What.REMOVED))
            for name in self._failed.keys() - set(wanted):
                del self._failed[name]
            if [name for name in order if name in wanted] != [name for name in wanted if name in order]:
                changes.append(Change("chain", What.MOVED, f"the order is now {', '.join(wanted)}"))
            return changes

    async def retire(self) -> None:
        """Clean up the instances that `apply` took out, once no message waits for them."""
        while self._retired:
            stage = self._retired[-1].stage
            stage.leave()
            await stage.idle()
            await _clean_up(self._retired.pop())

    async def _start(self, instance: Instance) -> Change:
        try:
            running = await self._started(instance)
        except ModuleError as error:
            self._failed[instance.name] = _Failed(instance, str(error), _unmanned(instance))
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
        except (Exception, SystemExit) as error:
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
        if options := _changed(_values(old.options), _values(instance.options)):
            running.stage.on_fail = instance.options.on_fail
            running.module.context.verbosity = instance.options.verbosity
            running.instance = replace(old, options=instance.options)
            changes.append(Change(instance.name, What.RECONFIGURED, ", ".join(options)))
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
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a module's failure is its own
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
        self._failed[name] = _Failed(instance, "it is being replaced", stage)
        unfinished = _unfinished(running)
        await _clean_up(self._running.pop(name))
        try:
            self._running[name] = await self._started(instance, stage)
        except ModuleError as error:
            change = await self._restored(running, instance, str(error))
        else:
            del self._failed[name]
            change = Change(name, What.RESTARTED, _differences(running.instance, instance))
        if name in self._running:
            _hand_on(unfinished, self._running[name])
        return change

    async def _restored(self, old: _Running, instance: Instance, reason: str) -> Change:
        try:
            self._running[instance.name] = await self._started(old.instance, old.stage)
        except ModuleError as error:
            self._failed[instance.name] = _Failed(instance, reason, old.stage)
            old.stage.fail()
            return Change(instance.name, What.FAILED, f"{reason}; and with its old settings: {error}")
        del self._failed[instance.name]
        return Change(instance.name, What.KEPT, reason)


def _unfinished(running: _Running) -> list[Message]:
    try:
        return list(running.module.unfinished())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a module's failure is its own
        _tell("module does not know what it has under way", running.instance, _words(error), error)
        return []


def _hand_on(unfinished: Sequence[Message], running: _Running) -> None:
    """Give an instance what the one before had under way. Each message comes to an end."""
    for message in unfinished:
        try:
            taken = running.module.on_unfinished(message) is CONSUMED
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a module's failure is its own
            _tell("module fails at what was under way", running.instance, _words(error), error)
            taken = False
        if not taken:
            running.module.context.report(message, UNKNOWN)


async def _clean_up(running: _Running) -> None:
    async with running.context:
        try:
            result = running.module.on_cleanup()
            if result is not None:
                async with asyncio.timeout(CLEANUP_S):
                    await result
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a module's failure is its own
            _tell("module did not clean up", running.instance, _words(error), error)


def _unmanned(instance: Instance) -> Stage:
    """The place of an instance that did not start."""
    stage = Stage(instance.name, lambda _: PASS, instance.options.on_fail)
    stage.fail()
    return stage


def _report(each: _Running | _Failed, position: int) -> Report:
    stage, instance, health = each.stage, each.instance, each.stage.health
    condition = Condition.RESTING if stage.rests else Condition.RUNNING
    failed = isinstance(each, _Failed)
    return Report(
        name=instance.name,
        condition=Condition.FAILED if failed else condition,
        position=position,
        version=instance.module.version,
        description=instance.module.description,
        on_fail=stage.on_fail,
        calls=health.calls,
        failed=health.verdicts["failed"] + health.failed_elsewhere,
        passed=health.passed,
        slow=health.slow,
        p50_ms=health.percentile_ms(50),
        p99_ms=health.percentile_ms(99),
        last_error=each.reason if isinstance(each, _Failed) else health.last_error,
        **{verdict: health.verdicts[verdict] for verdict in VERDICTS},
    )


def _differences(old: Instance, new: Instance) -> str:
    """The keys whose values changed; not the values, which may be secrets."""
    blocks = [kind for kind in new.blocks if new.blocks[kind] != old.blocks.get(kind)]
    return ", ".join(_changed(old.values, new.values) + blocks)


def _changed(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    return [key for key in {**old, **new} if old.get(key) != new.get(key)]


def _values(options: Settings) -> Mapping[str, object]:
    return msgspec.structs.asdict(options)


def _tell(event: str, instance: Instance, reason: str, error: BaseException) -> None:
    """Log a failure; where in the code it was matters only if nobody meant it to happen."""
    meant = isinstance(error, BoardtalkError | TimeoutError)
    log.error(event, module=instance.name, error=reason, exc_info=None if meant else error)


def _words(error: Exception | SystemExit) -> str:
    if isinstance(error, SystemExit):
        error = exited(error)
    return str(error) or type(error).__name__
