"""Parts of documents that are made from the code, so that they say what it does.

``make reference``, or ``python -m boardtalk.reference FILE …``, makes them anew: what stands between
``<!-- keys: TABLE -->`` or ``<!-- api: NAME … -->`` and ``<!-- end -->``.
"""

from boardtalk.reference.documents import MARK, updated

__all__ = ["MARK", "updated"]
