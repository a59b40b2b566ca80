"""Landlock: the kernel lets this process, and all that it starts, at some files and nothing else.

Linux 5.13 and later, where it is switched on; see landlock(7). The system calls are used directly: glibc
has no functions for them.
"""

from __future__ import annotations

import ctypes
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

CREATE_RULESET: Final = 444
ADD_RULE: Final = 445
RESTRICT_SELF: Final = 446
"""Numbers of the system calls, the same on all processors."""
VERSION: Final = 1
"""Flag: only say which version of Landlock there is."""
PATH_BENEATH: Final = 1
PR_SET_NO_NEW_PRIVS: Final = 38

EXECUTE: Final = 1 << 0
WRITE_FILE: Final = 1 << 1
READ_FILE: Final = 1 << 2
READ_DIR: Final = 1 << 3
TRUNCATE: Final = 1 << 14
IOCTL_DEV: Final = 1 << 15
READ: Final = EXECUTE | READ_FILE | READ_DIR
OF_FILES: Final = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""The rights that there are to a file; the others are to a folder."""
FILE_RIGHTS: Final = ((1, (1 << 13) - 1), (2, 1 << 13), (3, TRUNCATE), (5, IOCTL_DEV))
"""Rights to files and folders that came with a version."""
NET: Final = (4, 0b11)
"""Binding and connecting TCP."""
SCOPES: Final = (6, 0b11)
"""Abstract Unix sockets, and signals to processes outside."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """Which Landlock there is; 0: none."""
    found = int(ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, VERSION))
    return max(found, 0)


def restrict(*, readable: Iterable[str], writable: Iterable[str], network: bool) -> None:
    """Allow these files and folders from now on; what does not exist is left out.

    Call it before there are threads: it binds the calling one and those that come after it.

    Raises:
        OSError: the kernel refuses.
    """
    known = version()
    fs = sum(rights for since, rights in FILE_RIGHTS if since <= known)
    net = NET[1] if known >= NET[0] and not network else 0
    rules = _Ruleset(fs, net, SCOPES[1] if known >= SCOPES[0] else 0)
    ruleset = _call(CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(ctypes.sizeof(rules)), 0)
    try:
        for path in readable:
            _allow(ruleset, path, READ & fs)
        for path in writable:
            _allow(ruleset, path, fs & ~EXECUTE)
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
        _call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= OF_FILES
        _call(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(_PathBeneath(rights, place)), 0)
    finally:
        os.close(place)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result = int(libc.syscall(number, *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return result
