"""The blocks that say who may what, as the policy that decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boardtalk.conf.blocks import GrantBlock, PolicyBlock
from boardtalk.conf.document import quoted
from boardtalk.conf.settings import problems, settings
from boardtalk.people.policy import Grant, Policy
from boardtalk.sdk import AddressError, check_name

if TYPE_CHECKING:
    from boardtalk.conf.document import Block, Document
    from boardtalk.sdk import ConfigError


def policy(document: Document) -> Policy:
    """The policy of a configuration. Without a block `policy`, roles decide.

    Raises:
        ConfigError: a block is wrong.
    """
    for block in document.blocks:
        if block.kind in ("policy", "grant"):
            for error in rights_problems(block, document):
                raise error
    blocks = document.of("policy")
    roles = settings(blocks[0], PolicyBlock).roles if blocks else True
    return Policy(roles, tuple(_grant(block, settings(block, GrantBlock)) for block in document.of("grant")))


def rights_problems(block: Block, document: Document) -> list[ConfigError]:
    """What is wrong with a block `policy` or `grant`."""
    first = next(
        each for each in document.of(block.kind) if block.kind == "policy" or each.name == block.name
    )
    if block.kind == "policy":
        if block is not first:
            return [block.error(f"a second policy; there can be one, and {first.where} has it")]
        if block.name:
            return [block.error(f"`policy` takes no name: {quoted(block.name)} is too much")]
        return problems(block, PolicyBlock)
    if not document.of("policy"):
        return [
            block.error(
                "who grants says first what roles are worth: `policy { roles = yes }` if grants add to what "
                "roles carry, `policy { roles = no }` if they alone decide about robots"
            )
        ]
    return [*_name_problems(block, first), *problems(block, GrantBlock)]


def _name_problems(block: Block, first: Block) -> list[ConfigError]:
    try:
        check_name(block.name)
    except AddressError as error:
        return [block.error(str(error) if block.name else "`grant` needs a name")]
    if block is not first:
        return [block.error(f"there is a grant {block.name!r} already: {first.where}")]
    return []


def _grant(block: Block, given: GrantBlock) -> Grant:
    return Grant(
        name=block.name,
        users=tuple(map(str, given.users)),
        roles=given.roles,
        robots=tuple(map(str, given.robots)),
        may=frozenset(map(str, given.may)),
        commands=tuple(map(str, given.commands)),
        limits=given.limits,
        where=block.where if block.path else "",
    )
