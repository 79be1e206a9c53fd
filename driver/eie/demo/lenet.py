"""The demo: LeNet-300-100, compressed, packed, run on the MNIST test images and compared with the reference."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie import plots
from eie.atomic import make_folder
from eie.compression.compress import compress
from eie.compression.forward import forward_pruned
from eie.contract.config import ArrayConfig
from eie.data import mnist
from eie.data.mnist import NETWORK, TRAINED
from eie.demo import figures
from eie.devices.choice import device_by_name
from eie.errors import NetworkError, VerificationError
from eie.model_file.container import describe, save
from eie.network.model import Dense, Model
from eie.network.readers import read_network
from eie.runtime.accelerator import Accelerator
from eie.runtime.counters import Counters

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Demo:
    """What to run.

    Parameters
    ----------
    folder : path
        Where the model file and the figures go.
    config : ArrayConfig
    device : str
        See `eie.devices.choice.device_by_name`.
    images : int
        Test images, from the first; 1 to 10,000.
    verified : int
        How many of them, from the first, are compared with the integer reference, output by output.
    figures : bool
    network : path
    """

    folder: Path
    config: ArrayConfig = field(default_factory=ArrayConfig)
    device: str = "emulated"
    images: int = mnist.TEST_COUNT
    verified: int = 1000
    figures: bool = True
    network: Path = field(default_factory=lambda: NETWORK)

    def __post_init__(self) -> None:
        if not 1 <= self.images <= mnist.TEST_COUNT:
            raise NetworkError(f"images is {self.images}; the test set has 1 to {mnist.TEST_COUNT}")
        if self.verified < 0:
            raise NetworkError(f"verified is {self.verified}; it must be 0 or more")


def run_demo(demo: Demo, progress: Progress | None = None) -> dict[str, Any]:
    """Run the demo and return its figures, ready for JSON but for the arrays of the counters.

    Raises
    ------
    VerificationError
        If an output differs from the integer reference.
    MissingExtraError
        If figures are asked for without matplotlib.
    """
    tell = progress or (lambda text: None)
    if demo.figures:
        plots.require_plots()
    folder = make_folder(demo.folder)

    tell("compressing the network")
    network = read_network(demo.network)
    model = compress(network, None, mnist.calibration_digits().inputs(), config=demo.config, name=demo.network.stem)
    path = folder / f"{model.name}.eie"
    save(model, path)

    tell("reading the test images")
    test = mnist.test_digits()
    digits = mnist.Digits(test.images[: demo.images], test.labels[: demo.images])
    inputs = digits.inputs()
    verified = min(demo.verified, demo.images)

    with Accelerator(device_by_name(demo.device, demo.config)) as accelerator:
        tell(f"packing for {demo.config.num_pes} PEs")
        started = time.perf_counter()
        accelerator.load(model)
        accelerator.run(inputs[:2])  # the first call compiles the emulation's loop, once on a machine
        load_seconds = time.perf_counter() - started
        accelerator.clear_counters()
        tell(f"running {len(inputs):,} images")
        started = time.perf_counter()
        outputs = accelerator.run(inputs)
        run_seconds = time.perf_counter() - started
        counters = accelerator.counters
        if verified:
            tell("comparing with the integer reference")
            if not np.array_equal(accelerator.run(inputs[:verified], verify=True), outputs[:verified]):
                raise VerificationError("the device gives other outputs when the same images are run again")
    result = {
        "model": model.name,
        "device": demo.device,
        "array": accelerator.config.to_dict(),
        "images": len(inputs),
        "verified_images": verified,
        "error_percent": {
            "dense_float32_all_images": _recorded_error(),
            "pruned_float32": _percent_wrong(_forward(network, inputs), digits),
            "compressed": _percent_wrong(outputs, digits),
        },
        "bytes": _sizes(path),
        "load_seconds": load_seconds,
        "run_seconds": run_seconds,
        "images_per_second": len(inputs) / run_seconds,
        "counters": asdict(counters),
        "compression": model.metadata["compression"],
        "files": [path],
    }
    if demo.figures:
        tell("drawing the figures")
        result["files"] += _draw(demo, model, network, counters)
    return result


def _recorded_error() -> float | None:
    """Return the dense network's error on all test images, in percent, as training recorded it."""
    if not TRAINED.exists():
        return None
    return describe(TRAINED)["metadata"].get("training", {}).get("test_error", {}).get("dense")


def _forward(network: Sequence[Dense], x: NDArray[np.float32]) -> NDArray[np.float32]:
    for layer in network:
        x = forward_pruned(x, layer.weight, layer.weight != 0, layer.bias, layer.activation == "relu")
    return x


def _percent_wrong(outputs: NDArray[np.float32], digits: mnist.Digits) -> float:
    return 100 * float(np.mean(outputs.argmax(axis=1) != digits.labels))


def _sizes(path: Path) -> dict[str, int]:
    description = describe(path)
    return {
        "float32": description["float32_bytes"],
        "plain": description["plain_bytes"],
        "huffman": description["bytes"],
    }


def _draw(demo: Demo, model: Model, network: Sequence[Dense], counters: Counters) -> list[Path]:
    title = f"{model.name}: mean work of each PE for one of {demo.images:,} test images"
    drawn = {
        "sparsity": figures.sparsity_figure(model, demo.config),
        "codebook": figures.codebook_figure(model, network),
        "work": figures.work_figure(counters.work, counters.padding, demo.images, title),
    }
    return [path for name, figure in drawn.items() for path in plots.save_figure(figure, demo.folder / name)]
