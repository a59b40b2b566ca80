"""A MicroPython board as tools see it: REPL, files, pins and resets behind a serial port."""
