"""The bridge between chat and boards."""
