# The least that a board can do with a line: send everything back. Baseline of the round-trip bench.
import select
import sys
import termios

try:
    termios.setraw(0)
except OSError:
    pass  # a line of the rig is no terminal
poll = select.poll()
poll.register(sys.stdin, select.POLLIN)
buffer = bytearray(256)
while True:
    poll.poll()
    size = sys.stdin.buffer.readinto(buffer)
    if not size:
        break
    sys.stdout.buffer.write(memoryview(buffer)[:size])
