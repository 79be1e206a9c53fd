"""Chains of small layers on a board's array: cycles an inference in a batch and alone, beside the bound.

    python scripts/bench_bounds.py [--board pynq-z2]

The bound is the sum over the layers of what no schedule avoids: the activations broadcast, or the entries of the
busiest PE, whichever are more. Cycles are those of `eie.estimate`, which are the hardware's. The autoencoder is MLPerf
Tiny's with its own weights and spectrogram (../shared/data/anomaly_detection), pruned to a tenth.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

from bench_networks import AD, ad

import eie
import eie.errors
from eie.boards.board import board_names
from eie.data.mnist import DATA, test_digits

BATCH = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", choices=board_names(), default="pynq-z2")
    board = parser.parse_args().board
    print("| network | in a batch | alone | bound | of it in a batch |\n|---|---|---|---|---|")
    for name, (model, inputs) in networks().items():
        found = eie.estimate(model, board, inputs)
        bound = sum(max(layer.broadcast, layer.arithmetic) for layer in found.layers)
        share = 100 * bound / found.cycles
        print(f"| {name} | {found.cycles:,.0f} | {found.latency_cycles:,} | {bound:,.0f} | {share:.0f} % |")
    if not AD.exists():
        print(f"\nWithout the autoencoder: there is no {AD.name}.")


def networks() -> dict[str, tuple[eie.Model, Any]]:
    """Return models and their inputs by the names of the table."""
    lenet, digits = eie.load(DATA / "lenet-300-100.eie"), test_digits().inputs()[:BATCH]
    found = {"LeNet-300-100": (lenet, digits)}
    if AD.exists():
        found["MLPerf autoencoder, density 0.1"] = ad(0.1, BATCH)
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore", eie.errors.AccuracyWarning)
    main()
