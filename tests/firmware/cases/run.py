"""Runs one function of a file of cases, in MicroPython: `micropython run.py MODULE FUNCTION`."""

import sys

module = __import__(sys.argv[1])
getattr(module, sys.argv[2])()
print("passed")  # the interpreter's exit code is 0 after an exception too
