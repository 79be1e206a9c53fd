"""The device at hand where pynq is installed: a virtual board, or the board with its overlay."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

import eie
from eie.data.mnist import DATA, test_digits
from eie.devices.virtual.overlay import write_overlay
from eie.errors import DeviceError
from tests.pynq.networks import CONFIG

pynq = pytest.importorskip("pynq", reason="pynq is not installed here")
from eie.devices.virtual.device import VirtualBoardDevice, supported_board  # noqa: E402 (it needs pynq)

MODEL = DATA / "lenet-300-100.eie"


def test_off_a_board_it_is_a_virtual_board_that_answers_like_the_emulation():
    x = test_digits().inputs()[:20]
    expected = eie.Accelerator("emulated")
    expected.load(MODEL)
    with eie.Accelerator("auto") as accelerator:
        assert isinstance(accelerator.device, VirtualBoardDevice)
        assert accelerator.device.virtual_board.board.name == supported_board()
        accelerator.load(MODEL)
        assert np.array_equal(accelerator.run(x, verify=True), expected.run(x))


def test_a_closed_virtual_board_leaves_no_buffer_no_file_and_no_active_device():
    before = vars(pynq.Device).get("_active_device")
    accelerator = eie.Accelerator("auto")
    virtual = accelerator.device.virtual_board
    folder = Path(virtual.bitfile).parent
    accelerator.load(MODEL)
    accelerator.close()
    assert virtual.memory.allocations == 0
    assert not folder.exists()
    assert vars(pynq.Device).get("_active_device") is before


def test_on_a_board_it_is_the_array_of_the_overlay_that_is_installed(virtual, board_name, tmp_path, monkeypatch):
    """A board as far as the driver can see: the variable is set, an overlay lies there, pynq's device takes it."""
    (tmp_path / "work").mkdir()
    folder = tmp_path / board_name
    folder.mkdir()
    for ending in (".bit", ".hwh"):
        shutil.copy(Path(virtual.bitfile).with_suffix(ending), folder)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr("eie.devices.choice.shipped_overlays", lambda: tmp_path)
    monkeypatch.setenv("BOARD", board_name.upper())
    with eie.Accelerator("auto") as accelerator:
        assert type(accelerator.device) is eie.PynqDevice
        assert Path(accelerator.device.overlay.bitfile_name).parent == folder
        assert accelerator.config == virtual.board.config


def test_an_overlay_that_does_not_open_leaves_no_virtual_board_behind(monkeypatch, board_name):
    before = vars(pynq.Device).get("_active_device")

    def stale(described, bitfile, hwh):
        write_overlay(described, bitfile, dataclasses.replace(described, config=CONFIG))

    monkeypatch.setattr("eie.devices.virtual.board.write_overlay", stale)
    with pytest.raises(DeviceError, match="stale"):
        VirtualBoardDevice(board_name)
    assert vars(pynq.Device).get("_active_device") is before
