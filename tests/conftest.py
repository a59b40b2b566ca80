"""What all tests share: no test leaves a process behind, and none is skipped where all can run."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from boardtalk.runtime import logs

MARK = "BOARDTALK_TEST"
"""Environment variable that our child processes inherit, by which leftovers are found."""
ENDS_S = 3.0
"""A process that was killed takes its time to go, on a busy machine."""
LAST = ("boards", "firmware", "gateway", "modules")
"""Folders whose files take seconds. One that takes a minute and is begun last is waited for by all."""

settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock")  # a busy machine makes no property untrue

PLAIN = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
"""A traceback with all local values takes seconds of processor."""
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], PLAIN])

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell; children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def running(mark: str) -> list[str]:
    """Command lines of processes that carry a mark, zombies and ourselves left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workers get the files in this order."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.relative_to(here).parts[0] in LAST)


@pytest.fixture(autouse=True)
def no_orphans(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test whose child processes outlive it."""
    mark = f"{os.getpid()}-{abs(hash(request.node.nodeid))}"
    monkeypatch.setenv(MARK, mark)
    yield
    deadline = time.monotonic() + ENDS_S
    while (leftover := running(mark)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not leftover, f"processes left behind: {leftover}"


@pytest.fixture(autouse=True)
def one_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway in the tests' own process leaves the log as it is: loggers remember for good how it was."""
    monkeypatch.setattr(logs, "configure", lambda level="info": None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skipped test fails in CI, which installs whatever a laptop may lack, but can't give rights."""
    report = yield
    excused = hasattr(report, "wasxfail") or item.get_closest_marker("privileged")
    if report.skipped and not excused and "CI" in os.environ:
        report.outcome, report.longrepr = "failed", f"skipped in CI: {report.longrepr}"
    return report
