"""Boards whose machine code runs in QEMU."""
