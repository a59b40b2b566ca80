"""Other settings of a module, on trial: in force at once, and in the file when somebody confirms them.

Until then they are in no file: whatever goes wrong, even if the gateway dies, the old ones come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import structlog

from boardtalk import conf
from boardtalk.conf.changes import Pending, What
from boardtalk.sandbox.module import Isolated
from boardtalk.sdk import SYSTEM, BoardtalkError, Code, ConfigError, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from boardtalk.conf import Block, Document
    from boardtalk.conf.changes import Change, Setting
    from boardtalk.configuration import Configuration
    from boardtalk.store.store import Store

MAX_CONFIRM_S: Final = 3600.0
BAD: Final = (What.KEPT, What.FAILED)
"""What becomes of an instance that does not like its settings."""
T = TypeVar("T")

log = structlog.get_logger()


class Place(NamedTuple):
    """Where a block stands."""

    path: Path
    number: int
    """Of the block in its file; -1: it is a new one there."""
    block: Block


class _Edit(NamedTuple):
    """A change to be tried."""

    what: str
    """It changes, in words: an instance, or a rule."""
    place: Place
    values: Mapping[str, str | None] | None
    """By key; None: the block is removed."""
    before: Sequence[Block] = ()
    """Blocks that a new one needs."""

    def text(self, old: str) -> str:
        """The new text of the file."""
        path, number, block = self.place
        if number < 0:
            return conf.added(old, str(path), [*self.before, block])
        if self.values is None:
            return conf.removed(old, str(path), number)
        return conf.edited(old, str(path), number, self.values)


class _Trial(NamedTuple):
    pending: Pending
    path: Path
    old: str
    """Text of the file."""
    new: str
    before: Document
    document: Document
    timer: asyncio.TimerHandle


class Trials:
    """One at a time. What was asked for is done to its end, also if who asked for it is gone meanwhile."""

    def __init__(self, configuration: Configuration, store: Store) -> None:
        self._configuration = configuration
        self._store = store
        self._trial: _Trial | None = None
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def pending(self) -> Pending | None:
        """The change that waits; None: there is none."""
        if self._trial and self._configuration.document is not self._trial.document:
            self._forget()  # the configuration was read again meanwhile
        return self._trial.pending if self._trial else None

    async def begin(
        self, user: str, instance: str, values: Mapping[str, str | None], confirm_s: float
    ) -> tuple[Pending, list[Change]]:
        """Put other values into force, to be confirmed within so many seconds.

        Args:
            user: who.
            instance: of a module.
            values: texts as a file has them, by key; None: the default.
            confirm_s: at most an hour.

        Raises:
            ConfigError: a value is wrong, as a file's would be; nothing was changed.
            Refused: another change waits, or the file can't be changed.
        """
        return await self._done(self._begin(user, partial(_settings_edit, instance, values), confirm_s))

    async def begin_rights(
        self,
        user: str,
        name: str,
        values: Mapping[str, str | None] | None,
        confirm_s: float,
        seen: Mapping[str, str] | None = None,
    ) -> tuple[Pending, list[Change]]:
        """The same with a grant, also a new one; or with the block `policy`, whose name is "".

        Args:
            user: who.
            name: of the grant.
            values: as above; None: it is removed.
            confirm_s: at most an hour.
            seen: its keys as the user has them before his eyes, empty for a new one; None: whatever they are.

        Raises:
            ConfigError, Refused: as above.
        """
        return await self._done(self._begin(user, partial(_rights_edit, name, values, seen), confirm_s))

    async def confirm(self, user: str, change: str) -> Path:
        """Write it into the file; which one.

        Raises:
            Refused: it does not wait any more, or the file can't be written, or is another one by now.
        """
        return await self._done(self._confirm(user, change))

    async def revert(self, user: str, change: str) -> list[Change]:
        """Have the settings of before again.

        Raises:
            Refused: it does not wait any more.
        """
        return await self._done(self._revert(user, change))

    def form(self, instance: str) -> tuple[Block, list[Setting]]:
        """The keys of an instance's block, and what they are now; of an isolated one, those that it has.

        Raises:
            Refused: there is no such instance.
        """
        block = find(self._configuration.document, instance).block
        running = next((each for each in self._configuration.runner.instances if each.name == instance), None)
        config = [running.module.Config] if running and not issubclass(running.module, Isolated) else []
        return block, conf.form(block, *config, conf.ModuleOptions)

    def close(self) -> None:
        """Nothing is confirmed any more."""
        self._forget()
        for task in self._tasks:
            task.cancel()

    async def _begin(
        self, user: str, wanted: Callable[[Document], _Edit], confirm_s: float
    ) -> tuple[Pending, list[Change]]:
        async with self._changing:
            if waits := self.pending:
                what = f"a change of {waits.by}'s to {waits.instance}"
                raise Refused(Code.BUSY, f"{what} waits to be confirmed")
            before = self._configuration.document
            edit = wanted(before)
            path = edit.place.path
            old = await asyncio.to_thread(_read, path, before)
            new = edit.text(old)
            document = conf.with_file(before, str(path), new)
            changes = await self._configuration.apply(document)
            bad = next((each for each in changes if each.name == edit.what and each.what in BAD), None)
            if bad is not None:
                await self._configuration.apply(before)
                raise Refused(Code.FAILED, f"nothing was changed: {bad}")
            seconds = min(max(confirm_s, 1.0), MAX_CONFIRM_S)
            pending = Pending(
                change=secrets.token_hex(6),
                instance=edit.what,
                by=user,
                keys=list(edit.values) if edit.values is not None else [],
                until=time.time() + seconds,
            )
            timer = asyncio.get_running_loop().call_later(seconds, self._expire)
            self._trial = _Trial(pending, path, old, new, before, document, timer)
            self._store.audit(user, "settings on trial", edit.what, _told(pending))
            return pending, changes

    async def _confirm(self, user: str, change: str) -> Path:
        async with self._changing:
            trial = self._waiting(change)
            await asyncio.to_thread(_write, trial)
            self._forget()
            self._store.audit(user, "settings kept", trial.pending.instance, _told(trial.pending))
            return trial.path

    async def _revert(self, user: str, change: str) -> list[Change]:
        async with self._changing:
            trial = self._waiting(change)
            self._forget()
            self._store.audit(user, "settings taken back", trial.pending.instance, _told(trial.pending))
            return await self._configuration.apply(trial.before)

    async def _done(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(work, name="settings on trial")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    def _waiting(self, change: str) -> _Trial:
        pending, trial = self.pending, self._trial
        if trial is None or pending is None or pending.change != change:
            raise Refused(Code.FAILED, "this change does not wait any more: it was kept, or taken back")
        return trial

    def _expire(self) -> None:
        if pending := self.pending:
            task = asyncio.create_task(self._take_back(pending), name="settings that nobody confirmed")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take_back(self, pending: Pending) -> None:
        try:
            await self._revert(SYSTEM, pending.change)
        except Refused:
            return  # confirmed at the last moment
        except BoardtalkError as error:
            log.error("settings not taken back", module=pending.instance, error=str(error))
        else:
            log.warning("settings taken back: nobody confirmed them", module=pending.instance, by=pending.by)

    def _forget(self) -> None:
        if self._trial:
            self._trial.timer.cancel()
        self._trial = None


def _require_open(values: Mapping[str, str | None]) -> None:
    """See that nobody writes what he was shown in place of a secret.

    Raises:
        Refused: he would.
    """
    for key, value in values.items():
        is_shown = conf.is_secret(key) and value == conf.HIDDEN
        if is_shown or f"://{conf.HIDDEN}@" in (value or ""):
            raise Refused(Code.FAILED, f"{key}: what it is now is hidden; leave it out to keep it")


def _told(pending: Pending) -> str:
    return ", ".join(pending.keys) or "removed"


def _settings_edit(instance: str, values: Mapping[str, str | None], document: Document) -> _Edit:
    """A change of a module's settings. Raises Refused."""
    _require_open(values)
    return _Edit(instance, find(document, instance), values)


def _rights_edit(
    name: str,
    values: Mapping[str, str | None] | None,
    seen: Mapping[str, str] | None,
    document: Document,
) -> _Edit:
    """A change of a grant, or of the policy. With the first grant comes a policy by which it only adds.

    Raises:
        Refused: there is no such grant to be removed, it is another one than was seen, or there is no file to
            write to.
    """
    kind, what = ("grant", f"grant {name}") if name else ("policy", "policy")
    own = [each for each in document.blocks if each.kind in ("policy", "grant")]
    found = next((each for each in own if (each.kind, each.name) == (kind, name)), None)
    now = {item.key: item.value for item in reversed(found.items)} if found else {}
    if seen is not None and seen != now:
        raise Refused(Code.FAILED, f"{what} was changed by somebody else meanwhile: look at it again")
    if found:
        return _Edit(what, _place(document, found), values)
    if values is None:
        raise Refused(Code.FAILED, f"there is no {what}")
    path = next((each.path for each in [*own, *document.blocks] if each.path), None)
    if path is None:
        raise Refused(Code.FAILED, "this gateway was started without a file: nothing can be kept")
    items = tuple(conf.Item(key, value) for key, value in values.items() if value is not None)
    needed = (
        () if document.of("policy") or not name else (conf.Block("policy", "", (conf.Item("roles", "yes"),)),)
    )
    return _Edit(what, Place(Path(path), -1, conf.Block(kind, name, items)), values, needed)


def find(document: Document, instance: str) -> Place:
    """Where an instance stands.

    Raises:
        Refused: there is no such one, or it stands in no file.
    """
    name, _, count = instance.partition("#")
    blocks = [block for block in document.of("module") if block.name == name]
    number = int(count) if count.isdecimal() else 1
    if not 1 <= number <= len(blocks):
        raise Refused(Code.FAILED, f"there is no module {instance!r} in the configuration")
    return _place(document, blocks[number - 1])


def _place(document: Document, block: Block) -> Place:
    """Where a block stands.

    Raises:
        Refused: in no file.
    """
    if block.path is None:
        raise Refused(Code.FAILED, f"{block.title} stands in no file: this gateway was started without one")
    same_file = [each for each in document.blocks if each.path == block.path]
    return Place(Path(block.path), next(at for at, each in enumerate(same_file) if each is block), block)


def _read(path: Path, document: Document) -> str:
    """The text of a file, if it still says what is in force.

    Raises:
        Refused: it does not, or can't be changed.
    """
    try:
        text = path.read_bytes().decode()
        found = conf.parse(text, str(path)).blocks
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        raise Refused(Code.FAILED, f"{path}: can't be read again: {error}") from error
    if found != tuple(each for each in document.blocks if each.path == str(path)):
        raise Refused(Code.FAILED, f"{path} says something else than what is in force: reload it first")
    if not os.access(path.resolve().parent, os.W_OK) or not os.access(path, os.W_OK):
        raise Refused(Code.DENIED, f"{path}: the gateway may not write it; change it there, and reload")
    return text


def _write(trial: _Trial) -> None:
    """Put a file into the place of the old one: after a cut there is one of the two, whole."""
    path = trial.path.resolve()
    try:
        if path.read_bytes().decode() != trial.old:
            raise Refused(Code.FAILED, f"{trial.path} has been changed meanwhile: reload it first")
        before = path.stat()
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(trial.new.encode())
                file.flush()
                os.fchmod(file.fileno(), before.st_mode & 0o7777)
                with contextlib.suppress(PermissionError):  # whoever may not give it away keeps it
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Refused(Code.FAILED, f"{trial.path}: can't be written: {error.strerror or error}") from error
