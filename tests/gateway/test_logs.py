"""The log tells what happened, and nothing that comes from outside steers the terminal that shows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def logged(call: str) -> str:
    """What a gateway says on standard error when it logs something."""
    program = f"import structlog\nfrom boardtalk.runtime import logs\nlogs.configure('info')\n{call}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert not done.stdout
    return done.stderr.decode()


def test_escape_sequences_are_shown_and_not_carried_out() -> None:
    [line] = logged(
        r"structlog.get_logger().info('\x1b[2Jevent', a='\x1b]0;title\x07', b='two\r\nlines', c='grüße ☺')"
    ).splitlines()
    assert "\x1b" not in line
    assert "\x07" not in line
    assert r"\x1b[2Jevent" in line
    assert "grüße ☺" in line


def test_what_is_less_than_the_level_is_left_out() -> None:
    said = logged("log = structlog.get_logger()\nlog.debug('small talk')\nlog.warning('look out')")
    assert "small talk" not in said
    assert "look out" in said


def test_c18_a_log_on_a_full_disk_keeps_nobody_from_working() -> None:
    program = (
        "import structlog\nfrom boardtalk.runtime import logs\nlogs.configure('info')\n"
        "for _ in range(1000): structlog.get_logger().error('look out')\nprint('it goes on')"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, check=False
        )
    assert done.stdout == b"it goes on\n"
