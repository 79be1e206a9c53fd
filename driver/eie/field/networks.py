"""The networks of the comparison: shapes of published ones with random weights, where the real ones are not shipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from eie.data.frozen_random import frozen_random
from eie.data.mnist import DATA
from eie.model_file.container import load_chain
from eie.network.model import Layer, Model
from eie.paper.benchmarks import BENCHMARKS, random_layer

SEED = 1


@dataclass(frozen=True)
class Task:
    """A network to time.

    Parameters
    ----------
    task, network : str
        As in `eie.field.published`; what the network is.
    make : callable -> Model
    density : float
        Non-zeros among its inputs.
    quality : str
        What is known of the answers of the real one, if anything.
    """

    task: str
    network: str
    make: Callable[[], Model]
    density: float = 1.0
    quality: str = "-"


def chain(name: str, sizes: tuple[int, ...], density: float) -> Model:
    """Return a chain of fully connected layers of these sizes whose weights are random, with ReLU between them."""
    rng, layers = frozen_random(SEED), []
    for index, (columns, rows) in enumerate(pairwise(sizes)):
        codes = rng.randint(1, 16, size=(rows, columns)) * (rng.random_sample((rows, columns)) < density)
        codebook = np.r_[0, np.delete(np.arange(-8, 8), 8)] * 100
        layers.append(
            Layer.from_dense_codes(
                codes.astype(np.uint8), codebook, shift=10, relu=index < len(sizes) - 2, name=f"layer {index}"
            )
        )
    return Model(layers, name)


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
    Task("recurrent", "gates of LSTM-1024, 5 %", lambda: chain("LSTM-1024", (2048, 4096), 0.05)),
    Task("recurrent", "gates of GRU-768, 10 %", lambda: chain("GRU-768", (1536, 2304), 0.1)),
    *(
        Task("paper", b.name, lambda name=b.name: paper_layer(name), b.activation_density)  # type: ignore[misc]
        for b in BENCHMARKS
        if b.name in ("Alex-7", "NT-We", "NT-LSTM")
    ),
    Task("language", "classifier of stories260K, 4-bit", lambda: chain("classifier", (64, 512), 1.0)),
)
"""What is computed. Of FINN's trained weights, 3 bits each, 0.82 are not 0."""
