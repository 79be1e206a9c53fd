"""`eie.ArrayConfig`: derived widths, presets and refusals."""

import dataclasses

import pytest

import eie
from eie.errors import ConfigError


def test_the_paper_machine_has_the_papers_figures():
    paper = eie.ArrayConfig.paper()
    assert (paper.num_pes, paper.queue_depth, paper.index_bits, paper.entries_per_word) == (64, 8, 4, 8)
    assert paper.word_bits == 64
    assert paper.banks * paper.entries == 128 * 1024
    assert paper.banks * paper.pointers == 16 * 1024
    assert paper.start_bits == paper.pointer_bits == 16
    assert paper.activations == 2 * 64 * 64


def test_the_default_array_fills_the_block_rams_of_a_small_board():
    config = eie.ArrayConfig()
    assert config.word_bits == 72
    assert config.banks * config.entry_words == 512
    assert config.pointer_bits <= 18
    assert config.banks * config.pointer_pairs == 1024
    assert config.entries >= 2048


@pytest.mark.parametrize("num_pes", [1, 2, 4, 8, 16, 32, 64, 128, 256])
def test_a_group_holds_whole_local_rows_and_whole_stream_words(num_pes):
    config = eie.ArrayConfig(num_pes=num_pes)
    assert config.lanes == config.rows_per_group * num_pes
    assert config.lanes == 4 * config.words_per_group
    assert config.tile_columns % config.lanes == 0
    assert config.tile_columns + 1 <= config.pointers


def test_with_two_pointers_more_a_tile_has_as_many_columns_as_the_memory_has_words():
    config = eie.ArrayConfig(pointers=2050)
    assert config.last_end_apart and config.tile_columns == 2048
    assert config.pointer_pairs == 1025 and config.pointer_depth == 1024
    without = eie.ArrayConfig(pointers=2048)
    assert not without.last_end_apart and without.tile_columns == 1984
    assert without.pointer_pairs == without.pointer_depth == 1024


def test_a_host_cannot_tell_ultra_ram_from_block_ram():
    one, other = eie.ArrayConfig(), eie.ArrayConfig(ultra_ram=True)
    assert one != other and one.hardware_parameters() == other.hardware_parameters()


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"num_pes": 3}, "num_pes=3 must be a power of two; 2 or 4 would do"),
        ({"num_pes": 512}, "num_pes=512 must lie in 1..256"),
        ({"num_pes": 0}, "num_pes=0 must lie in"),
        ({"num_pes": 8.0}, "num_pes is 8.0, a float; it must be an integer"),
        ({"num_pes": True}, "num_pes is True"),
        ({"queue_depth": 0}, "queue_depth=0"),
        ({"index_bits": 13}, "index_bits=13 must lie in 1..12"),
        ({"entries": 32}, "entries=32 must lie in 64.."),
        ({"entries": 131072}, "entries=131072 must lie in"),
        ({"pointers": 64}, "pointers=64 must lie in 128.."),
        ({"pointers": 66}, "pointers=66 must lie in 128.."),
        ({"pointers": 132}, "pointers=132 must be a power of two"),
        ({"num_pes": 1, "rows": 2}, "rows=2 must lie in 4.."),
        ({"activations": 64}, "activations=64 must lie in 128.."),
        ({"banks": 3}, "banks=3 must lie in 1..2"),
        ({"codebooks": 17}, "codebooks=17"),
        ({"first_row": 1}, "first_row is 1"),
    ],
)
def test_a_bad_parameter_is_refused_by_name_value_and_limit(parameters, text):
    with pytest.raises(ConfigError, match=text.replace(".", r"\.")):
        eie.ArrayConfig(**parameters)


def test_a_config_is_frozen_and_hashable():
    config = eie.ArrayConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.num_pes = 2
    assert len({config, eie.ArrayConfig(), eie.ArrayConfig(num_pes=2)}) == 2


@pytest.mark.parametrize(
    ("pes", "bits", "message"),
    [
        (64, 96, "stream_bits=96 must be one of 64, 128, 256"),
        (16, 128, "stream_bits=128 needs num_pes >= 32, here 16: use a narrower stream"),
        (32, 256, "stream_bits=256 needs num_pes >= 64, here 32: use a narrower stream"),
    ],
)
def test_a_stream_that_no_array_has_is_refused(pes, bits, message):
    with pytest.raises(ConfigError, match=message):
        eie.ArrayConfig(num_pes=pes, stream_bits=bits)
