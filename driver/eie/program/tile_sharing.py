"""Streamed weights shared by a batch: how many inferences compute with a tile before the next one is loaded.

Each has a part of the accumulators, so rows are cut into more tiles, each of which brings pointers of all columns and
is given all activations. Where loading takes longer than computing, which it does on arrays of many PEs, this pays.
"""

from __future__ import annotations

from eie.contract.config import ACTIVATIONS_PER_WORD, WORD_BYTES, ArrayConfig
from eie.network.model import Layer, Model
from eie.program.patches import TYPICAL_ACTIVATIONS

SHARES = (2, 4)
"""Parts that the instruction set cuts the accumulators into."""


def choose_shared(model: Model, config: ArrayConfig, batch: int) -> int:
    """Return how many inferences of a batch are to share each tile of streamed weights to run fastest."""
    expected = expected_cycles(model, config, batch)
    return min(expected, key=expected.__getitem__)


def expected_cycles(model: Model, config: ArrayConfig, batch: int) -> dict[int, float]:
    """Return the estimate: cycles an inference, for each number of inferences of a batch that may share."""
    possible = [1, *(shared for shared in SHARES if shared <= batch and _has_room(config, shared))]
    return {shared: sum(_cycles(layer, config, shared) for layer in model.layers) for shared in possible}


def _has_room(config: ArrayConfig, shared: int) -> bool:
    """Tell whether the array holds a row tile's outputs of so many inferences, and a chunk of an input besides."""
    return config.rows // config.rows_per_group >= shared and config.activation_groups // 2 >= shared


def _cycles(layer: Layer, config: ArrayConfig, shared: int) -> float:
    """Estimate an inference's cycles in a layer: of loading, or of computing, whichever takes longer."""
    pes, beat = config.num_pes, config.beat_bytes / WORD_BYTES
    row_tiles = max(1.0, layer.rows * shared / (config.rows * pes))
    # Pointers travel as lengths where inferences share.
    words = config.pe_pairs * beat if shared == 1 else config.length_words
    pointers = row_tiles * layer.columns / 2 * words
    entries = layer.nonzeros / config.entries_per_word * beat
    activations = row_tiles * layer.columns / ACTIVATIONS_PER_WORD
    computing = TYPICAL_ACTIVATIONS * max(row_tiles * layer.columns, layer.nonzeros / pes)
    return max(((pointers + entries) / shared + activations) / config.flit_words, computing)
