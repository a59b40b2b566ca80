"""The store of record: what was accepted, who waits for what, and what one finds who looks back."""
