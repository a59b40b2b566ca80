"""boardtalk: an edge gateway through which people chat with their boards.

The public door for module authors is :mod:`boardtalk.sdk`; nothing else here is a stable interface.
"""
