"""Compression without retraining beside other libraries' pruning, on the same layers and calibration inputs.

    python scripts/bench_peers.py                          LeNet-300-100, and the keyword network where its data are
    python scripts/bench_peers.py lenet --densities .1

Runs llm-compressor, torchao, coremltools and neural-compressor where they are installed, and names those that are not.
Their pruned weights stay in float32, computed in float32; those of `eie.compress` have 4-bit codes, computed in the
array's integers. Every one gets as many weights, in all: alike in every layer, and with the densities by layer that
`eie.compress` finds; the better of both is shown. Networks and figures are those of bench_one_shot.py.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch
from bench_one_shot import DATA, WAYS, forward, kws_network, run, trained_lenet

import eie
from eie.errors import AccuracyWarning

Densities = list[float]
Prune = Callable[[list[torch.nn.Linear], torch.nn.Sequential, torch.Tensor, Densities], None]


def llm_compressor_sparsegpt(linear, module, x, densities) -> None:
    """SparseGPT, each layer on what the pruned layers before it give."""
    from llmcompressor.modifiers.pruning.sparsegpt import sgpt_sparsify as library

    for layer, density in zip(linear, densities, strict=True):
        hessian, _ = library.accumulate_hessian(
            inputs_of(layer, module, x), layer, library.make_empty_hessian(layer), 0
        )
        _, layer.weight.data = library.sparsify_weight(layer, {layer: hessian}, 1 - density, 0, 0, 128, 0.01, False)


def llm_compressor_wanda(linear, module, x, densities) -> None:
    from llmcompressor.modifiers.pruning.wanda import wanda_sparsify as library

    for layer, density in zip(linear, densities, strict=True):
        norms = library.make_empty_row_scalars(layer)
        norms, _ = library.accumulate_row_scalars(inputs_of(layer, module, x), layer, norms, 0)
        layer.weight.data = library.sparsify_weight(layer, {layer: norms}, 1 - density, 0, 0)


def torchao_wanda(linear, module, x, densities) -> None:
    from torchao.sparsity import WandaSparsifier

    sparsifier = WandaSparsifier()
    names = [name for name, layer in module.named_modules() if isinstance(layer, torch.nn.Linear)]
    sparsifier.prepare(
        module,
        [
            {"tensor_fqn": f"{name}.weight", "sparsity_level": 1 - density}
            for name, density in zip(names, densities, strict=True)
        ],
    )
    module(x)
    sparsifier.step()
    sparsifier.squash_mask()


def coremltools_sparsegpt(linear, module, x, densities) -> None:
    from coremltools.optimize.torch.layerwise_compression import (
        LayerwiseCompressor,
        LayerwiseCompressorConfig,
        ModuleSparseGPTConfig,
    )

    names = [name for name, layer in module.named_modules() if isinstance(layer, torch.nn.Linear)]
    options = {
        name: ModuleSparseGPTConfig(target_sparsity=1 - density, weight_dtype="float32")
        for name, density in zip(names, densities, strict=True)
    }
    batches = x.split(32)
    config = LayerwiseCompressorConfig(module_name_configs=options, calibration_nsamples=len(batches))
    LayerwiseCompressor(module, config).compress(batches, device="cpu", inplace=True)


def coremltools_magnitude(linear, module, x, densities) -> None:
    from coremltools.optimize.torch.pruning import MagnitudePruner, MagnitudePrunerConfig, ModuleMagnitudePrunerConfig

    names = [name for name, layer in module.named_modules() if isinstance(layer, torch.nn.Linear)]
    options = {
        name: ModuleMagnitudePrunerConfig(target_sparsity=1 - density)
        for name, density in zip(names, densities, strict=True)
    }
    pruner = MagnitudePruner(module, MagnitudePrunerConfig(module_name_configs=options))
    pruner.prepare(inplace=True)
    pruner.step()
    pruner.finalize(inplace=True)


def neural_compressor_magnitude(linear, module, x, densities) -> None:
    """Up to release 2; release 3 prunes no more."""
    from neural_compressor import WeightPruningConfig
    from neural_compressor.compression.pruner import prepare_pruning

    names = [name for name, layer in module.named_modules() if isinstance(layer, torch.nn.Linear)]
    configs = [
        {"op_names": [f"^{name}$"], "target_sparsity": 1 - density, "excluded_op_names": []}
        for name, density in zip(names, densities, strict=True)
    ]
    config = WeightPruningConfig(
        configs, pruning_type="magnitude", pattern="1x1", start_step=0, end_step=0, pruning_scope="local"
    )
    hooks = prepare_pruning(module, config, torch.optim.SGD(module.parameters(), 0.0))
    hooks.on_train_begin()
    hooks.on_step_begin(0)
    hooks.on_train_end()


PEERS: dict[str, tuple[str, str, Prune]] = {
    "llm-compressor, SparseGPT": (
        "llmcompressor",
        "llmcompressor.modifiers.pruning.sparsegpt",
        llm_compressor_sparsegpt,
    ),
    "llm-compressor, Wanda": ("llmcompressor", "llmcompressor.modifiers.pruning.wanda", llm_compressor_wanda),
    "torchao, Wanda": ("torchao", "torchao.sparsity", torchao_wanda),
    "coremltools, SparseGPT": (
        "coremltools",
        "coremltools.optimize.torch.layerwise_compression",
        coremltools_sparsegpt,
    ),
    "coremltools, magnitude": ("coremltools", "coremltools.optimize.torch.pruning", coremltools_magnitude),
    "neural-compressor, magnitude": (
        "neural-compressor",
        "neural_compressor.compression.pruner",
        neural_compressor_magnitude,
    ),
}
"""Each with its distribution, what of it must be importable, and how it prunes a module in place."""


def inputs_of(layer: torch.nn.Linear, module: torch.nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    """Return what a layer gets."""
    for part in module:
        if part is layer:
            return x
        x = part(x)
    raise ValueError("the layer is none of the module's")


def as_module(network: list[eie.Dense]) -> torch.nn.Sequential:
    parts: list[torch.nn.Module] = []
    for dense in network:
        linear = torch.nn.Linear(dense.weight.shape[1], dense.weight.shape[0])
        linear.weight.data = torch.tensor(dense.weight)
        linear.bias.data = torch.zeros(len(dense.weight)) if dense.bias is None else torch.tensor(dense.bias)
        parts.append(linear)
        if dense.activation == "relu":
            parts.append(torch.nn.ReLU())
    return torch.nn.Sequential(*parts).eval()


def pruned(network: list[eie.Dense], prune: Prune, x: np.ndarray, densities: Densities) -> list[eie.Dense]:
    """Return the network that another library makes of it."""
    module = as_module(network)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prune([part for part in module if isinstance(part, torch.nn.Linear)], module, torch.tensor(x), densities)
    linear = [part for part in module.modules() if isinstance(part, torch.nn.Linear)]
    return [
        eie.Dense(layer.weight.detach().numpy(), layer.bias.detach().numpy(), dense.activation)
        for layer, dense in zip(linear, network, strict=True)
    ]


def installed() -> dict[str, Prune]:
    """Return the peers that are there; say of the others that they are not."""
    found = {}
    for name, (distribution, module, prune) in PEERS.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            print(f"{name}: skipped, {error}")
            continue
        try:
            print(f"{name}: release {version(distribution)}")
        except PackageNotFoundError:
            print(f"{name}: of another distribution than {distribution}")
        found[name] = prune
    return found


def compare(
    network: list[eie.Dense],
    x: np.ndarray,
    densities: Densities,
    error: Callable[[np.ndarray], float],
    test: np.ndarray,
) -> None:
    """Prune a network in every way to every density, and print the error of each."""
    peers, size = installed(), sum(layer.weight.size for layer in network)
    print(f"float32, dense: {error(forward(network, test)):.2f} %")
    for density in densities:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AccuracyWarning)
            alike, by_loss = (eie.compress(network, density, x, **WAYS[way]) for way in ("uniform", "default"))
        errors = error(run(alike, test)), error(run(by_loss, test))
        show(
            density,
            "eie, 4 bits",
            errors,
            [sum(layer.kept for layer in model.layers) / size for model in (alike, by_loss)],
        )
        spread = [layer.kept / layer.rows / layer.columns for layer in by_loss.layers]
        for name, prune in peers.items():
            found = [pruned(network, prune, x, chosen) for chosen in ([density] * len(network), spread)]
            kept = [sum(np.count_nonzero(layer.weight) for layer in layers) / size for layers in found]
            show(density, name, [error(forward(layers, test)) for layers in found], kept)


def show(density: float, way: str, errors: Sequence[float], kept: Sequence[float]) -> None:
    """Print a line: errors with densities alike, and with those by loss; and what was kept in truth."""
    print(
        f"{density:<5g} {way:30} {errors[0]:6.2f} % {errors[1]:6.2f} %   kept {kept[0]:.2%} {kept[1]:.2%}", flush=True
    )


def lenet(densities: Densities | None) -> None:
    network, digits, test = trained_lenet(0)
    compare(
        network,
        digits.inputs()[:2048],
        densities or [0.1, 0.08, 0.05],
        lambda outputs: float(100 * np.mean(outputs.argmax(axis=1) != test.labels)),
        test.inputs(),
    )


def kws(densities: Densities | None) -> None:
    network, x, labels = kws_network()
    compare(
        network,
        x[:500],
        densities or [0.5, 0.4, 0.3],
        lambda outputs: float(100 * np.mean(outputs.argmax(axis=1) != labels[500:])),
        x[500:],
    )


NETWORKS = {"lenet": lenet, "kws": kws}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(NETWORKS)} (all)")
    parser.add_argument("--densities", type=float, nargs="+", help="default: those of docs/training.md")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.networks if name not in NETWORKS]:
        parser.error(f"there is no network {unknown[0]!r}; there are {', '.join(NETWORKS)}")
    logging.disable(logging.WARNING)  # coremltools tells of every layer
    for name in arguments.networks or NETWORKS:
        print(f"{name}: errors with densities alike in every layer, and with those by loss")
        if name == "kws" and not DATA.exists():
            print(f"skipped, its data are not beside the project ({DATA})")
            continue
        NETWORKS[name](arguments.densities)


if __name__ == "__main__":
    main()
