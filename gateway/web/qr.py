"""Addresses as pictures: for phones, which nobody likes to type on."""

from __future__ import annotations

import io

import segno


def picture(text: str) -> str:
    """A QR code made of characters, black and white whatever the terminal's colours are."""
    drawn = io.StringIO()
    segno.make(text, error="m", micro=False).terminal(drawn, compact=True)
    return drawn.getvalue()
