"""Runs a program that can't outlive the process that started it, not even if that is killed.

`leashed` gives the command line. Run as a script, this file asks Linux for a signal at the parent's
death and then becomes the program. (`preexec_fn` could ask too, but runs between fork and exec, where
a process with threads may hang.)
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""prctl(2). The signal survives execve."""


def leashed(*command: str) -> list[str]:
    """The command line that runs `command` on a leash of this process."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main() -> None:
    """Tie this process to its parent, then become the program."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        sys.exit(1)
    os.execv(program[0], program)  # noqa: S606 - no shell is what we want


if __name__ == "__main__":
    main()
