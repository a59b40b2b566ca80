"""Seccomp: system calls that this process, and all that it starts, can't make any more.

Landlock knows TCP alone, and not the Unix sockets of other programs; here no socket can be made at all. By
libseccomp, which systemd brings, and which knows the calls' numbers on each processor.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from typing import Final

LIBRARY: Final = "libseccomp.so.2"
ALLOW: Final = 0x7FFF0000
REFUSE: Final = 0x00050000 | errno.EPERM
EQUAL_MASKED: Final = 7

NEVER: Final = (
    "bpf",
    "io_uring_setup",
    "kexec_load",
    "mount",
    "open_by_handle_at",
    "perf_event_open",
    "pidfd_getfd",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "setns",
    "setpgid",
    "setsid",
    "umount2",
    "unshare",
    "userfaultfd",
)
"""Ways around the jail, into other processes, or out of the group that is ended with this one."""
INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
FAMILIES: Final = 64
"""More than there are."""
LOW_HALF: Final = 0xFFFF_FFFF
"""The kernel looks at this half of the argument alone, so that is what must be compared."""


class _Compare(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    )


def available() -> bool:
    """Whether the library is there."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def restrict(*, network: bool) -> None:
    """Refuse these calls from now on, and sockets: all, or with `network` those other than of TCP and UDP.

    Raises:
        OSError: the kernel refuses.
    """
    library = ctypes.CDLL(LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(ALLOW)))

    def refuse(call: str, *compare: _Compare) -> None:
        number = library.seccomp_syscall_resolve_name(call.encode())
        array = (_Compare * len(compare))(*compare)
        _check(library.seccomp_rule_add_array(rules, ctypes.c_uint32(REFUSE), number, len(compare), array))

    for call in NEVER:
        refuse(call)
    if network:
        for family in set(range(FAMILIES)) - set(INTERNET):
            refuse("socket", _Compare(0, EQUAL_MASKED, LOW_HALF, family))
    else:
        refuse("socket")
    _check(library.seccomp_load(rules))
    library.seccomp_release(rules)


def _check(result: int) -> None:
    if result < 0:
        raise OSError(-result, f"seccomp: {os.strerror(-result)}")
