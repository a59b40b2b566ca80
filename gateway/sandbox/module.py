"""What stands in the chain in place of an isolated module, and the class that is made for it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import msgspec

from boardtalk.conf import Block  # noqa: TC001 - msgspec reads the annotations
from boardtalk.sandbox import api
from boardtalk.sandbox.process import PROGRAM, NoReaction, Process, ProcessEnded, environment
from boardtalk.sdk import (
    CONSUMED,
    PASS,
    BoardtalkError,
    Call,
    CallState,
    Completion,
    ConfigError,
    Message,
    Module,
    ModuleError,
    Refused,
    Settings,
    Status,
    User,
    Verdict,
)
from boardtalk.sdk.leash import leashed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from boardtalk.conf import ModuleOptions
    from boardtalk.finder import Source

FILES: Final = 256
DESCRIBE_S: Final = 10.0
"""A module that takes longer to be imported is none."""
PING_EVERY_S: Final = 2.0
PING_S: Final = 1.0
"""A process that does not react for so long is ended: it computes without end, or hangs."""
PATIENCE_S: Final[Mapping[str, float]] = {"skip": 0.1, "drop": 0.9}
"""After so long without a reaction, messages go past it (`skip`), or are refused (`drop`)."""
BACK_OFF_S: Final = (1.0, 60.0)
"""Pause before a process is started again, at first and at most."""
HEALTHY_S: Final = 60.0
"""A process that ran so long is started again after the first pause; until then it is on probation."""


class ErrorThere(Exception):
    """The module raised an error in its process."""


class Given(Settings):
    """The settings of an isolated module: as they stand in the file, since its process reads them."""

    block: Block


class Isolated(Module):
    """The gateway's end of a module in a process of its own; `isolated` makes a class for each module."""

    Config = Given
    jail: ClassVar[api.Jail]
    module_folders: ClassVar[tuple[str, ...]]
    helpers: ClassVar[str]
    """The library that a native one is linked against."""
    callbacks: ClassVar[frozenset[str]]
    skipped: ClassVar[bool]
    """Whether messages go past it if it fails."""
    files: ClassVar[tuple[Path, ...]]
    """Its code."""
    missing: ClassVar[tuple[str, ...]]
    """What of its jail this machine does not have."""

    _process: Process | None = None
    _deciding = 0
    """Messages that it is asked about just now."""
    _proven = 0.0
    """Monotonic seconds. Until then it is on probation, since its last process hung or died: it is asked
    about one message at a time, and the others do not wait for it."""

    async def on_start(self) -> None:
        """Start the process and the module in it."""
        for lack in self.missing:
            self.context.log.warning("isolated, but not fully", lacks=lack)
        self._process = await self._started()
        self._keeper = self.context.spawn(self._keep(), "watch over its process")

    async def on_cleanup(self) -> None:
        """End the module, and its process."""
        self._keeper.cancel()
        process, self._process = self._process, None
        if process is None:
            return
        try:
            with suppress(ProcessEnded):
                _result(await process.call(api.CleanUp()))
        finally:
            await process.close()

    def on_message(self, message: Message) -> Verdict | Awaitable[Verdict]:
        """Have it decide about a message."""
        if "on_message" not in self.callbacks or self._goes_past(message):
            return PASS
        self._deciding += 1
        return self._decided(message)

    async def on_message_status(self, message: Message, status: Status) -> None:
        """Tell it about a message of its own."""
        await self._tell(api.OnMessageStatus(message, status))

    async def on_login(self, user: User) -> None:
        """Tell it who came or went."""
        await self._tell(api.OnLogin(user))

    def on_call(self, call: Call) -> Verdict | Awaitable[Verdict]:
        """Have it decide about a call."""
        return self._answered(call) if "on_call" in self.callbacks else PASS

    def on_set_point(self, call: Call, text: str) -> None:
        """Send it live values, without waiting."""
        self.context.spawn(self._steer(call, text), "set-point")

    async def on_call_status(self, call: Call, state: CallState) -> None:
        """Tell it how a call is."""
        if self._process and state.over:
            self._process.calls.discard(call.id)
        await self._tell(api.OnCallStatus(call, state))

    async def on_complete(self, to: str, line: str) -> list[Completion]:
        """Ask it how a line may go on."""
        if "on_complete" not in self.callbacks:
            return []
        answer = await self._asked(api.OnComplete(to, line))
        return answer.found if isinstance(answer, api.Completed) else []

    async def on_show(self, user: str) -> dict[str, Any]:
        """Ask it what it shows of itself."""
        if "on_show" not in self.callbacks:
            return {}
        answer = await self._asked(api.OnShow(user))
        return answer.value if isinstance(answer, api.Shown) else {}

    def _goes_past(self, message: Message) -> bool:
        """Whether a message does not wait: its process is on probation, and busy with another one."""
        if not (self._deciding and self.skipped and time.monotonic() < self._proven):
            return False
        return self._process is None or message.to not in self._process.addresses

    async def _decided(self, message: Message) -> Verdict:
        process, verdict = self._process, None
        if process and self.helpers and message.row:
            process.taken[message.row] = message
        try:
            verdict = _verdict(await self._asked(api.OnMessage(message)))
        except NoReaction:
            if not self.skipped:
                raise
            return PASS  # no failure of the module's: another message may be the one that it hangs on
        finally:
            self._deciding -= 1
            if process and verdict is not CONSUMED:
                process.taken.pop(message.row, None)
        if not isinstance(verdict, Message):
            return verdict
        return verdict.with_(  # whose message it is, is not for it to say
            sender=message.sender,
            id=message.id,
            row=message.row,
            accepted=message.accepted,
            via=message.via,
        )

    async def _answered(self, call: Call) -> Verdict:
        verdict = _verdict(await self._asked(api.OnCall(call)))
        if verdict is CONSUMED and self._process:
            self._process.calls.add(call.id)
        return verdict

    async def _steer(self, call: Call, text: str) -> None:
        try:
            await self._asked(api.OnSetPoint(call, text))
        except (BoardtalkError, ErrorThere) as error:
            self.context.end_call(call.id, str(error))

    async def _tell(self, request: api.AnyRequest) -> None:
        if request.__struct_config__.tag in self.callbacks and self._process:
            await self._asked(request)

    async def _asked(self, request: api.AnyRequest) -> api.AnyAnswer:
        process = self._process
        if process is None:
            raise ProcessEnded
        return _result(await process.call(request))

    # The process ------------------------------------------------------------------------------

    async def _started(self) -> Process:
        """A process with the module started in it.

        Raises:
            ModuleError: it did not start.
        """
        block: Block = self.config.block
        context = self.context
        begin = api.Begin(
            instance=context.instance,
            module_folders=self.module_folders,
            helpers=self.helpers,
            block=block,
            jail=msgspec.structs.replace(
                self.jail,
                readable=(*self.jail.readable, *_named(block)),
                writable=(*self.jail.writable, str(context.folder)),
            ),
            state=str(context.state),
            folder=str(context.folder),
            verbosity=context.verbosity,
        )
        process = await Process.start(begin, context)
        try:
            _result(await process.call(api.Start()))
        except ProcessEnded as error:
            raise ModuleError(f"its process {await process.close()}") from error
        except BaseException:
            process.kill()
            await process.close()
            raise
        return process

    async def _keep(self) -> None:
        """As long as the module is in service: see that its process is well, or start it again."""
        pause, since = BACK_OFF_S[0], time.monotonic()
        while True:
            if self._process is not None:
                hung = await self._watch(self._process)
                process, self._process = self._process, None
                how = await process.close()
                if time.monotonic() - since > HEALTHY_S:
                    pause = BACK_OFF_S[0]
                why = ": ".join(filter(None, (hung, how)))
                self.context.log.error("process of a module is started again", why=why, seconds=pause)
            await asyncio.sleep(pause)
            pause, since = min(2 * pause, BACK_OFF_S[1]), time.monotonic()
            self._proven = since + HEALTHY_S
            try:
                self._process = await self._started()
            except (BoardtalkError, ErrorThere, OSError) as error:
                self.context.log.error("process of a module does not start", why=str(error), seconds=pause)

    async def _watch(self, process: Process) -> str:
        """Wait until a process has ended, or hangs: then it is killed, and this says so."""
        patience = PATIENCE_S["skip" if self.skipped else "drop"]
        while True:
            verbosity = self.context.verbosity
            process.suspicious.clear()
            try:
                if not await process.reacts(verbosity, patience=patience, within=PING_S):
                    process.kill()
                    return f"it did not react for {PING_S:g} s"
            except ProcessEnded:
                return ""
            with suppress(TimeoutError):
                async with asyncio.timeout(PING_EVERY_S):
                    await process.suspicious.wait()


class Reconfigurable(Isolated):
    """One whose module takes new settings in place."""

    async def on_config(self, config: Given) -> None:
        """Have it take new settings."""
        await self._asked(api.Configure(config.block))


class Described(NamedTuple):
    """A module that was looked at without being started."""

    module: type[Isolated]
    problems: tuple[ConfigError, ...]
    """With its settings."""


_classes: Final[dict[object, type[Isolated]]] = {}
"""One for each module, as long as its code is the same: who compares them sees whether it is."""


def isolated(source: Source, block: Block, options: ModuleOptions) -> Described:
    """A module as a configuration block wants it, in a process of its own. Its code does not run here.

    Raises:
        ModuleError: it can't be imported, or can't be isolated.
    """
    folders = (str(source.folder),) if source.folder else ()
    helpers = source.helpers()
    jail = api.Jail(
        memory_mb=options.memory_mb,
        files=FILES,
        network=options.network,
        readable=(*folders, str(source.root().resolve().parent), *([str(helpers)] if helpers else ())),
        writable=tuple(map(str, options.devices)),
    )
    digest = source.digest()
    begin = api.Begin(instance=block.name, module_folders=folders, block=block, jail=jail)
    told = _described(msgspec.json.encode(begin), digest)
    if told.failure:
        raise ModuleError(told.failure)
    key = (source.name, source.origin, digest, jail, options.on_fail)
    if key not in _classes:
        base = Reconfigurable if "on_config" in told.callbacks else Isolated
        facts = {
            "name": source.name,
            "version": told.version,
            "description": told.description,
            "jail": jail,
            "module_folders": folders,
            "helpers": str(helpers or ""),
            "callbacks": told.callbacks,
            "skipped": options.on_fail == "skip",
            "files": tuple(map(Path, told.files)),
            "missing": told.missing,
        }
        _classes[key] = type(f"Isolated {source.name}", (base,), facts)
    problems = (ConfigError(each.reason, each.path, each.line, each.column) for each in told.problems)
    return Described(_classes[key], tuple(problems))


@lru_cache(maxsize=64)
def _described(begin: bytes, _digest: str) -> api.Description:
    """What a process says that looks at a module, as its code is now."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                leashed(sys.executable, *PROGRAM),
                input=begin,
                capture_output=True,
                timeout=DESCRIBE_S,
                env=environment(Path(folder)),
                cwd=folder,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return api.Description(failure=f"it is not imported within {DESCRIBE_S:g} s")
    try:
        return msgspec.json.decode(done.stdout, type=api.Description)
    except (msgspec.DecodeError, UnicodeDecodeError):
        words = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return api.Description(failure=f"its process ends while it is imported: {words[:200]}")


def _named(block: Block) -> tuple[str, ...]:
    """The files that the operator names in its block: it may read these."""
    parts = (part.strip() for item in block.items for part in item.value.split(","))
    paths = (Path(part).expanduser() for part in parts if part.startswith(("/", "~/")))
    return tuple(map(str, paths))


def _result(answer: api.AnyAnswer) -> api.AnyAnswer:
    match answer:
        case api.Denied(code=code, reason=reason):
            raise Refused(code, reason)
        case api.Raised(error=text, meant=True):
            raise ModuleError(text)
        case api.Raised(error=text, trace=trace):
            error = ErrorThere(text)
            error.add_note(trace)
            raise error
    return answer


def _verdict(answer: api.AnyAnswer) -> Verdict:
    match answer:
        case api.Passed():
            return PASS
        case api.Consumed():
            return CONSUMED
        case api.Replaced(message=message):
            return message
    raise ErrorThere("PASS, CONSUMED or a Message is expected")
