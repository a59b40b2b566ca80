"""A configuration in service: its modules, users and groups, at the start and whenever it changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import structlog

from boardtalk import conf, loader
from boardtalk.chain.chain import Chain, Stage
from boardtalk.conf.changes import Change, What
from boardtalk.people.directory import Group
from boardtalk.people.users import UserError
from boardtalk.runtime import logs
from boardtalk.sdk import BoardtalkError, ConfigError, Role
from boardtalk.sdk.tasks import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

    from boardtalk.hub.hub import Hub
    from boardtalk.loader import Plan, Runner
    from boardtalk.people.users import Users
    from boardtalk.sdk import Module

T = TypeVar("T")

LOOK_EVERY_S: Final = 0.5
"""Between two looks whether the code of a module changed, for `Configuration.watch`."""

EMPTY: Final = "the configuration is empty: cut off as it was written? An empty one counts at a start only"

log = structlog.get_logger()


class InvalidConfigError(ConfigError):
    """A new configuration is wrong; the text has all that is, and the old one stays in service."""

    def __init__(self, problems: Sequence[ConfigError]) -> None:
        super().__init__("\n".join(map(str, problems)) + "\nnothing was changed")


class Configuration:
    """What a gateway was told by its configuration, and how it takes another.

    Use as an async context manager; on leaving, a change under way is given up.

    Args:
        source: reads the configuration.
        document: what it read at the start.
        local_user: the person at this machine, always an admin.
    """

    def __init__(
        self,
        source: Callable[[], conf.Document],
        document: conf.Document,
        local_user: str,
        *,
        hub: Hub,
        users: Users,
        runner: Runner,
    ) -> None:
        self._source = source
        self._document = document
        self._local_user = local_user
        self._hub = hub
        self._users = users
        self.runner = runner
        self._changing = asyncio.Lock()
        self._next: asyncio.Task[list[Change]] | None = None
        """A reload that was asked for and has not begun."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._desk: Module | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await cancel_and_wait(*self._tasks)

    async def start(self, plan: Plan) -> None:
        """Start the modules.

        Raises:
            ModuleError: a required one did not start.
        """
        self._hub.directory.set_policy(conf.policy(self._document))
        await self.runner.start(plan.instances)
        self._put_in_service()

    @property
    def document(self) -> conf.Document:
        """What is in force."""
        return self._document

    @property
    def shown(self) -> str:
        """What is in force, as text that may be shown: without secrets."""
        return conf.render(conf.public(self._document))

    @property
    def secrets(self) -> set[str]:
        """What is left out of that."""
        return conf.secrets(self._document)

    @property
    def foreign_broker(self) -> str:
        """Where the broker is, if somebody else runs it: he alone lets users in there."""
        return conf.foreign_broker(self._document)

    def answer_with(self, desk: Module) -> None:
        """Have a module of the gateway's own at the end of each chain; before `start`."""
        self._desk = desk

    async def reload(self) -> list[Change]:
        """Read the configuration again and bring the gateway in line with it, losing no message.

        All who ask before it begins share one; who gives up waiting does not end it.

        Raises:
            ConfigError, UserError: it is wrong; nothing was changed.
        """
        if self._next is None:
            self._next = self._spawn(self._reload(), "reload")
        return await asyncio.shield(self._next)

    async def apply(self, document: conf.Document) -> list[Change]:
        """Bring the gateway in line with another configuration, until it is read again.

        Raises:
            ConfigError, UserError: it is wrong; nothing was changed.
        """
        return await asyncio.shield(self._spawn(self._apply(document), "apply"))

    def hang_up(self) -> None:
        """`reload`, for SIGHUP: there is nobody to tell."""
        if self._next is None:
            self._spawn(self._reload_or_log(), "hang-up")

    def watch(self) -> None:
        """From now on, start a module anew when its files change."""
        self._spawn(self._watch(), "watch")

    async def _reload(self) -> list[Change]:
        async with self._changing:
            self._next = None
            return await self._bring(*await asyncio.to_thread(self._read, self._source))

    async def _apply(self, document: conf.Document) -> list[Change]:
        async with self._changing:
            return await self._bring(*await asyncio.to_thread(self._read, lambda: document))

    async def _bring(self, document: conf.Document, plan: Plan) -> list[Change]:
        check_names(document, plan, self._users)
        settings = conf.settings(document.globals, conf.Gateway)
        changes = self._later(document)
        logs.configure(settings.log_level)
        if users := self._users.declare(declared_users(document, self._local_user)):
            changes.append(Change("users", What.RECONFIGURED, ", ".join(users)))
        if self._hub.directory.set_groups(groups(document)):
            changes.append(Change("groups", What.RECONFIGURED))
        if self._hub.directory.set_policy(conf.policy(document)):
            changes.append(Change("rights", What.RECONFIGURED))
        changes += await self.runner.apply(plan.instances)
        self._put_in_service()
        await self.runner.retire()
        self._document = document
        for change in changes:
            log.info("configuration", part=change.name, what=change.what.value, detail=change.detail)
        return changes

    def _read(self, source: Callable[[], conf.Document]) -> tuple[conf.Document, Plan]:
        """A configuration; in a thread, since code of modules runs.

        Raises:
            ConfigError: it is wrong, or that code is.
        """
        try:
            document = source()
            if self._document.blocks and not document.blocks:
                raise InvalidConfigError([ConfigError(EMPTY)])
            if problems := loader.problems(document):
                raise InvalidConfigError(problems)
            return document, loader.plan(document)
        except ConfigError:
            raise
        except BaseException as error:
            reason = f"code of a module fails: {type(error).__name__}: {error}"
            raise InvalidConfigError([ConfigError(reason)]) from error

    async def _reload_or_log(self) -> None:
        try:
            await self.reload()
        except Exception as error:  # noqa: BLE001 - there is nobody else to tell
            _tell("configuration not reloaded", error)

    async def _watch(self) -> None:
        seen: dict[Path, float] = {}
        while True:
            for each in {each.source.name: each for each in self.runner.instances}.values():
                ages = _ages(each.files)
                changed = [path for path, age in ages.items() if seen.get(path, age) != age]
                seen |= ages
                if changed:
                    await self._renew(each.source, changed)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _renew(self, source: loader.Source, changed: Sequence[Path]) -> None:
        log.info("code changed", module=source.name, files=[path.name for path in changed])
        forgotten = source.forget()
        try:
            for change in await self.reload():
                log.warning("reloaded", part=change.name, what=change.what.value, detail=change.detail)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next change may mend it
            source.remember(forgotten)
            _tell("not reloaded", error)

    def _spawn(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        task = asyncio.create_task(work, name=f"configuration: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _put_in_service(self) -> None:
        stages, modules = self.runner.stages, self.runner.modules
        if self._desk:
            stages.append(Stage(self._desk.name, self._desk.on_message))
            modules[self._desk.name] = self._desk
        self._hub.load(Chain(stages), modules)

    def _later(self, document: conf.Document) -> list[Change]:
        """What changed and waits for the next start."""
        parts = {kind: (self._document.of(kind), document.of(kind)) for kind in ("broker", "listen")}
        changed = [kind for kind, (old, new) in parts.items() if old != new]
        old, new = (conf.settings(each.globals, conf.Gateway) for each in (self._document, document))
        if old.history_days != new.history_days:
            changed.append("history_days")
        return [Change(name, What.KEPT, "takes effect when the gateway starts again") for name in changed]


def declared_users(document: conf.Document, local_user: str) -> dict[str, Role]:
    """The users of the configuration, and the person at this machine."""
    declared = {block.name: conf.settings(block, conf.UserBlock).role for block in document.of("user")}
    return {local_user: Role.ADMIN, **declared}


def groups(document: conf.Document) -> dict[str, Group]:
    """The groups of the configuration."""
    blocks = {block.name: conf.settings(block, conf.GroupBlock) for block in document.of("group")}
    return {
        name: Group(tuple(block.members), block.owner, one_by_one=block.delivery == "one")
        for name, block in blocks.items()
    }


def check_names(document: conf.Document, plan: Plan, users: Users) -> None:
    """See that no user has the name of a board or group of the configuration.

    Raises:
        UserError: one has.
    """
    named = [(kind, name) for kind, found in plan.blocks.items() for name in found]
    for kind, name in (*named, *(("group", block.name) for block in document.of("group"))):
        if users.get(name):
            raise UserError(
                f"{name!r} is a user, and a {kind} in the configuration: "
                f"`boardtalk user remove {name}`, or call the {kind} otherwise"
            )


def _tell(event: str, error: Exception) -> None:
    """Log why nothing came of a change, and where in the code it was if nobody meant it to happen."""
    log.error(event, error=str(error), exc_info=None if isinstance(error, BoardtalkError) else error)


def _ages(files: Sequence[Path]) -> dict[Path, float]:
    """When files were changed; those that are gone just now (an editor may replace them) are left out."""
    ages = {}
    for path in files:
        try:
            ages[path] = path.stat().st_mtime
        except OSError:
            continue
    return ages
