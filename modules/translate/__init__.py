"""The module `translate`: everybody writes and reads in his own language, robots too."""

from boardtalk.modules.translate.module import Translate

__all__ = ["Translate"]
