"""The module `filter`: keeps messages with blocked words back, masks the words, or warns."""

from boardtalk.modules.filter.module import Filter

__all__ = ["Filter"]
