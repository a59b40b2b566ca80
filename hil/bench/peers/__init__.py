"""The same work through boardtalk and through another chat framework, side by side in one run.

The other framework is no dependency: it has an environment of its own, whose Python is named::

    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install opsdroid 'setuptools<81'
    python -m boardtalk.hil.bench.peers /tmp/peer/bin/python
"""
