"""The process of an isolated module: carries out the gateway's requests, many at a time."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from boardtalk import conf
from boardtalk.finder import find
from boardtalk.native.module import Given, Native
from boardtalk.sandbox import api
from boardtalk.sandbox.context import Gateway, SandboxContext
from boardtalk.sandbox.lines import Lines
from boardtalk.sdk import CONSUMED, PASS, BoardtalkError, Message, Module, ModuleError, Refused, Settings

if TYPE_CHECKING:
    import socket

MAX_TRACE_CHARS: Final = 4000
MAX_ERROR_CHARS: Final = 1000

OURS: Final = api.Request.__struct_fields__
"""Of a request: what is not for the module."""
CALLBACKS: Final = tuple(name for name in vars(Module) if name.startswith("on_"))


def load(begin: api.Begin) -> type[Module]:
    """The module's class.

    Raises:
        ModuleError: it is not there any more, can't be imported, or can't be isolated.
    """
    name = begin.block.name
    source = find(map(Path, begin.module_folders)).get(name)
    if source is None:
        where = ", ".join(begin.module_folders) or "this installation"
        raise ModuleError(f"there is no module {name!r} any more in {where}")
    module = source.load()
    if module.blocks:
        kinds = ", ".join(f"`{kind}`" for kind in module.blocks)
        raise ModuleError(f"it reads blocks of its own ({kinds}) and can't be isolated")
    return module


def describe(begin: api.Begin, missing: Sequence[str]) -> api.Description:
    """What the module is, and what is wrong with its settings."""
    try:
        module = load(begin)
        problems = (
            []
            if issubclass(module, Native)
            else conf.problems(begin.block, conf.ModuleOptions, module.Config)
        )
    except BoardtalkError as error:
        return api.Description(failure=str(error), missing=tuple(missing))
    source = find(map(Path, begin.module_folders))[begin.block.name]
    return api.Description(
        version=module.version,
        description=module.description,
        callbacks=frozenset(each for each in CALLBACKS if getattr(module, each) is not getattr(Module, each)),
        files=tuple(map(str, source.files())),
        problems=tuple(api.Problem(each.reason, each.path, each.line, each.column) for each in problems),
        missing=tuple(missing),
    )


async def serve(begin: api.Begin, requests: socket.socket, asks: socket.socket) -> None:
    """Be the module until the gateway hangs up."""
    lines: Lines[api.AnyRequest] = await Lines.connect(requests, api.AnyRequest)
    async with asyncio.TaskGroup() as tasks:
        context = SandboxContext(begin, Gateway(asks), tasks, lines.send)
        try:
            await Child(begin, context, lines, tasks).serve()
        finally:
            await context.end()


class Child:
    """A module, and the requests to it that are under way."""

    def __init__(
        self,
        begin: api.Begin,
        context: SandboxContext,
        lines: Lines[api.AnyRequest],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._begin = begin
        self._context = context
        self._lines = lines
        self._tasks = tasks
        self._module: Module | None = None
        self._running: dict[int, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Carry out all requests until the gateway hangs up; then nothing is under way any more."""
        ended = asyncio.Event()
        self._lines.listen(self._take, lambda _: ended.set())
        await ended.wait()
        for task in self._running.values():
            task.cancel()

    def _take(self, request: api.AnyRequest) -> None:
        if not isinstance(request, api.Cancel):
            self._context.watch(watched=request.watched)
        match request:
            case api.Ping(re=re, verbosity=verbosity):
                self._context.verbosity = verbosity
                self._lines.send(api.Done(re=re))
            case api.Cancel(request=number):
                if task := self._running.get(number):
                    task.cancel()
            case _:
                self._carry_out(request)

    def _carry_out(self, request: api.AnyRequest) -> None:
        try:
            result = self._called(request)
        except Exception as error:  # noqa: BLE001 - whatever a module raises is its own failure
            self._lines.send(_failure(request.re, error))
            return
        if not hasattr(result, "__await__"):
            self._lines.send(_answer(request.re, result))
            return
        task = self._tasks.create_task(self._wait(request.re, result))
        self._running[request.re] = task
        task.add_done_callback(lambda _: self._running.pop(request.re))

    async def _wait(self, number: int, result: Any) -> None:
        try:
            answer = _answer(number, await result)
        except Exception as error:  # noqa: BLE001 - likewise
            answer = _failure(number, error)
        self._lines.send(answer)

    def _called(self, request: api.AnyRequest) -> Any:
        if isinstance(request, api.Start):
            module = load(self._begin)
            self._module = module(self._context, _settings(self._begin, module))
            return self._module.on_start()
        module_ = self._module
        if module_ is None:
            raise ModuleError("it has not started")
        if isinstance(request, api.Configure):
            return self._reconfigured(module_, request.block)
        tag = request.__struct_config__.tag
        arguments = (getattr(request, field) for field in request.__struct_fields__ if field not in OURS)
        return getattr(module_, str(tag))(*arguments)

    async def _reconfigured(self, module: Module, block: conf.Block) -> None:
        _, settings = conf.module_settings(block, type(module).Config)
        result = module.on_config(settings)
        if result is not None:
            await result
        module.config = settings


def _settings(begin: api.Begin, module: type[Module]) -> Settings:
    """A native module takes whatever keys the gateway leaves of its block."""
    if not issubclass(module, Native):
        return conf.module_settings(begin.block, module.Config)[1]
    taken = conf.ModuleOptions.__struct_fields__
    items = ((item.key, item.value) for item in begin.block.items if item.key not in taken)
    return Given(items=tuple(items), helpers=begin.helpers)


def _answer(number: int, result: Any) -> api.AnyAnswer:
    if result is None:
        return api.Done(re=number)
    if result is PASS:
        return api.Passed(re=number)
    if result is CONSUMED:
        return api.Consumed(re=number)
    if isinstance(result, Message):
        return api.Replaced(re=number, message=result)
    if isinstance(result, list):
        return api.Completed(re=number, found=result)
    if isinstance(result, dict):
        return api.Shown(re=number, value=result)
    return _failure(number, TypeError(f"PASS, CONSUMED or a Message is expected, not {result!r:.100}"))


def _failure(number: int, error: Exception) -> api.AnyAnswer:
    if isinstance(error, Refused):
        return api.Denied(re=number, code=error.code, reason=error.reason)
    meant = isinstance(error, BoardtalkError | TimeoutError)
    text = str(error) if meant and str(error) else f"{type(error).__name__}: {error}"
    trace = "" if meant else "".join(traceback.format_exception(error))[-MAX_TRACE_CHARS:]
    return api.Raised(re=number, error=text[:MAX_ERROR_CHARS], meant=meant, trace=trace)
