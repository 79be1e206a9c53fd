"""The networks of the comparison: shapes of published ones with random weights, where the real ones are not shipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from eie.data.frozen_random import frozen_random
from eie.data.mnist import DATA
from eie.model_file.container import load_chain
from eie.network.cells import CELLS, STATE_BITS
from eie.network.model import Layer, Model
from eie.network.recurrent_model import RecurrentModel
from eie.paper.benchmarks import BENCHMARKS, random_layer

SEED = 1


@dataclass(frozen=True)
class Task:
    """A network to time.

    Parameters
    ----------
    task, network : str
        As in `eie.field.published`; what the network is.
    make : callable -> Model or RecurrentModel
    density : float
        Non-zeros among its inputs.
    quality : str
        What is known of the answers of the real one, if anything.
    """

    task: str
    network: str
    make: Callable[[], Model | RecurrentModel]
    density: float = 1.0
    quality: str = "-"


def chain(name: str, sizes: tuple[int, ...], density: float) -> Model:
    """Return a chain of fully connected layers of these sizes whose weights are random, with ReLU between them."""
    rng, last = frozen_random(SEED), len(sizes) - 2
    layers = [
        _layer(rng, rows, columns, density, relu=index < last, name=f"layer {index}")
        for index, (columns, rows) in enumerate(pairwise(sizes))
    ]
    return Model(layers, name)


def cell(name: str, kind: str, columns: int, hidden: int, density: float) -> RecurrentModel:
    """Return a recurrent layer of this kind (`eie.network.cells.CELLS`) whose weights are random.

    Its gates share their values, as with ``eie.compress(shared_gates=True)``.
    """
    rng, sizes = frozen_random(SEED), {"h": hidden, "x": columns}
    layers = [
        _layer(
            rng,
            hidden,
            sum(sizes.get(operand, hidden) for operand in gate.operands),
            density,
            name=gate.target,
            input_fraction_bits=STATE_BITS,
            output_fraction_bits=gate.fraction_bits,
        )
        for gate in CELLS[kind].gates
    ]
    return RecurrentModel(kind, layers, name=name)


def _layer(rng: np.random.RandomState, rows: int, columns: int, density: float, **fields: Any) -> Layer:
    codes = rng.randint(1, 16, size=(rows, columns)) * (rng.random_sample((rows, columns)) < density)
    codebook = np.r_[0, np.delete(np.arange(-8, 8), 8)] * 100
    return Layer.from_dense_codes(codes.astype(np.uint8), codebook, shift=10, **fields)


def paper_layer(name: str) -> Model:
    """Return one of the paper's layers, as of `eie paper`."""
    b = next(b for b in BENCHMARKS if b.name == name)
    return Model([random_layer(b.name, b.rows, b.columns, b.weight_density, b.activation_density, SEED)[0]], name)


KEYWORDS, ANOMALIES = (490, 256, 256, 256, 12), (64, 72, 72, 8, 72, 72, 64)

TASKS = (
    Task(
        "keywords", "FINN's, dense", lambda: chain("keywords", KEYWORDS, 0.82), 1.0, "82.5 %, FINN's own weights exact"
    ),
    Task(
        "keywords",
        "FINN's, half pruned",
        lambda: chain("keywords, pruned", KEYWORDS, 0.41),
        1.0,
        "83.0 % (training.md)",
    ),
    Task("anomalies", "hls4ml's AD08, dense", lambda: chain("AD08", ANOMALIES, 1.0)),
    Task("anomalies", "MLPerf's, 10 %", lambda: chain("AD", (640, *[128] * 4, 8, *[128] * 4, 640), 0.1)),
    Task(
        "images",
        "LeNet-300-100, 4.5 %",
        lambda: load_chain(DATA / "lenet-300-100.eie"),
        0.19,
        "MNIST 0.98 % error",
    ),
    Task("recurrent", "LSTM 1024 to 1024, 5 %", lambda: cell("LSTM-1024", "lstm", 1024, 1024, 0.05)),
    Task("recurrent", "LSTM 600 to 600, 10 %", lambda: cell("NT-LSTM", "lstm", 600, 600, 0.1)),
    Task("recurrent", "GRU 768 to 768, 10 %", lambda: cell("GRU-768", "gru", 768, 768, 0.1)),
    Task("recurrent", "LSTM 128 to 128, 30 %", lambda: cell("LSTM-128", "lstm", 128, 128, 0.3)),
    *(
        Task("paper", b.name, lambda name=b.name: paper_layer(name), b.activation_density)  # type: ignore[misc]
        for b in BENCHMARKS
        if b.name in ("Alex-7", "NT-We", "NT-LSTM")
    ),
    Task("language", "classifier of stories260K, 4-bit", lambda: chain("classifier", (64, 512), 1.0)),
)
"""What is computed. Of FINN's trained weights, 3 bits each, 0.82 are not 0."""
