"""Board definitions, one file each, and what reads them: for the gateway, and for modules."""

from boardtalk.boards.definition import Definition, Image, UsbId
from boardtalk.boards.files import (
    BoardFile,
    DefinitionError,
    definition,
    definitions,
    folders,
    paths,
    read,
    usb_ids,
    user_folder,
)

__all__ = [
    "BoardFile",
    "Definition",
    "DefinitionError",
    "Image",
    "UsbId",
    "definition",
    "definitions",
    "folders",
    "paths",
    "read",
    "usb_ids",
    "user_folder",
]
