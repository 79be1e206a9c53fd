"""Hardware tests elaborate many designs: do it fast. The VHDL simulator is shared by all of them."""

import shutil

import pytest

from eie_hw.conversion.elaboration import quick_elaboration


@pytest.fixture(autouse=True, scope="session")
def _quick_elaboration():
    with quick_elaboration():
        yield


@pytest.fixture(scope="session")
def ghdl(tmp_path_factory):
    """Return a player of scripts on the converted VHDL."""
    pytest.importorskip("cocotb")
    pytest.importorskip("cocotbext.axi")
    if not shutil.which("ghdl"):
        pytest.skip("GHDL is not installed")
    from ghdl_bench import GhdlBench

    return GhdlBench(tmp_path_factory.mktemp("vhdl"))
