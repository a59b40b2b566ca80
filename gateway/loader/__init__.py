"""Modules: found, checked against the configuration, started, and replaced while messages go on.

`plan` says which instances a configuration asks for, `runner` has them in service.
"""

from boardtalk.finder import Source, find
from boardtalk.loader.plan import Instance, Plan, plan, problems
from boardtalk.loader.runner import Runner

__all__ = ["Instance", "Plan", "Runner", "Source", "find", "plan", "problems"]
