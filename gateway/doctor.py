"""`boardtalk doctor`: what a person at the bench needs first. Each finding comes with its cure.

Packages add checks of their own through the entry-point group ``boardtalk.doctor``: functions that
take the state folder and yield findings.
"""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import time
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from rich.console import Console
from rich.markup import escape

from boardtalk.sdk import BoardtalkError, Finding, Severity, kept
from boardtalk.sdk.folders import gateway_runs, running_folder
from boardtalk.sdk.options import AsJson, StateFolder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GROUP: Final = "boardtalk.doctor"
BROKER_TIMEOUT_S: Final = 2.0
MIN_FREE_BYTES: Final = 50 * 1024 * 1024
BUILT_AFTER: Final = 1_767_225_600
"""2026-01-01: a clock before that was never set."""
MARKS: Final = {
    Severity.FINE: "[green]fine[/]",
    Severity.WARNING: "[yellow]look[/]",
    Severity.PROBLEM: "[red]mend[/]",
}


def doctor(
    *,
    state: StateFolder = None,
    json: AsJson = False,
) -> int:
    """Look for what usually is wrong, and say how to mend it.

    Example: boardtalk doctor
    """
    findings = list(examine(state or running_folder()))
    if json:
        print(msgspec.json.encode(findings).decode())
    else:
        console = Console(highlight=False)
        for finding in findings:
            console.print(f"{MARKS[finding.severity]}  {escape(finding.what)}", soft_wrap=True)
            if finding.cure:
                console.print(f"      → {escape(finding.cure)}", soft_wrap=True)
    return 1 if any(finding.severity is Severity.PROBLEM for finding in findings) else 0


def examine(state: Path) -> Iterator[Finding]:
    """All findings: our own, then those of the installed packages."""
    yield from _state_folder(state)
    yield from _damaged(state)
    yield from _audit(state / "store.db")
    yield from _broker()
    yield from _door(state)
    yield from _clock()
    for point in entry_points(group=GROUP):
        yield from _contained(point.name, point.load()(state))


def _contained(name: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    try:
        yield from findings
    except (BoardtalkError, OSError) as error:
        yield Finding(Severity.WARNING, f"the checks of {name} could not be made: {error}")


def _state_folder(state: Path) -> Iterator[Finding]:
    folder = next(path for path in (state, *state.parents) if path.exists())
    shut = _shut(folder, state)
    if shut is not None:
        yield Finding(
            Severity.PROBLEM,
            f"state folder {state} can't be written: {shut} belongs to somebody else",
            f"sudo chown -R $USER {folder}, or choose another folder with --state",
        )
        return
    free = shutil.disk_usage(folder).free
    if free < MIN_FREE_BYTES:
        yield Finding(
            Severity.PROBLEM,
            f"only {free // 2**20} MB are free for the state folder {state}",
            "make room: commands are refused when the disk is full",
        )
    else:
        yield Finding(Severity.FINE, f"state folder {state}")
    yield Finding(Severity.FINE, f"{'a' if gateway_runs(state) else 'no'} gateway runs on it")


def _shut(folder: Path, state: Path) -> Path | None:
    """What may not be written: also a file in it, as after a start with sudo."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return folder
    inside = state.iterdir() if folder == state else ()
    return next((path for path in inside if not os.access(path, os.W_OK)), None)


def _damaged(state: Path) -> Iterator[Finding]:
    for path in kept.those_set_aside(state):
        yield Finding(
            Severity.WARNING,
            f"damaged, and set aside: {path}",
            "restore a backup if users, boards or history are missing now; then remove that file",
        )


def _audit(store: Path) -> Iterator[Finding]:
    from boardtalk.store.audit import forged_audit

    try:
        forged = forged_audit(store) if store.exists() else None
    except sqlite3.Error as error:
        yield Finding(Severity.WARNING, f"the audit in {store} can't be read: {error}")
        return
    if forged is not None:
        yield Finding(
            Severity.PROBLEM,
            f"the audit in {store} was changed: line {forged} does not fit those before it",
            "somebody wrote into that file: compare it with a backup, and look who has the right to",
        )


def _broker() -> Iterator[Finding]:
    from boardtalk.broker import embedded

    try:
        yield Finding(Severity.FINE, f"embedded broker {embedded.find()}")
    except BoardtalkError as error:
        yield Finding(
            Severity.PROBLEM,
            str(error),
            "install boardtalk again, or `apt install mosquitto` and configure `broker mosquitto`",
        )


def _door(state: Path) -> Iterator[Finding]:
    """Whether the broker of the running gateway can be reached, whichever it is."""
    try:
        where = msgspec.json.decode((state / "endpoints.json").read_bytes())["mqtt"]
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return
    if not where or not gateway_runs(state):
        return
    host, _, port = where.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=BROKER_TIMEOUT_S).close()
    except OSError as error:
        yield Finding(
            Severity.PROBLEM,
            f"the broker at {where} can't be reached: {error}",
            "is it running, and `url` in the block `broker` right? The gateway goes on trying",
        )
    else:
        yield Finding(Severity.FINE, f"MQTT at {where}")


def _clock() -> Iterator[Finding]:
    now = time.time()
    if now < BUILT_AFTER:
        yield Finding(
            Severity.PROBLEM,
            f"the clock says {time.strftime('%Y-%m-%d', time.gmtime(now))}",
            "set it (`sudo timedatectl set-ntp true`): times in the history would be wrong",
        )
    else:
        yield Finding(Severity.FINE, f"clock {time.strftime('%Y-%m-%d %H:%M', time.gmtime(now))} UTC")
