"""Emulated boards that wait for firmware: boot loaders that unmodified flashing tools accept."""
