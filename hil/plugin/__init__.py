"""The pytest plugin: boards, gateways and faulty lines as fixtures; see docs/hil.md.

This file is loaded by every pytest where boardtalk is installed, so it imports nothing of it: fixtures do.
"""

from __future__ import annotations

import functools
import inspect
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from boardtalk.hil.plugin.boards import Board
    from boardtalk.hil.plugin.chats import Chat
    from boardtalk.hil.plugin.gateways import Gateway
    from boardtalk.hil.plugin.lines import Line, Pair, TcpLine
    from boardtalk.hil.plugin.recorders import Recorder
    from boardtalk.hil.plugin.rig import Rig
    from boardtalk.hil.plugin.story import Story

MARKERS: Final = (
    "board(*files, name, uid, heap): firmware of the fixture `board`: a folder, or files, beside the test",
    "board_needs(*capabilities): pins, power and so on, see docs/hil.md: skip where `--board` lacks one",
)
EMULATED: Final = "emulated"
STORY: Final = pytest.StashKey["Story"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("boardtalk", "boards (boardtalk)")
    group.addoption(
        "--board",
        default="emulated",
        metavar="BOARD",
        help="emulated (default), qemu-microbit, a port (--board=/dev/ttyACM0), tcp://HOST:PORT "
        "or rfc2217://HOST:PORT",
    )
    group.addoption("--seed", type=int, metavar="NUMBER", help="of the faults on lines; else by chance")
    group.addoption(
        "--boardtalk-report",
        metavar="DIR",
        help="for each failed test, put what happened into a folder of its own there: in words, "
        "as a picture over time, and its frames for Wireshark",
    )
    parser.addini("boardtalk_firmware", "folder or files that the board runs; else robot/", type="paths")


def pytest_configure(config: pytest.Config) -> None:
    """Markers, one seed for all workers, and whether there is such a board."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if config.option.seed is None:
        config.option.seed = int.from_bytes(os.urandom(4))
    if config.option.board != EMULATED:
        from boardtalk.hil.plugin.kinds import check, kind

        kind(config.option.board)
        check(config)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what the board can't do, before anything is started."""
    wanted = [name for mark in item.iter_markers("board_needs") for name in mark.args]
    if not wanted:
        return
    from boardtalk.hil.plugin.kinds import CAPABILITIES, kind

    chosen = kind(item.config.option.board)
    for name in wanted:
        if name not in CAPABILITIES:
            raise pytest.UsageError(f"board_needs({name!r}): there are {', '.join(CAPABILITIES)}")
        if reason := chosen.why_not(name):
            pytest.skip(reason)


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test of ours that no other plugin runs."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj) or "_boardtalk_rig" not in pyfuncitem.fixturenames:
        return None
    import anyio

    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    anyio.run(functools.partial(pyfuncitem.obj, **arguments))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a failed test's board, line and chat did."""
    report = yield
    story = item.stash.get(STORY, None)
    if report.failed and story:
        from boardtalk.hil.plugin.report import tell

        tell(item, report, story)
    return report


@pytest.fixture(scope="session")
def _boardtalk_rig() -> Iterator[Rig]:
    from boardtalk.hil.plugin.rig import Rig

    with Rig() as rig:
        yield rig


@pytest.fixture
def _boardtalk_story(request: pytest.FixtureRequest) -> Story:
    from boardtalk.hil.plugin.story import Story

    made = Story(request.config.option.seed, request.node.nodeid)
    request.node.stash[STORY] = made
    return made


@pytest.fixture
def board(request: pytest.FixtureRequest, _boardtalk_rig: Rig, _boardtalk_story: Story) -> Iterator[Board]:
    """A board that runs the project's firmware; emulated, or the one of `--board`."""
    from boardtalk.hil.plugin import boards, firmware, kinds
    from boardtalk.hil.plugin.lines import Line
    from boardtalk.hil.qemu import tiny

    mark = request.node.get_closest_marker("board")
    options: dict[str, Any] = dict(mark.kwargs) if mark else {}
    kind = kinds.kind(request.config.option.board)
    microbit = kind.name == kinds.MICROBIT
    paths = firmware.chosen(request, mark.args if mark else (), tiny.TINY if microbit else None)
    robot = firmware.for_tiny(paths)
    if microbit and robot is None:
        pytest.skip(
            f"{kind.why_not('program')}; {paths[0].name} has no robot.py with a dictionary.json for it"
        )
    line = None
    if "line" in request.fixturenames:
        if reason := kind.why_not("line"):
            pytest.skip(reason)
        line = _boardtalk_story.add_line(Line(_boardtalk_rig, _boardtalk_story.seed))
    if microbit and robot:
        made = boards.microbit(_boardtalk_rig, kind, robot, line=line, name=options.get("name", ""))
    elif kind.port:
        made = boards.real(_boardtalk_rig, kind, paths, line=line, name=options.get("name", ""))
    else:
        made = boards.emulated(_boardtalk_rig, kind, paths, line=line, **options)
    with made as running:
        yield _boardtalk_story.add_board(running)


@pytest.fixture
def line(board: Board) -> Iterator[Line]:
    """The line between board and gateway: faults and pace."""
    yield board.line
    board.line.clear()


@pytest.fixture
def gateway_conf() -> str:
    """More lines of the gateway's configuration, such as modules; define it anew to have some."""
    return ""


@pytest.fixture
def gateway(
    _boardtalk_rig: Rig, _boardtalk_story: Story, board: Board, gateway_conf: str
) -> Iterator[Gateway]:
    """A gateway that has the board, in a temporary folder."""
    from boardtalk.hil.plugin.gateways import running
    from boardtalk.hil.plugin.traffic import Traffic

    _boardtalk_story.traffic = traffic = Traffic(_boardtalk_rig.folder())
    with running(_boardtalk_rig, traffic, board, gateway_conf) as made:
        _boardtalk_story.gateway = made
        yield made


@pytest.fixture
def chat(gateway: Gateway) -> Chat:
    """An operator at the gateway."""
    return gateway.chat()


@pytest.fixture
def recorder(
    _boardtalk_rig: Rig, _boardtalk_story: Story, gateway: Gateway, tmp_path: Path
) -> Iterator[Recorder]:
    """Records what happens in the gateway, for `boardtalk replay`."""
    from boardtalk.hil.plugin.recorders import recording

    with recording(_boardtalk_rig, gateway, tmp_path) as made:
        _boardtalk_story.recording = made.path
        yield made


@pytest.fixture
def make_board(
    request: pytest.FixtureRequest, _boardtalk_rig: Rig, _boardtalk_story: Story
) -> Iterator[Callable[..., Board]]:
    """Makes further emulated boards: `make_board("robot", uid="…")`; the gateway does not know them."""
    from boardtalk.hil.plugin import boards, firmware, kinds

    with ExitStack() as stack:

        def make(*files: str, **options: Any) -> Board:
            paths = firmware.chosen(request, files)
            kind = kinds.kind(kinds.EMULATED)
            made = stack.enter_context(boards.emulated(_boardtalk_rig, kind, paths, **options))
            return _boardtalk_story.add_board(made)

        yield make


@pytest.fixture
def pty_pair(_boardtalk_rig: Rig, _boardtalk_story: Story) -> Iterator[Pair]:
    """Two linked serial ports, with the same faults between them."""
    from boardtalk.hil.plugin.lines import Line, Pair
    from boardtalk.hil.wires import PtyPair

    made = _boardtalk_story.add_line(Line(_boardtalk_rig, _boardtalk_story.seed))
    with _boardtalk_rig.entered(PtyPair(made, _boardtalk_rig.folder())) as pair:
        yield Pair(made, pair)


@pytest.fixture
def tcp_line(_boardtalk_rig: Rig, _boardtalk_story: Story) -> Iterator[Callable[[str, int], TcpLine]]:
    """Makes lines to TCP ports, such as a broker: `tcp_line(*gateway.mqtt)`, with the same faults."""
    from boardtalk.hil.plugin.lines import TcpLine
    from boardtalk.hil.wires import TcpWire

    with ExitStack() as stack:

        def make(host: str, port: int) -> TcpLine:
            made = _boardtalk_story.add_line(TcpLine(_boardtalk_rig, _boardtalk_story.seed))
            made.leads(stack.enter_context(_boardtalk_rig.entered(TcpWire(made, host, port))))
            return made

        yield make
