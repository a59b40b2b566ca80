"""`boardtalk modules` and `boardtalk reload`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cyclopts import App
from rich.table import Table

from boardtalk.chain.health import Condition
from boardtalk.cli.common import DONE, REFUSED, ConfFile, await_, console, me, print_json, tables
from boardtalk.conf.changes import What
from boardtalk.frontends import control
from boardtalk.frontends.client import GatewayClient
from boardtalk.sdk import ModuleError
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import AsJson, StateFolder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from boardtalk.chain.health import Report

COLORS: Final = {Condition.RUNNING: "green", Condition.RESTING: "yellow", Condition.FAILED: "red"}

modules = App(name="modules", help="The modules that messages pass, and how they are.")


@modules.default
def show(*, state: StateFolder = None, json: AsJson = False) -> int:
    """Show the modules of the running gateway in the order that messages pass them.

    Example: boardtalk modules
    """
    reports = await_(_ask(state or running_folder(), control.Modules(), control.ModuleReports)).modules
    if json:
        print_json(reports)
        return DONE
    tables.print(_table(reports) if reports else "the configuration names no module")
    for each in reports:
        if each.last_error:
            console.print(f"{each.name}: {each.last_error}", markup=False, soft_wrap=True)
    return DONE


@modules.command
def digest(name: str, /, *, conf_: ConfFile = None) -> int:
    """Print the block that allows a module as it is now.

    Example: boardtalk modules digest weather >> gateway.conf
    """
    from boardtalk import app, conf, loader

    document = conf.load(app.find_conf(conf_))
    sources = loader.find(conf.settings(document.globals, conf.Gateway).module_folders)
    if name not in sources:
        raise ModuleError(f"there is no module {name!r}; there are: {', '.join(sorted(sources))}")
    print(f"allow {name} {{\n    sha256 = {sources[name].digest()}\n}}")
    return DONE


def reload(*, state: StateFolder = None, json: AsJson = False) -> int:
    """Have the running gateway read its configuration again. A wrong one changes nothing.

    Example: boardtalk reload
    """
    changes = await_(_ask(state or running_folder(), control.Reload(), control.Reloaded)).changes
    bad = [change for change in changes if change.what in (What.FAILED, What.KEPT)]
    if json:
        print_json(changes)
        return REFUSED if bad else DONE
    for change in changes:
        style = "red" if change in bad else "default"
        console.print(str(change), style=style, markup=False, soft_wrap=True)
    if not changes:
        console.print("nothing has changed")
    return REFUSED if bad else DONE


async def _ask(folder: Path, request: control.Request, answer: type[Any]) -> Any:
    async with GatewayClient.connect(folder, me()) as client:
        return await client.ask(request, answer)


def _table(reports: Sequence[Report]) -> Table:
    columns = ("#", "module", "state", "pass", "consume", "replace", "refuse", "fail", "p50", "p99")
    table = Table(*columns, box=None)
    for each in reports:
        counts = (each.passed, each.consumed, each.replaced, each.refused, each.failed)
        table.add_row(
            str(each.position or "–"),
            each.name,
            f"[{COLORS[each.condition]}]{each.condition}",
            *(f"{count:,}" for count in counts),
            f"{each.p50_ms:.2g} ms",
            f"{each.p99_ms:.2g} ms",
        )
    return table
