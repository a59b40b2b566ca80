"""Firmware onto boards: a definition says how, a flasher does it, a session keeps the order.

::

    command line → fleet (many boards) → session (one board's steps) → flasher (one protocol) → its worker

Events come back up; a flasher raises `FlashError`. Protocols are found in the entry-point group
``boardtalk.flashers``.
"""
