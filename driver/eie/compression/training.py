"""Training of compressed networks, as in Deep Compression (Han et al., ICLR 2016): prune, retrain what is left, share
the weights, fine-tune the shared values. Needs PyTorch, the extra "train"; a CPU will do.

A network is a list of `eie.Dense` before and after every step, so steps may be mixed with others and saved between:

    network = train.initialise([784, 300, 100, 10])
    network = train.fit(network, data, train.Settings(epochs=10))
    network = train.prune_retrain(network, data, 0.05, train.Settings(epochs=40))
    network = train.share_finetune(network, data, train.Settings(epochs=10, learning_rate=1e-3))
    model = eie.compress(network, density=None, calibration=inputs)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from eie.compression.entropy_sharing import share as share
from eie.compression.sharing import SHARED_VALUES
from eie.compression.student import Data as Data
from eie.compression.student import Progress as Progress
from eie.compression.student import Settings as Settings
from eie.compression.student import Student, saliencies, steps
from eie.errors import NetworkError
from eie.network.model import Dense

_PRUNE_EVERY = 100


def initialise(sizes: Sequence[int], seed: int = 0) -> list[Dense]:
    """Return a random network with ReLU between the layers (He initialisation), ready to be trained.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, then outputs of every layer.
    seed : int
    """
    rng = np.random.default_rng(seed)
    last = len(sizes) - 2
    return [
        Dense(
            rng.standard_normal((rows, columns)) * math.sqrt(2 / columns),
            np.zeros(rows),
            "relu" if i < last else None,
            f"fc{i + 1}",
        )
        for i, (columns, rows) in enumerate(itertools.pairwise(sizes))
    ]


def fit(network: Sequence[Dense], data: Data, settings: Settings, progress: Progress | None = None) -> list[Dense]:
    """Train a network's weights and biases; weights that are 0 are taken as pruned and stay 0."""
    student = Student(network)
    for _ in steps(student, data, settings, "train", progress):
        student.apply_masks()
    return student.network()


def prune_retrain(
    network: Sequence[Dense],
    data: Data,
    density: float,
    settings: Settings,
    pruning: float = 0.6,
    progress: Progress | None = None,
) -> list[Dense]:
    """Prune a trained network little by little while it goes on training, then retrain what is left.

    Every 100 batches the least salient weights of the whole network are removed for good, so that the density falls
    from its present value along a cubic curve (Zhu and Gupta, 2017) and each layer finds its own. The saliency of a
    weight w is w**2 times the mean square of its gradient: the loss that its removal costs to second order, with the
    empirical Fisher information for the curvature (optimal brain damage; LeCun et al., 1989).

    Parameters
    ----------
    network : sequence of Dense
        Weights that are 0 already stay 0.
    data : callable
        See `Data`.
    density : float
        Weights to keep over all weights of the network, above 0 and at most 1.
    settings : Settings
    pruning : float
        Share of the training in which pruning takes place, above 0 and below 1; the rest retrains under the final mask.
    progress : callable, optional

    Returns
    -------
    list of Dense
        With round(density * weights) non-zero weights (fewer only if there were fewer).

    Raises
    ------
    NetworkError
        If the density or the share of pruning is out of range, or there are too few batches to prune in.
    """
    if not 0 < density <= 1:
        raise NetworkError(f"density is {density!r}; it must be above 0 and at most 1")
    if not 0 < pruning < 1:
        raise NetworkError(f"pruning is {pruning!r}; it must be above 0 and below 1")
    student = Student(network)
    initial = max(density, student.density())
    pruned_at = -1.0
    for done, optimiser in steps(student, data, settings, "prune", progress):
        due = done.batch % _PRUNE_EVERY == _PRUNE_EVERY - 1 and done.fraction < pruning
        if due or (done.fraction >= pruning > pruned_at):
            pruned_at = done.fraction
            left = max(0.0, 1 - done.fraction / pruning)
            student.keep(density + (initial - density) * left**3, saliencies(student, optimiser))
        student.apply_masks()
    return student.network()


def share_finetune(
    network: Sequence[Dense],
    data: Data,
    settings: Settings,
    values: int = SHARED_VALUES,
    code_cost: float = 0.0,
    bias_fraction_bits: int | None = None,
    progress: Progress | None = None,
) -> list[Dense]:
    """Give every layer a few shared weights, then fine-tune their values.

    Which weights share a value stays as it is found at first (`share`); the gradient of a shared value is the sum of
    its weights' gradients.

    Parameters
    ----------
    network : sequence of Dense
        A pruned network; its zeros stay.
    data : callable
        See `Data`.
    settings : Settings
    values : int
        Most distinct non-zero weights of a layer, 1 to 15.
    code_cost : float
        Weight of a code's length when sharing; see `share`.
    bias_fraction_bits : int, optional
        Round all biases to multiples of 2**-bias_fraction_bits, before the fine-tuning, and leave them so: they
        take few bytes in a model file. None fine-tunes them with the values.
    progress : callable, optional

    Returns
    -------
    list of Dense
        At most ``values`` distinct non-zero weights in a layer, exactly.
    """
    student = Student(network)
    if bias_fraction_bits is not None:
        student.round_biases(bias_fraction_bits)
    student.share(values, code_cost)
    for _ in steps(student, data, settings, "share", progress):
        pass
    return student.network()
