"""Functions of modules in processes of their own, by anyio's pool of workers."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING, Any, TypeVar

from anyio import to_process

from boardtalk.runtime.precedence import fall_back

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")


async def run(function: Callable[..., R], *arguments: Any) -> R:
    """Run a function that stands in a file; a cancelled caller has the process killed."""
    file = str(sys.modules[function.__module__].__file__)
    work = partial(_call, function.__module__, file, function.__qualname__, arguments)
    return await to_process.run_sync(work, cancellable=True)


def _call(module: str, file: str, name: str, arguments: tuple[Any, ...]) -> Any:
    """In the worker, which can't import by name what lies in a folder of the configuration."""
    fall_back()
    try:
        code = import_module(module)
    except ModuleNotFoundError:
        spec = spec_from_file_location(module, file)
        assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - the gateway imported it so
        code = sys.modules[module] = module_from_spec(spec)
        spec.loader.exec_module(code)
    return getattr(code, name)(*arguments)
