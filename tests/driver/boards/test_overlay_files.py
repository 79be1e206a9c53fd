"""What .bit and .hwh say of their build."""

import dataclasses

import pytest

import eie
from eie.boards.board import DMA_CELL, board, board_names, design_build_hash
from eie.boards.overlay_files import bit_bytes, bit_design, hwh_design, hwh_memory
from eie.contract.registers import build_hash
from eie.devices.virtual.hwh import hwh_text
from eie.devices.virtual.overlay import write_overlay
from eie.errors import DeviceError


@pytest.mark.parametrize("name", board_names())
def test_both_files_of_a_build_name_it(tmp_path, name):
    bit = tmp_path / "x.bit"
    write_overlay(board(name), bit)
    built, described = bit_design(bit), hwh_design(bit.with_suffix(".hwh"))
    assert built.matches(described) and described.matches(built)
    assert design_build_hash(built.name) == design_build_hash(described.name) == build_hash(board(name).config)


def test_files_of_different_builds_or_chips_do_not_match(tmp_path):
    z2, zcu104 = board("pynq-z2"), dataclasses.replace(board("zcu104"), config=board("pynq-z2").config)
    other = dataclasses.replace(z2, config=eie.ArrayConfig(num_pes=4))
    for i, hwh in enumerate((other, zcu104)):
        bit = tmp_path / f"{i}.bit"
        write_overlay(z2, bit, hwh)
        assert not bit_design(bit).matches(hwh_design(bit.with_suffix(".hwh")))


def test_parts_are_compared_however_vivado_writes_them(tmp_path):
    (tmp_path / "a.bit").write_bytes(bit_bytes("d", "7z020clg400", "2022.1", b"data"))
    (tmp_path / "a.hwh").write_text(
        '<EDKSYSTEM><SYSTEMINFO ARCH="zynq" BOARD="tul:pynq-z2" DEVICE="7z020" NAME="d" PACKAGE="clg400"/></EDKSYSTEM>'
    )
    assert bit_design(tmp_path / "a.bit").matches(hwh_design(tmp_path / "a.hwh"))
    assert str(hwh_design(tmp_path / "a.hwh")) == "'d' for 7z020clg400"


@pytest.mark.parametrize("head", [b"", b"\0", b"raw configuration data", bit_bytes("d", "p", "v", b"")[:14]])
def test_a_bit_without_a_header_says_nothing(tmp_path, head):
    (tmp_path / "a.bit").write_bytes(head)
    assert bit_design(tmp_path / "a.bit") is None


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, "is missing"), ("<EDKSYSTEM>", "is damaged"), ("<EDKSYSTEM/>", "describes no block design")],
)
def test_a_hwh_that_is_missing_or_damaged_is_refused_by_name(tmp_path, content, text):
    path = tmp_path / "eie.hwh"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DeviceError, match=f"eie.hwh {text}"):
        hwh_design(path)


def _hwh_with_memory(path, ranges, name="/axi_dma_0"):
    found = "".join(
        f'<MEMRANGE MASTERBUSINTERFACE="{master}" MEMTYPE="{kind}" BASEVALUE="{base}" HIGHVALUE="{high}"/>'
        for master, kind, base, high in ranges
    )
    module = f'<MODULE FULLNAME="{name}"><MEMORYMAP>{found}</MEMORYMAP></MODULE>'
    path.write_text(f'<EDKSYSTEM><SYSTEMINFO NAME="d"/><MODULES>{module}</MODULES></EDKSYSTEM>')
    return path


@pytest.mark.parametrize("name", board_names())
def test_the_memory_that_a_boards_dma_reaches_is_read_from_its_hwh(tmp_path, name):
    described = board(name)
    path = tmp_path / "x.hwh"
    path.write_text(hwh_text(described))
    assert hwh_memory(path, DMA_CELL) == (range(described.memory_base, described.memory_base + described.memory_bytes),)


def test_only_memory_that_both_directions_of_the_dma_reach_counts(tmp_path):
    low, high, registers = ("0x0", "0x7FFFFFFF"), ("0x800000000", "0x87FFFFFFF"), ("0x40400000", "0x4040FFFF")
    ranges = [("M_AXI_MM2S", "MEMORY", *low), ("M_AXI_MM2S", "MEMORY", *high), ("M_AXI_S2MM", "MEMORY", *low)]
    ranges += [("M_AXI_MM2S", "REGISTER", *registers), ("M_AXI_S2MM", "REGISTER", *registers)]
    path = _hwh_with_memory(tmp_path / "x.hwh", ranges, "/part/axi_dma_0")
    assert hwh_memory(path, "part/axi_dma_0") == (range(0, 0x8000_0000),)
    both = _hwh_with_memory(tmp_path / "y.hwh", [*ranges, ("M_AXI_S2MM", "MEMORY", *high)])
    assert hwh_memory(both, "axi_dma_0") == (range(0, 0x8000_0000), range(0x8_0000_0000, 0x8_8000_0000))


def test_a_hwh_that_states_no_memory_says_nothing(tmp_path):
    assert hwh_memory(_hwh_with_memory(tmp_path / "x.hwh", []), "axi_dma_0") == ()
    assert hwh_memory(_hwh_with_memory(tmp_path / "x.hwh", []), "other") == ()
