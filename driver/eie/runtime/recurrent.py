"""Sequences through a recurrent layer whose weights are on the device, and the states that calls keep."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from eie.errors import VerificationError
from eie.network.recurrent_model import RecurrentModel
from eie.network.reference import reference_sequence
from eie.program.recurrent import PackedRecurrent
from eie.runtime.saturation import Saturation, at_the_ends
from eie.runtime.transfers import Transfers


def run_sequences(
    transfers: Transfers, packed: PackedRecurrent, inputs: NDArray[np.int16], states: NDArray[np.int16]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Run a batch of sequences: as `eie.network.reference.reference_sequence`, on the device.

    All time steps of a sequence are one program, without the host in between, unless it would be too long.
    """
    model, (batch, steps, _) = packed.model, inputs.shape
    outputs = np.empty((batch, steps, model.hidden), np.int16)
    for first in range(0, steps, packed.most_steps):
        part = inputs[:, first : first + packed.most_steps]
        ordered = states[:, :, packed.order]
        vectors = np.concatenate([a.reshape(batch, math.prod(a.shape[1:])) for a in (ordered, part)], axis=1)
        results = transfers.run(packed.segment(part.shape[1]), vectors.__getitem__, batch)
        vectors_out = results.reshape(batch, results.shape[1] // model.hidden, model.hidden)
        outputs[:, first : first + part.shape[1]] = vectors_out[:, : part.shape[1]]
        states = vectors_out[:, part.shape[1] - 1 :]
    return outputs, states


def check_sequences(
    model: RecurrentModel, inputs: NDArray[np.int16], states: NDArray[np.int16], outputs: NDArray[np.int16]
) -> None:
    """Compare a batch of sequences with the integer reference, or raise `VerificationError`."""
    expected, _ = reference_sequence(model, inputs, states)
    wrong = np.argwhere(outputs != expected)
    if len(wrong):
        sequence, step, row = (int(i) for i in wrong[0])
        got, right = int(outputs[sequence, step, row]), int(expected[sequence, step, row])
        raise VerificationError(
            f"sequence {sequence}, time step {step}, row {row} of model {model.name!r}: the device gives {got}, the "
            f"reference {right}; {len(wrong)} outputs of the batch differ"
        )


def saturated_inputs(model: RecurrentModel, inputs: NDArray[np.int16]) -> Saturation:
    """Count what is known of a run's saturation: its inputs; what the gates give stays on the array."""
    return Saturation(at_the_ends(inputs), (None,) * len(model.layers))
