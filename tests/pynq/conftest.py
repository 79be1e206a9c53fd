"""These tests run the real pynq library on the virtual board; `scripts/test_pynq.sh` installs it and runs them."""

import dataclasses
import importlib.util
from importlib import metadata

import pytest

import eie
from eie.boards.board import board, board_names
from eie.devices.virtual import VirtualBoard
from tests.pynq.faults import PATIENT
from tests.pynq.networks import CONFIG

_ONE_OF_EACH_FAMILY = ("pynq-z2", "zcu104")

REASON = "pynq is not installed here; scripts/test_pynq.sh installs it apart and runs these tests"


def pytest_collection_modifyitems(items):
    if importlib.util.find_spec("pynq") is None:
        for item in items:
            if item.path.is_relative_to(__file__.rpartition("/")[0]):
                item.add_marker(pytest.mark.skip(reason=REASON))


def pytest_generate_tests(metafunc):
    """Each test runs on every board that the installed pynq supports; a heavy one on one board of each family."""
    if "board_name" in metafunc.fixturenames:
        names = [name for name in board_names() if _pynq_release() in {_release(v) for v in board(name).pynq_versions}]
        if metafunc.definition.get_closest_marker("full"):
            names = [name for name in _ONE_OF_EACH_FAMILY if name in names][:1]
        metafunc.parametrize("board_name", names, scope="session")


def _pynq_release():
    try:
        return _release(metadata.version("pynq"))
    except metadata.PackageNotFoundError:
        return _release(max(board("pynq-z2").pynq_versions))


def _release(version):
    return version.partition(".")[0]


@pytest.fixture
def small_board(board_name):
    """The board, with an array small enough for quick tests."""
    return dataclasses.replace(board(board_name), config=CONFIG)


@pytest.fixture
def fabric():
    """What executes the stream: the emulation."""
    return None


@pytest.fixture
def virtual(small_board, fabric):
    """The virtual board in use; at the end no buffer may be left."""
    with VirtualBoard(small_board, fabric) as virtual:
        yield virtual
        assert virtual.memory.allocations == 0, "buffers are leaked"


@pytest.fixture
def accelerator(virtual):
    """An accelerator on the virtual board that does not give up because the machine is busy."""
    with eie.Accelerator(eie.PynqDevice(virtual.bitfile, deadline=PATIENT)) as accelerator:
        yield accelerator
