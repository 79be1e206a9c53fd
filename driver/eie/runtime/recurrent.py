"""Sequences through a recurrent layer whose weights are on the device, and the states that calls keep."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eie.errors import PackError, VerificationError
from eie.network.recurrent_model import RecurrentModel, reference_sequence
from eie.program.recurrent import PackedRecurrent
from eie.runtime.transfers import Transfers


def run_sequences(
    transfers: Transfers, packed: PackedRecurrent, inputs: NDArray[np.int16], states: NDArray[np.int16]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Run a batch of sequences: as `eie.network.recurrent_model.reference_sequence`, on the device.

    All time steps of a sequence are one program, without the host in between, unless it would be too long.
    """
    model, (batch, steps, _) = packed.model, inputs.shape
    outputs = np.empty((batch, steps, model.hidden), np.int16)
    for first in range(0, steps, packed.most_steps):
        part = inputs[:, first : first + packed.most_steps]
        ordered = states[:, :, packed.order]
        vectors = np.concatenate([ordered.reshape(batch, -1), part.reshape(batch, -1)], axis=1)
        results = transfers.run(packed.segment(part.shape[1]), vectors.__getitem__, batch)
        vectors_out = results.reshape(batch, -1, model.hidden)
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


def as_sequences(model: RecurrentModel, x: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return inputs as (B, T, C), T at least 1; of one sequence, B is 1."""
    batch = x[None] if x.ndim == 2 else x
    if batch.ndim != 3 or batch.shape[2] != model.columns or not batch.shape[1]:
        raise PackError(
            f"x has shape {x.shape}; model {model.name!r} takes (T, {model.columns}) or (B, T, {model.columns})"
        )
    return batch
