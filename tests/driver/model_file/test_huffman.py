"""Symbol arrays at rest: exact, bounded, and as short as the Huffman code of an independent library."""

import contextlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eie.errors import ModelFileError
from eie.model_file.huffman import decode, deflate, encode, inflate

SYMBOLS = st.integers(0, 255).flatmap(lambda top: st.lists(st.integers(0, top), max_size=300))


def as_symbols(values) -> np.ndarray:
    return np.array(values, np.uint8)


@settings(max_examples=80, deadline=None)
@given(values=SYMBOLS, huffman=st.booleans())
def test_decoding_returns_what_was_encoded(values, huffman):
    data = encode(as_symbols(values), huffman)
    assert decode(data, len(values)).tolist() == values


@pytest.mark.parametrize("huffman", [False, True])
@pytest.mark.parametrize("values", [[], [0], [255], [7] * 1000, [0] * 100_000], ids=len)
def test_degenerate_alphabets_are_exact(values, huffman):
    assert decode(encode(as_symbols(values), huffman), len(values)).tolist() == values


def test_no_symbol_takes_no_byte():
    assert encode(as_symbols([])) == b""


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [1000, 15_000])
def test_code_is_as_short_as_the_librarys_optimal_one(count, seed):
    dahuffman = pytest.importorskip("dahuffman")
    symbols = as_symbols(np.minimum(np.random.default_rng(seed).geometric(0.2, count) - 1, 255))
    frequencies = Counter(symbols.tolist())
    # An end mark taken from the alphabet itself, so that the library adds none.
    table = dahuffman.HuffmanCodec.from_frequencies(frequencies, eof=int(symbols[0])).get_code_table()
    optimum = sum(frequencies[symbol] * bits for symbol, (bits, _) in table.items())
    data = encode(symbols)
    assert data[0] == 0, "the fixed width was smaller"
    table_bits = 8 * (8 + len(frequencies))
    assert optimum <= 8 * len(data) <= optimum * 1.002 + table_bits


def test_huffman_is_chosen_only_where_it_is_smaller():
    rng = np.random.default_rng(0)
    noise, skewed = as_symbols(rng.integers(0, 256, 500)), as_symbols(rng.geometric(0.5, 500) - 1)
    assert encode(noise) == encode(noise, huffman=False)
    assert len(encode(skewed)) < 0.7 * len(encode(skewed, huffman=False))


@settings(max_examples=60, deadline=None)
@given(values=SYMBOLS, count=st.integers(0, 3000), huffman=st.booleans())
def test_a_wrong_count_is_refused(values, count, huffman):
    data = encode(as_symbols(values), huffman)
    if count != len(values):
        # Fixed widths cannot tell counts apart that fill the same bytes; the model file's checksum does.
        try:
            symbols = decode(data, count)
        except ModelFileError:
            return
        assert data[0] != 0 and len(symbols) == count and abs(count - len(values)) < 8


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=60), count=st.integers(0, 10**12))
def test_arbitrary_bytes_decode_to_the_count_or_are_refused(data, count):
    with contextlib.suppress(ModelFileError):
        assert len(decode(data, count)) == count


def test_inflate_stops_at_its_limit():
    bomb = deflate(bytes(10_000_000))
    assert len(bomb) < 20_000
    assert inflate(bomb, 10_000_000) == bytes(10_000_000)
    with pytest.raises(ModelFileError, match="at most 1000 bytes"):
        inflate(bomb, 1000)
