"""Words that a streamed layer takes through the DMA for each inference, if several inferences share its tiles.

    python scripts/bench_shared_tiles.py [LAYER ...] [--board pynq-z2]

Inferences that share a tile divide the accumulators among them: each row tile has as many rows fewer, and its columns
bring their pointers again. A word takes a cycle of a 64-bit port; biases and headers are not counted. With counts in
place of pointers, a column has 4 bits a PE: no first row, which tiles of up to 2**index_bits local rows can do without.
"""

from __future__ import annotations

import argparse

from eie.boards.board import board, board_names
from eie.contract.config import ACTIVATIONS_PER_WORD, WORD_BYTES, ArrayConfig
from eie.network.model import Layer
from eie.paper import BENCHMARKS
from eie.program.tiling import tile_layer

SHARED = (1, 2, 4)
COUNT_BITS = 4


def main() -> None:
    layers = {benchmark.name: benchmark for benchmark in BENCHMARKS}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layers", nargs="*", default=["Alex-6"], metavar="LAYER")
    parser.add_argument("--board", choices=board_names(), default="pynq-z2")
    arguments = parser.parse_args()
    unknown = set(arguments.layers) - set(layers)
    if unknown:
        parser.error(f"no layer {', '.join(sorted(unknown))}; there are {', '.join(layers)}")
    config = board(arguments.board).config
    print("| layer | inferences a tile | pointers | entries | activations | words an inference | with counts |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name in arguments.layers:
        layer, _ = layers[name].random_layer()
        for shared in SHARED:
            cells = "".join(f" {words:,.0f} |" for words in words_of(layer, config, shared))
            print(f"| {name} | {shared} |{cells}", flush=True)


def words_of(layer: Layer, config: ArrayConfig, shared: int) -> tuple[float, ...]:
    """Return the words of a layer's pointers and entries, those of an inference's activations, and all an inference's,
    with pointers and with counts."""
    row_tiles = tile_layer(layer, config, config.rows // shared)
    tiles = [tile for row_tile in row_tiles for tile in row_tile.tiles]
    beat = config.beat_bytes / WORD_BYTES  # in the stream, beats follow one another without gaps
    pointers = sum(tile.pairs for tile in tiles) * config.pe_pairs * beat
    entries = sum(int(tile.word_counts.sum()) for tile in tiles) * beat
    columns = sum(tile.groups for tile in tiles) * config.lanes
    values = (columns + layer.rows) / ACTIVATIONS_PER_WORD
    counts = columns * config.num_pes * COUNT_BITS / (8 * WORD_BYTES)
    return pointers, entries, values, (pointers + entries) / shared + values, (counts + entries) / shared + values


if __name__ == "__main__":
    main()
