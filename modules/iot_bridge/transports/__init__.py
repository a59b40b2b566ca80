"""Byte streams to boards: one file per kind of port."""
