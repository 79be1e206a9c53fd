"""Chains of small layers on a board's array: cycles an inference in a batch and alone, beside the bound.

    python scripts/bench_bounds.py [--board pynq-z2]

The bound is the sum over the layers of what no schedule avoids: the activations broadcast, or the entries of the
busiest PE, whichever are more. Cycles are those of `eie.estimate`, which are the hardware's. The autoencoder is MLPerf
Tiny's with its own weights and spectrogram (../shared/data/anomaly_detection), pruned to a tenth; AD08 is hls4ml's,
dense, with random weights and inputs; the keyword network is FINN's with its own weights and samples
(../shared/data/kws_w3a3), as it is, and half of its weights pruned with compensation on the first 500 samples; the
others are classified.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from bench_networks import AD, ad
from bench_one_shot import kws_network, run

import eie
import eie.errors
from eie.boards.board import board_names
from eie.data.mnist import DATA, test_digits
from eie.field.networks import ANOMALIES, chain

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.keywords import KEYWORDS, keyword_network

BATCH = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", choices=board_names(), default="pynq-z2")
    board = parser.parse_args().board
    print("| network | in a batch | alone | bound | of it in a batch |\n|---|---|---|---|---|")
    for name, (model, inputs) in networks().items():
        found = eie.estimate(model, board, np.asarray(inputs)[:BATCH])
        bound = sum(max(layer.broadcast, layer.arithmetic) for layer in found.layers)
        share = 100 * bound / found.cycles
        print(f"| {name} | {found.cycles:,.0f} | {found.latency_cycles:,} | {bound:,.0f} | {share:.0f} % |")
    for what in (AD, KEYWORDS):
        if not what.exists():
            print(f"\nNot all: there is no {what.name}.")


def networks() -> dict[str, tuple[eie.Model, Any]]:
    """Return models and their inputs by the names of the table."""
    lenet, digits = eie.load(DATA / "lenet-300-100.eie"), test_digits().inputs()[:BATCH]
    found = {"LeNet-300-100": (lenet, digits)}
    if AD.exists():
        found["MLPerf autoencoder, density 0.1"] = ad(0.1, BATCH)
    found["AD08, dense"] = (
        chain("AD08", ANOMALIES, 1.0), np.random.default_rng(1).standard_normal((BATCH, ANOMALIES[0]))
    )  # fmt: skip
    if KEYWORDS.exists():
        found.update(keywords())
    return found


def keywords() -> dict[str, tuple[eie.Model, Any]]:
    """Return the keyword network with all its weights and with half of them, and samples."""
    samples = np.load(KEYWORDS / "samples.npz")
    exact, _ = keyword_network()
    network, x, labels = kws_network()
    half = eie.compress(network, 0.5, calibration=x[:500])
    right = 100 * np.mean(run(half, x[500:]).argmax(axis=1) == labels[500:])
    return {
        "FINN's keyword network": (exact, samples["inputs"][:BATCH].astype(np.int16)),
        f"half of its weights: {right:.1f} % right": (half, x[500 : 500 + BATCH]),
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore", eie.errors.AccuracyWarning)
    main()
