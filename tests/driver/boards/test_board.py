"""The board descriptions: complete, consistent, refused by name."""

import pytest

from eie.boards.board import board, board_names, design_build_hash
from eie.boards.memory_port import memory_port
from eie.contract.registers import build_hash
from eie.errors import ConfigError


def test_the_boards_are_there():
    assert board_names() == (
        "aup-zu3",
        "kr260",
        "kv260",
        "pynq-z1",
        "pynq-z2",
        "pynq-zu",
        "rfsoc4x2",
        "ultra96v2",
        "zcu104",
    )


@pytest.mark.parametrize("name", board_names())
def test_a_board_has_room_for_its_registers_and_an_array_that_can_be_built(name):
    described = board(name)
    assert described.config.num_pes in (64, 128)
    assert abs(described.dma_address - described.array_address) >= 0x10000
    assert described.config.stream_bits == memory_port(described).bits, "nothing of the port lies idle"
    assert described.memory_bytes >= 512 << 20


def test_an_unknown_board_is_refused_with_the_names_there_are():
    with pytest.raises(ConfigError, match=r"no board 'pynq'; the boards are aup-zu3, kr260, kv260, pynq-z1"):
        board("pynq")


@pytest.mark.parametrize("name", board_names())
def test_the_name_of_the_block_design_tells_the_build_hash_of_the_array(name):
    described = board(name)
    assert design_build_hash(described.design_name) == build_hash(described.config)
    assert described.overlay_name == f"eie-{name}"


@pytest.mark.parametrize("name", ["", "eie_", "base", "eie_12345", "eie_1234567G", "eie_123456789", "bbc1f318"])
def test_a_design_of_another_name_tells_no_build_hash(name):
    assert design_build_hash(name) is None


@pytest.mark.parametrize("name", board_names())
def test_a_board_says_where_its_facts_are_from_and_can_be_compared(name):
    assert board(name).sources
    assert len({board(name), board(name)}) == 1
