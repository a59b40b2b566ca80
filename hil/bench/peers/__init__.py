"""The same work through boardtalk and through what others made, side by side in one run.

The others are no dependencies: each has an environment of its own, whose Python is named.
Chat, beside opsdroid::

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install opsdroid 'setuptools<81'
    python -m boardtalk.hil.bench.peers /tmp/peer/bin/python

A board's commands, beside Belay: :mod:`~boardtalk.hil.bench.peers.belay`.
"""
