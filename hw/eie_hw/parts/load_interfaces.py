"""Bundles of signals inside the array: loads, from the strobes of all memories to those of one.

All signals are registered by their driver unless the docstring says otherwise.
"""

from __future__ import annotations

from eie.contract.config import ACTIVATIONS_PER_WORD, WORD_BITS, ArrayConfig
from eie_hw.parts.array_interfaces import pair_address_bits
from eie_hw.parts.interfaces import bit, vector


def entry_address_bits(config: ArrayConfig) -> int:
    """Return the bits of (bank, sparse-matrix word)."""
    return max(1, config.banks - 1 + (config.entry_words - 1).bit_length())


class ClusterLoads:
    """Loads, decoded, for one cluster, or for all: then strobes have one bit for each unit that they serve.

    =============== ==========================================================
    pointer_write   a bit for each pair of PEs: store the pair's share of `pointer_data`
    pointer_address bank and pair
    entry_write     a bit for each PE: store `data`
    entry_address   bank and word
    bias_write      a bit for each cluster, one cycle before the data; combinational
    bias_pair, bias_row  pair of PEs in the cluster, local row; with `bias_write`
    pointer_data    of two pairs of PEs: even and odd pointer of each PE
    data            one beat, or as many as the stream has words
    word            of a cluster: its word of them, two biases
    =============== ==========================================================
    """

    def __init__(self, config: ArrayConfig, clusters: int | None = None) -> None:
        self.pointer_write = vector(2 * (clusters or 1))
        self.pointer_address = vector(pair_address_bits(config))
        self.entry_write = vector(ACTIVATIONS_PER_WORD * (clusters or 1))
        self.entry_address = vector(entry_address_bits(config))
        self.bias_write = vector(clusters) if clusters else bit()
        self.bias_pair = bit()
        self.bias_row = vector(config.row_bits)
        self.pointer_data = vector(8 * config.pointer_bits)
        self.data = vector(8 * config.beat_bytes * config.flit_words)
        self.word = vector(WORD_BITS)


class ElementLoads:
    """Loads of one PE: a pointer pair (odd word, even word) and a sparse-matrix word, with their addresses."""

    def __init__(self, config: ArrayConfig) -> None:
        self.pointer_write = bit()
        self.pointer_address = vector(pair_address_bits(config))
        self.pointer_data = vector(2 * config.pointer_bits)
        self.entry_write = bit()
        self.entry_address = vector(entry_address_bits(config))
        self.entry_data = vector(config.word_bits)


class BiasLoad:
    """Biases to store in an output unit: those of PEs 2 i (low) and 2 i + 1 of the cluster, i = `pair`, for `row`.
    `data` come one cycle after the others.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.write = bit()
        self.pair = bit()
        self.row = vector(config.row_bits)
        self.data = vector(WORD_BITS)


class ScaleLoad:
    """Row scales to store, for all memories a bit of `write` each: those of PE `element` of their clusters, for `row`.
    `data` come one cycle after the others; a scale for each cluster, from the low bits up, for each memory its word.
    """

    def __init__(self, config: ArrayConfig, memories: int | None = None) -> None:
        self.write = vector(memories) if memories else bit()
        self.element = vector((ACTIVATIONS_PER_WORD - 1).bit_length())
        self.row = vector(config.row_bits)
        self.data = vector(WORD_BITS)
