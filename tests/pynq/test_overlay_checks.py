"""Overlays that are not what they should be are refused, by name and with the remedy."""

import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import eie
from eie.contract import isa, registers
from eie.devices.virtual import VirtualBoard, VirtualBoardError
from eie.devices.virtual.hwh import hwh_text
from eie.errors import DeviceError
from tests.pynq.networks import CONFIG, inputs, model

OTHER = dataclasses.replace(CONFIG, queue_depth=CONFIG.queue_depth * 2)

SPOKEN = isa.VERSION << 8 | registers.VERSION


class Lying(eie.EmulatedDevice):
    """An array with registers that are not of its build."""

    def __init__(self, config, **lies):
        super().__init__(config)
        self.lies = {registers.offset(name): value for name, value in lies.items()}

    def read_register(self, offset):
        return self.lies.get(offset, super().read_register(offset))


def hwh_path(virtual):
    return Path(virtual.bitfile).with_suffix(".hwh")


def strip_header(virtual):
    """Make the .bit one that says nothing of its build, as a .bin renamed."""
    Path(virtual.bitfile).write_bytes(b"\xff" * 64)


def refused(virtual, text):
    with pytest.raises(DeviceError, match=text) as info:
        eie.Accelerator(virtual.bitfile)
    assert virtual.memory.allocations == 0
    return str(info.value)


def test_a_stale_hwh_is_refused_before_the_overlay_is_loaded(small_board):
    with VirtualBoard(small_board, hwh=dataclasses.replace(small_board, config=OTHER)) as virtual:
        text = refused(virtual, r"eie-\S+\.hwh is stale: it describes the design 'eie_[0-9a-f]{8}'")
        assert f"but {Path(virtual.bitfile).name} is '{small_board.design_name}'" in text
        assert "copy both files from one build" in text
        assert virtual._device.timestamp == "", "nothing was downloaded"
        hwh_path(virtual).write_text(hwh_text(small_board))
        network = model()
        with eie.Accelerator(virtual.bitfile) as acc:
            a = inputs(network, 5)
            assert np.array_equal(acc.run_raw(a, model=network), eie.reference(network, a)), "with the right one"


def test_a_stale_hwh_is_refused_by_the_arrays_hash_where_the_bit_says_nothing(small_board):
    stale = dataclasses.replace(small_board, config=OTHER)
    with VirtualBoard(small_board, hwh=stale) as virtual:
        strip_header(virtual)
        text = refused(virtual, r"\.hwh is stale: it describes build 0x[0-9a-f]{8}, but the loaded array is build")
        assert f"0x{registers.build_hash(OTHER):08x}" in text
        assert f"0x{registers.build_hash(CONFIG):08x}" in text


def test_the_hwh_of_another_chip_is_refused(small_board):
    foreign = dataclasses.replace(small_board, part="xc7z045ffg900-2")
    with VirtualBoard(small_board, hwh=foreign) as virtual:
        refused(virtual, "is stale: .* for 7z045ffg900, but")


def test_the_hwh_of_an_overlay_without_an_array_is_refused_and_says_what_it_holds(small_board):
    with VirtualBoard(small_board) as virtual:
        hwh_path(virtual).write_text(hwh_text(small_board, vlnv="xilinx.com:hls:filter:1.0"))
        text = refused(virtual, "describes 0 EIE arrays")
        assert "eie_top_0 (xilinx.com:hls:filter:1.0)" in text


def test_an_array_packaged_as_an_ip_is_found_too(small_board):
    with VirtualBoard(small_board) as virtual:
        hwh_path(virtual).write_text(hwh_text(small_board, vlnv="eie:eie:eie_top:1.0"))
        with eie.Accelerator(virtual.bitfile) as acc:
            assert acc.config == CONFIG


def test_a_missing_or_damaged_hwh_is_named(small_board):
    with VirtualBoard(small_board) as virtual:
        whole = hwh_path(virtual).read_text()
        hwh_path(virtual).write_text(whole[: len(whole) // 2])
        refused(virtual, r"eie-\S+\.hwh is damaged \(.*\); copy it again from its build")
        hwh_path(virtual).unlink()
        refused(virtual, r"eie-\S+\.hwh is missing; copy it from the build that made")


def test_a_missing_overlay_is_named(virtual):
    with pytest.raises(DeviceError, match=r"pynq cannot open the overlay nowhere\.bit: .*does not exist"):
        eie.Accelerator("nowhere.bit")


@pytest.mark.parametrize(
    ("lies", "text"),
    [
        (
            {"identity": 0},
            r"at 0x[0-9a-f]{8}, where eie-\S+\.hwh has the array, the identity register reads 0x00000000",
        ),
        (
            {"version": isa.VERSION << 8 | 99},
            f"the array has version 0x{isa.VERSION:02x}63 .*, this driver speaks 0x{SPOKEN:04x}",
        ),
        ({"queue_depth": 3}, "parameter registers hold what no array can have: queue_depth=3"),
        ({"queue_depth": 2}, "build hash 0x[0-9a-f]{8}, this version of the driver expects"),
    ],
)
def test_an_array_that_is_not_the_drivers_is_refused(small_board, lies, text):
    with VirtualBoard(small_board, Lying(CONFIG, **lies)) as virtual:
        refused(virtual, text)


@pytest.mark.parametrize(
    ("parameter", "value"), [("c_include_sg", "1"), ("c_include_s2mm", "0"), ("c_m_axi_mm2s_data_width", "32")]
)
def test_a_dma_that_the_driver_cannot_use_is_refused(virtual, parameter, value):
    text = hwh_path(virtual).read_text()
    changed = re.sub(rf'(NAME="{parameter}" VALUE=)"\d+"', rf'\1"{value}"', text)
    assert changed != text
    hwh_path(virtual).write_text(changed)
    refused(virtual, f"axi_dma_0 has {parameter}={value}; the driver needs .*scripts/build_overlay.py")


def test_a_dma_called_otherwise_is_asked_for_by_name(virtual):
    with pytest.raises(DeviceError, match="the overlay has 0 DMAs called 'other'"):
        eie.PynqDevice(virtual.bitfile, dma="other")
    eie.PynqDevice(virtual.bitfile, dma="axi_dma_0").close()


def test_a_loaded_overlay_need_not_be_loaded_again(virtual):
    eie.PynqDevice(virtual.bitfile).close()
    stamp = virtual._device.timestamp
    device = eie.PynqDevice(virtual.bitfile, download=False)
    assert virtual._device.timestamp == stamp
    assert device.config == CONFIG
    device.close()


def test_a_hwh_with_wrong_addresses_and_right_names_ends_as_on_a_board(small_board):
    with VirtualBoard(small_board) as virtual:
        shutil.copy(hwh_path(virtual), hwh_path(virtual).with_suffix(".old"))
        text = hwh_path(virtual).read_text()
        address = f"0x{small_board.array_address:08X}"
        moved = text.replace(address, "0x50000000").replace(f"0x{small_board.array_address + 0xFFFF:08X}", "0x5000FFFF")
        assert moved != text
        hwh_path(virtual).write_text(moved)
        with pytest.raises(VirtualBoardError, match="reads 0x50000000, where the loaded overlay has nothing"):
            eie.Accelerator(virtual.bitfile)
