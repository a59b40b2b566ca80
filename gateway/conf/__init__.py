"""The configuration.

::

    document = load(Path("gateway.conf"))           # with conf.d/*.conf beside it
    gateway = settings(document.globals, Gateway)
    users = {block.name: settings(block, UserBlock) for block in document.of("user")}

The text is the business of `grammar`, keys that of `settings`; what the gateway's own blocks take
stands in `blocks`, what modules take in the modules.
"""

from boardtalk.conf.blocks import (
    AllowBlock,
    BrokerBlock,
    EmbeddedBroker,
    Gateway,
    GrantBlock,
    GroupBlock,
    Listen,
    ModuleOptions,
    MosquittoBroker,
    PolicyBlock,
    RemoteBroker,
    UserBlock,
)
from boardtalk.conf.document import HIDDEN, Block, Document, Item, is_secret, public, secrets
from boardtalk.conf.edit import added, edited, removed, with_file
from boardtalk.conf.files import (
    broker_settings,
    check,
    foreign_broker,
    load,
    module_options,
    module_settings,
    unknown_members,
)
from boardtalk.conf.form import form
from boardtalk.conf.grammar import parse, render
from boardtalk.conf.rights import policy
from boardtalk.conf.settings import problems, settings

__all__ = [
    "HIDDEN",
    "AllowBlock",
    "Block",
    "BrokerBlock",
    "Document",
    "EmbeddedBroker",
    "Gateway",
    "GrantBlock",
    "GroupBlock",
    "Item",
    "Listen",
    "ModuleOptions",
    "MosquittoBroker",
    "PolicyBlock",
    "RemoteBroker",
    "UserBlock",
    "added",
    "broker_settings",
    "check",
    "edited",
    "foreign_broker",
    "form",
    "is_secret",
    "load",
    "module_options",
    "module_settings",
    "parse",
    "policy",
    "problems",
    "public",
    "removed",
    "render",
    "secrets",
    "settings",
    "unknown_members",
    "with_file",
]
