"""These tests run the real pynq library on the virtual board; `scripts/test_pynq.sh` installs it and runs them."""

import dataclasses
import importlib.util
from importlib import metadata

import eie
import pytest
from eie.boards import board
from eie.virtual import VirtualBoard

from tests.pynq.faults import DEADLINE
from tests.pynq.networks import CONFIG

REASON = "pynq is not installed here; scripts/test_pynq.sh installs it apart and runs these tests"


def pytest_collection_modifyitems(items):
    if importlib.util.find_spec("pynq") is None:
        for item in items:
            if item.path.is_relative_to(__file__.rpartition("/")[0]):
                item.add_marker(pytest.mark.skip(reason=REASON))


def pytest_generate_tests(metafunc):
    """Zynq-7000 boards with pynq 3, UltraScale+ boards with pynq 4, which no longer has the former."""
    if "board_name" in metafunc.fixturenames:
        try:
            pynq_version = metadata.version("pynq")
        except metadata.PackageNotFoundError:
            pynq_version = "0"
        names = ["zcu104"] if int(pynq_version.partition(".")[0]) >= 4 else ["pynq-z2"]
        metafunc.parametrize("board_name", names, scope="session")


@pytest.fixture
def small_board(board_name):
    """The board, with an array small enough for quick tests."""
    return dataclasses.replace(board(board_name), config=CONFIG)


@pytest.fixture
def virtual(small_board):
    """The virtual board in use; at the end no buffer may be left."""
    with VirtualBoard(small_board) as virtual:
        yield virtual
        assert virtual.memory.allocations == 0, "buffers are leaked"


@pytest.fixture
def accelerator(virtual):
    """An accelerator on the virtual board that gives up soon."""
    with eie.Accelerator(eie.PynqDevice(virtual.bitfile, deadline=DEADLINE)) as accelerator:
        yield accelerator
