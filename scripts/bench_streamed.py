"""A layer whose weights are streamed: cycles an inference by the size of the batch, which shares them.

    python scripts/bench_streamed.py [--benchmark Alex-6] [--board pynq-z2] [--stream-bits 64]

Cycles are those of `eie.estimate`, which are the hardware's; the DMA gets what the board's memory brings. The layer is
one of the paper's, at its densities.
"""

from __future__ import annotations

import argparse

import numpy as np

import eie
from eie.boards.board import board, board_names
from eie.boards.memory_port import supply, with_stream
from eie.paper.benchmarks import BENCHMARKS

BATCHES = (1, 2, 4, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", choices=[benchmark.name for benchmark in BENCHMARKS], default="Alex-6")
    parser.add_argument("--board", choices=board_names(), default="pynq-z2")
    parser.add_argument("--stream-bits", type=int, help="another width of the stream than the board's array has")
    args = parser.parse_args()
    described = board(args.board)
    if args.stream_bits is not None:
        described = with_stream(described, args.stream_bits)
    brought = supply(described)
    print(f"{described.title}: {brought.bytes_per_cycle:g} bytes a cycle, limited by the {brought.limit}")
    [benchmark] = (one for one in BENCHMARKS if one.name == args.benchmark)
    layer, vector = benchmark.random_layer()
    rng = np.random.default_rng(0)
    inputs = np.stack([rng.permutation(vector) for _ in range(max(BATCHES))])
    print("| batch | share a tile | cycles an inference | DMA | busiest PE |\n|---|---|---|---|---|")
    for batch in BATCHES:
        found = eie.estimate(eie.Model([layer], name=benchmark.name), described, inputs[:batch])
        [part] = found.layers
        print(f"| {batch} | {found.shared} | {found.cycles:,.0f} | {part.dma:,.0f} | {part.arithmetic:,.0f} |")


if __name__ == "__main__":
    main()
