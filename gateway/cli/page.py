"""`boardtalk page`: where the web page is."""

from __future__ import annotations

from boardtalk.cli import invitation
from boardtalk.cli.common import DONE, REFUSED, await_, console, errors, print_json
from boardtalk.frontends import control
from boardtalk.frontends.client import ask_unnamed
from boardtalk.sdk.folders import running_folder
from boardtalk.sdk.options import AsJson, StateFolder


def page(*, state: StateFolder = None, json: AsJson = False) -> int:
    """Print the address of the web page; until somebody can log in there, with a token to begin.

    A token is good for 15 minutes and one person. An older one is void then.

    Example: boardtalk page
    """
    found = await_(ask_unnamed(state or running_folder(), control.AskPage()))
    assert isinstance(found, control.Page)  # noqa: S101 - the answer to it
    if json:
        print_json({"url": found.url, "link": invitation.link(found) if found.url else ""})
        return DONE
    if not found.url:
        errors.print(
            "there is no web page: a block `listen { }` in the configuration makes one; if it is there, the "
            "gateway's log says what it lacks",
            soft_wrap=True,
        )
        return REFUSED
    for line in invitation.lines(found, anywhere=True):
        console.print(line, markup=False, soft_wrap=True)
    return DONE
