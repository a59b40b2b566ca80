"""The chain of modules, and how each of its stages does."""
