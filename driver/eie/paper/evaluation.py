"""The measurements behind the paper's tables and figures: every benchmark on every machine, by the cycle model.

All results but the times of the model itself are the same for the same seed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import ArrayConfig
from eie.contract.fixed_point import quantise
from eie.cycle_model.layers import cycles
from eie.data import mnist
from eie.errors import ConfigError
from eie.network.model import Layer, Model
from eie.paper import machines, precision
from eie.paper.benchmarks import AUTHORS_ALEX_8, BENCHMARKS, CLOCK_MHZ, PES, Benchmark
from eie.paper.layer_work import LayerWork
from eie.paper.real_layers import compare_with_random, padding_share
from eie.program.packing import pack

Progress = Callable[[str, int, int], None]

_FEW_PES = (4, 16)
"""On which the small layers of LeNet have about as many rows a PE as the paper's on 64."""


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Parameters
    ----------
    seed : int
        Of the random layers.
    benchmarks : sequence of str
        Names of those to measure.
    queue_depths, pes, word_bits : sequence of int
        Of Figures 8, 11 to 13, and 9.
    precisions : sequence of int
        Bits of the integers of Figure 10.
    images : int
        MNIST test images for Figure 10.
    vectors : int
        Images of the comparison with a trained network.
    processes : int
    network : tuple of Model and ndarray, shape (B, C), int16; optional
        A network of one's own and inputs, to be compared with random layers like it.
    """

    seed: int = 1
    benchmarks: Sequence[str] = tuple(b.name for b in BENCHMARKS)
    queue_depths: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    pes: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    word_bits: Sequence[int] = (32, 64, 128, 256, 512)
    precisions: Sequence[int] = (32, 16, 12, 10, 8, 7, 6, 5, 4)
    images: int = mnist.TEST_COUNT
    vectors: int = 50
    processes: int = 2
    network: tuple[Model, NDArray[np.int16]] | None = None

    def __post_init__(self) -> None:
        known = [b.name for b in BENCHMARKS]
        unknown = sorted(set(self.benchmarks) - set(known))
        if unknown or not self.benchmarks:
            raise ConfigError(f"benchmarks {unknown or 'are none'}; the paper has {', '.join(known)}")
        for name, limit in (("images", mnist.TEST_COUNT), ("vectors", mnist.TEST_COUNT), ("processes", 256)):
            if not 1 <= getattr(self, name) <= limit:
                raise ConfigError(f"{name}={getattr(self, name)} must lie in 1..{limit}")
        for name, low in (("queue_depths", 8), ("pes", 64), ("word_bits", 64), ("precisions", 16)):
            if low not in getattr(self, name):
                raise ConfigError(f"{name} {list(getattr(self, name))} lacks {low}, which the paper's machine has")

    def chosen(self) -> list[Benchmark]:
        """Return the benchmarks to measure, in the paper's order."""
        return [b for b in BENCHMARKS if b.name in self.benchmarks]


QUICK = Plan(
    benchmarks=("NT-We", "NT-LSTM"),
    queue_depths=(1, 8, 32),
    pes=(1, 16, 64),
    precisions=(16, 8),
    images=500,
    vectors=4,
    processes=1,
)
"""A plan for tests: seconds instead of minutes."""


@dataclass
class _Task:
    title: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = field(default=())


def evaluate(plan: Plan | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Measure what the paper's tables and figures show.

    Parameters
    ----------
    plan : Plan, optional
    progress : callable (what was done, parts done, parts in all), optional

    Returns
    -------
    dict
        Ready for JSON. "times" alone differs from run to run.
    """
    plan = plan or Plan()
    # Longest first, so that no process is left with a long one at the end.
    chosen = sorted(plan.chosen(), key=lambda b: -b.rows * b.columns * b.weight_density)
    tasks = [
        _Task("precision", measure_precision, (plan,)),
        *(_Task(b.name, measure_benchmark, (b, plan)) for b in chosen),
        _Task("trained network", measure_trained, (plan,)),
        _Task("the authors' Alex-8", measure_authors, (plan,)),
    ]
    if plan.network:
        tasks.insert(0, _Task("own network", _compare, (*plan.network, (PES,), plan.seed)))
    started = time.perf_counter()
    results = _run_all(tasks, plan.processes, progress or (lambda text, done, total: None))
    measured = {b.name: results[b.name] for b in plan.chosen()}
    times = {name: result.pop("times") for name, result in measured.items()}
    own = {"own_network": results["own network"]} if plan.network else {}
    return {
        "seed": plan.seed,
        "clock_mhz": CLOCK_MHZ,
        "machines": {
            "paper": machines.paper_machine().to_dict(),
            "best": machines.best_machine().to_dict(),
            "board": machines.board_machine().to_dict(),
        },
        "steps": [name for name, _ in machines.ablation_steps()],
        "queue_depths": list(plan.queue_depths),
        "pes": list(plan.pes),
        "word_bits": list(plan.word_bits),
        "benchmarks": measured,
        "precision": results["precision"],
        "trained_network": results["trained network"],
        "authors_alex_8": results["the authors' Alex-8"],
        **own,
        "times": {"model": times, "total_seconds": time.perf_counter() - started},
    }


def _run_all(tasks: list[_Task], processes: int, progress: Progress) -> dict[str, Any]:
    results: dict[str, Any] = {}
    if processes == 1:
        for task in tasks:
            results[task.title] = task.function(*task.arguments)
            progress(task.title, len(results), len(tasks))
        return results
    with ProcessPoolExecutor(processes) as pool:
        futures = {pool.submit(task.function, *task.arguments): task.title for task in tasks}
        try:
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                progress(futures[future], len(results), len(tasks))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results


def measure_benchmark(benchmark: Benchmark, plan: Plan) -> dict[str, Any]:
    """Return all that is measured of a benchmark."""
    layer, activations = benchmark.random_layer(plan.seed)
    steps = [_measure(layer, activations, config) for _, config in machines.ablation_steps()]
    paper = LayerWork(layer, activations, machines.paper_machine())
    best = LayerWork(layer, activations, machines.best_machine())
    return {
        "products": paper.products,
        "steps": steps,
        "board": _measure(layer, activations, machines.board_machine()),
        "one_tile_cycles": {"paper": paper.cycles(), "best": best.cycles()},
        "queue": {
            "paper": [paper.load_balance(depth) for depth in plan.queue_depths],
            "slots": [paper.slot_load_balance(depth) for depth in plan.queue_depths],
            "best": [best.load_balance(depth) for depth in plan.queue_depths],
        },
        "word_reads": [paper.word_reads(bits // 8) for bits in plan.word_bits],
        "pes": [_measure_pes(layer, activations, pes) for pes in plan.pes],
        "times": {**_measure_times(layer, activations), "timing_seconds": _fastest(paper.cycles)},
    }


def measure_authors(plan: Plan) -> dict[str, Any]:
    """Return what a random layer costs on the paper's machine at the densities that the authors' own Alex-8 has."""
    return _measure(*AUTHORS_ALEX_8.random_layer(plan.seed), machines.paper_machine())


def _measure(layer: Layer, activations: NDArray[np.int16], config: ArrayConfig) -> dict[str, Any]:
    """Return what a layer costs by `eie.cycles`."""
    (cost,) = cycles(layer, activations, config)
    return {
        "cycles": cost.cycles,
        "entries": int(cost.work.sum() + cost.padding.sum()),
        "padding": padding_share(cost),
        "load_balance": cost.load_balance,
        "utilisation": cost.utilisation,
    }


def _measure_times(layer: Layer, activations: NDArray[np.int16]) -> dict[str, float]:
    """Return the processor time of packing a layer for the paper's machine, and of `eie.cycles` for the packed one."""
    started = time.process_time()
    packed = pack(Model([layer]), machines.paper_machine())
    return {
        "pack_seconds": time.process_time() - started,
        "cycles_seconds": _fastest(lambda: cycles(packed, activations)),
    }


def _measure_pes(layer: Layer, activations: NDArray[np.int16], pes: int) -> dict[str, Any]:
    """Return what a layer costs on the paper's machine with another number of PEs, and room for the layer."""
    workload = LayerWork(layer, activations, replace(machines.paper_machine(), num_pes=pes))
    spent = workload.cycles()
    return {
        "cycles": spent,
        "real_work": workload.products / workload.entries,
        "load_balance": workload.entries / (pes * spent),
    }


def _fastest(function: Callable[[], Any], runs: int = 3) -> float:
    times = []
    for _ in range(runs):
        started = time.process_time()
        function()
        times.append(time.process_time() - started)
    return min(times)


def measure_precision(plan: Plan) -> dict[str, Any]:
    """Return the accuracy of LeNet-300-100 in fixed point of every width."""
    from eie.data.mnist import NETWORK
    from eie.network.readers import read_network

    network = read_network(NETWORK)
    test, inputs = mnist.test_digits(), mnist.calibration_digits().inputs()
    digits = mnist.Digits(test.images[: plan.images], test.labels[: plan.images])
    result: dict[str, Any] = {
        "images": len(digits.images),
        "bits": list(plan.precisions),
        "float32": precision.float_accuracy(network, digits),
    }
    for name, formats in (("per_tensor", precision.per_tensor_formats), ("single", precision.single_format)):
        result[name] = [
            precision.fixed_accuracy(network, digits, bits, formats(network, inputs, bits)) for bits in plan.precisions
        ]
    return result


def measure_trained(plan: Plan) -> dict[str, Any]:
    """Return what the layers of LeNet-300-100 cost beside random ones."""
    from eie.data.mnist import TRAINED
    from eie.model_file.container import load_chain

    model = load_chain(TRAINED)
    images = mnist.test_digits().inputs()[: plan.vectors]
    return _compare(model, quantise(images, model.input_fraction_bits), _FEW_PES, plan.seed)


def _compare(model: Model, a: NDArray[np.int16], pes: Sequence[int], seed: int) -> dict[str, Any]:
    arrays = [replace(machines.paper_machine(), num_pes=n) for n in pes]
    layers = [row for config in arrays for row in compare_with_random(model, a, config, seed)]
    return {"name": model.name, "vectors": len(a), "layers": layers}
