"""What the process of an isolated module gives up, before it imports the module's code."""

from __future__ import annotations

import resource
import site
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boardtalk.runtime.precedence import fall_back
from boardtalk.sandbox import landlock, seccomp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from boardtalk.sandbox.api import Jail

NICE: Final = 5
"""Steps behind ordinary processes, in the queue for the processor."""
SYSTEM: Final = (
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/mime.types",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
)
"""What Python and its libraries read; nothing in it is secret."""
FOR_NETWORK: Final = (
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/services",
)
DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


def enter(jail: Jail) -> list[str]:
    """Lock this process up, for good; what of the jail this machine does not have, in words.

    Call it before there are threads.
    """
    _limit(resource.RLIMIT_DATA, jail.memory_mb << 20)
    _limit(resource.RLIMIT_NOFILE, jail.files)
    _limit(resource.RLIMIT_CORE, 0)
    fall_back(NICE)
    missing = []
    if landlock.version():
        network = FOR_NETWORK if jail.network else ()
        readable = (*_python(), *SYSTEM, *network, *jail.readable)
        landlock.restrict(readable=readable, writable=(*DEVICES, *jail.writable), network=jail.network)
    else:
        missing.append("this kernel has no Landlock: it may read and write what the gateway may")
    if seccomp.available():
        seccomp.restrict(network=jail.network)
    elif not jail.network:
        missing.append(f"{seccomp.LIBRARY} is not installed: it may use the network")
    return missing


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(what, (most, most))


def _python() -> Iterable[str]:
    """Where Python, its packages and the gateway lie: also behind the links of a development install."""
    ours = Path(__file__).resolve().parents[1]
    modules = Path(__file__).parents[1] / "modules" / "__init__.py"
    return (
        *sys.path,
        sys.prefix,
        sys.base_prefix,
        *site.getsitepackages(),
        *sysconfig.get_paths().values(),
        str(ours),
        str(modules.resolve().parent),
    )
