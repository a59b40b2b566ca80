"""The module `flash`: firmware and programs of robots, replaced from chat."""

from boardtalk.modules.flash.module import Flash

__all__ = ["Flash"]
