"""A whole gateway with a native module: what is said through it is recorded, and can't be played."""

from __future__ import annotations

import pytest

from boardtalk.hil.plugin.chats import Chat
from boardtalk.hil.plugin.recorders import Recorder
from boardtalk.hil.record.entries import read
from boardtalk.hil.record.player import play
from boardtalk.sdk import ModuleError

from .conftest import Workshop


@pytest.fixture
def gateway_conf(workshop: Workshop) -> str:
    puppet, censor = workshop.make("puppet"), workshop.make("censor")
    blocks = "module censor {\nblocked = x\nmasked = fool\n}\nmodule puppet {\naddress = puppet\n}\n"
    return f"module_folders = {puppet}, {censor}\n{blocks}"


def test_it_is_on_the_way_of_commands_and_never_played_in_another_process(
    chat: Chat, recorder: Recorder
) -> None:
    assert chat.send("rover", "forward 5").state == "done"
    assert chat.send("puppet", "say hello, fool").state == "done"
    assert chat.hears("hello").text == "hello, ****"
    recorder.end()
    with pytest.raises(ModuleError, match="censor, puppet: a recording with native modules can't be"):
        play([*read(recorder.path)])
