"""Programs of the C runtime, compiled once."""

import pytest

from tests.driver.c.bridge import BRIDGE, PROCESSORS, compiled


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("c")


@pytest.fixture(scope="session", params=PROCESSORS)
def command(request, folder):
    """The runtime at a pipe, on each processor."""
    return compiled(request.param, folder, *BRIDGE)


@pytest.fixture(scope="session")
def here(folder):
    """The same on this processor, with sanitizers."""
    return compiled("here", folder, *BRIDGE)
