"""What the tests of the overlay build share: the command, a stub of Vivado, a prepared directory."""

import importlib.util
import shutil
from pathlib import Path

import pytest
from tests.hw.overlay_bench import install_stub, stub_converter

from eie.boards.board import board
from eie_hw.overlay import build as build_module
from eie_hw.overlay.build import Plan, prepare

SCRIPT = Path(__file__).parents[3] / "scripts" / "build_overlay.py"


@pytest.fixture
def command(monkeypatch):
    """The command, with a converter that takes no time, and no Vivado on PATH."""
    spec = importlib.util.spec_from_file_location("build_overlay", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "prepare", lambda plan: build_module.prepare(plan, stub_converter))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert shutil.which("vivado") is None
    return module.main


@pytest.fixture
def vivado(tmp_path):
    return install_stub(tmp_path / "bin")


@pytest.fixture
def prepared(tmp_path):
    prepare(Plan(board("pynq-z2"), tmp_path / "out"), stub_converter)
    return tmp_path / "out"
