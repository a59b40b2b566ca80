"""Modules in processes of their own: what one does wrong there, it does to nobody else.

The gateway's end: `module` stands in the chain in place of the real one, `process` keeps its process.
The other end: ``python -m boardtalk.sandbox`` locks itself up (`jail`), and only then imports the
module's code, which sees the same `Context` as in the gateway. `api` is what the two ends say.
"""
