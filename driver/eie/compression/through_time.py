"""Cells of recurrent layers in floats, forwards and back: how weights move the states of a sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from eie.contract.functions import Operation
from eie.network.cells import Apply, Cell, Gate

Floats = NDArray[np.floating]

_INPUT = "x"


@dataclass(frozen=True)
class _Block:
    """Gates that follow one another and read the same vectors: one matrix."""

    gates: tuple[int, ...]
    targets: tuple[str, ...]
    operands: tuple[str, ...]


class Unrolled:
    """A cell and the weights of its gates, which sequences go through, and gradients back (Werbos, 1990).

    Parameters
    ----------
    cell : Cell
    weights : sequence of ndarray, shape (R, C)
        Of each gate.
    biases : sequence of ndarray, shape (R,)
    """

    def __init__(self, cell: Cell, weights: Sequence[Floats], biases: Sequence[Floats]) -> None:
        self.cell, self.sizes = cell, [len(bias) for bias in biases]
        self._plan = _plan(cell)
        self._blocks = [step for step in self._plan if isinstance(step, _Block)]
        self._weights = {b: np.concatenate([weights[gate] for gate in b.gates]) for b in self._blocks}
        self._biases = {b: np.concatenate([biases[gate] for gate in b.gates]) for b in self._blocks}
        self._tape: list[list[tuple[Floats, ...]]] = []

    def forward(self, x: Floats, states: Floats) -> Floats:
        """Return the states after every time step: inputs (B, T, C), states (B, states, H) -> (B, T, states, H)."""
        ahead = {block: self._from_inputs(block, x) for block in self._blocks}
        parts = {block: self._parts(block, x.shape[2]) for block in self._blocks}
        values = {name: states[:, i] for i, name in enumerate(self.cell.states)}
        found = np.empty((*x.shape[:2], *states.shape[1:]), x.dtype)
        self._x, self._tape = x, []
        for time in range(x.shape[1]):
            tape: list[tuple[Floats, ...]] = []
            for step in self._plan:
                if isinstance(step, Apply):
                    source = values[step.source]
                    target = values.get(step.target, source)
                    values[step.target] = _forward(step, target, source)
                    tape.append((target, source, values[step.target]))
                    continue
                sums = ahead[step][:, time]
                for name, part in parts[step].items():
                    sums = sums + values[name] @ part.T
                tape.append(tuple(values[name] for name in parts[step]))
                values.update(zip(step.targets, self._split(step, sums), strict=True))
            for i, name in enumerate(self.cell.states):
                found[:, time, i] = values[name]
            self._tape.append(tape)
        return found

    def backward(self, gradient: Floats) -> tuple[list[Floats], list[Floats]]:
        """Return gradients of the gates' weights and biases, given that of the states that `forward` last returned."""
        length, x = len(self._tape), self._x
        sums = {b: np.empty((length, len(x), len(self._biases[b])), x.dtype) for b in self._blocks}
        parts = {block: self._parts(block, x.shape[2]) for block in self._blocks}
        moved: dict[str, Floats] = {}
        for time in reversed(range(length)):
            for i, name in enumerate(self.cell.states):
                _add(moved, name, gradient[:, time, i])
            for step, kept in zip(reversed(self._plan), reversed(self._tape[time]), strict=True):
                if isinstance(step, Apply):
                    _backward(step, moved, *kept)
                    continue
                for target, part in zip(step.targets, self._split(step, sums[step][time]), strict=True):
                    part[...] = moved.pop(target, 0)
                for name, part in parts[step].items():
                    _add(moved, name, sums[step][time] @ part)
        return self._gradients(sums)

    def operand_squares(self) -> list[Floats]:
        """Return of every gate the sums of squares of what its weights multiplied in the last `forward`, shape (C,)."""
        found: list[Floats] = [np.empty(0)] * len(self.sizes)
        for block in self._blocks:
            seen = self._seen(block)
            squares = [np.einsum("nc,nc->c", seen[name], seen[name], dtype=np.float64) for name in block.operands]
            for gate in block.gates:
                found[gate] = np.concatenate(squares)
        return found

    def _seen(self, block: _Block) -> dict[str, Floats]:
        """Return what a block's operands were at all time steps, shapes (T B, C)."""
        at = self._plan.index(block)
        others = [name for name in block.operands if name != _INPUT]
        seen = {name: np.concatenate([tape[at][i] for tape in self._tape]) for i, name in enumerate(others)}
        return seen | {_INPUT: np.ascontiguousarray(self._x.swapaxes(0, 1)).reshape(-1, self._x.shape[2])}

    def _gradients(self, sums: dict[_Block, Floats]) -> tuple[list[Floats], list[Floats]]:
        weights: list[Floats] = [np.empty(0)] * len(self.sizes)
        biases: list[Floats] = [np.empty(0)] * len(self.sizes)
        for block in self._blocks:
            seen = self._seen(block)
            flat = sums[block].reshape(-1, sums[block].shape[2])
            whole = np.concatenate([flat.T @ seen[name] for name in block.operands], axis=1)
            for gate, weight, bias in zip(
                block.gates, self._split(block, whole, 0), self._split(block, flat.sum(axis=0), 0), strict=True
            ):
                weights[gate], biases[gate] = weight, bias
        return weights, biases

    def _from_inputs(self, block: _Block, x: Floats) -> Floats:
        """Return what the inputs of all time steps and the biases add to a block's sums."""
        bias = self._biases[block]
        if _INPUT not in block.operands:
            return np.broadcast_to(bias, (*x.shape[:2], len(bias)))
        part = self._columns(block, x.shape[2])[_INPUT]
        return (x.reshape(-1, x.shape[2]) @ part.T + bias).reshape(*x.shape[:2], -1)

    def _parts(self, block: _Block, columns: int) -> dict[str, Floats]:
        return {name: part for name, part in self._columns(block, columns).items() if name != _INPUT}

    def _columns(self, block: _Block, columns: int) -> dict[str, Floats]:
        """Return the part of a block's matrix that multiplies each of its operands."""
        weight = self._weights[block]
        hidden = weight.shape[1] - columns if _INPUT in block.operands else weight.shape[1]
        found, start = {}, 0
        for name in block.operands:
            end = start + (columns if name == _INPUT else hidden)
            found[name], start = weight[:, start:end], end
        return found

    def _split(self, block: _Block, whole: Floats, axis: int = 1) -> list[Floats]:
        ends = np.cumsum([self.sizes[gate] for gate in block.gates])[:-1]
        return np.split(whole, ends, axis=axis)


def _plan(cell: Cell) -> list[_Block | Apply]:
    """Return a cell's steps, its gates joined where they read the same; what changes no value in floats left out."""
    steps = [step for step in cell.steps if isinstance(step, Gate) or not _is_idle(step)]
    plan: list[_Block | Apply] = []
    first = 0
    for operands, group in groupby(steps, lambda step: step.operands if isinstance(step, Gate) else None):
        found = list(group)
        if operands is None:
            plan += [step for step in found if isinstance(step, Apply)]
            continue
        targets = tuple(step.target for step in found)
        plan.append(_Block(tuple(range(first, first + len(found))), targets, operands))
        first += len(found)
    return plan


def _is_idle(step: Apply) -> bool:
    return step.doubles or (step.operation == Operation.COPY and step.target == step.source)


def _sigmoid(x: Floats) -> Floats:
    half = x.dtype.type(0.5)
    return np.tanh(x * half) * half + half


_FORWARD: dict[Operation, Callable[[Floats, Floats], Floats]] = {
    Operation.COPY: lambda a, b: b,
    Operation.ADD: lambda a, b: a + b,
    Operation.SUBTRACT: lambda a, b: a - b,
    Operation.MULTIPLY: lambda a, b: a * b,
    Operation.TANH: lambda a, b: np.tanh(b),
    Operation.SIGMOID: lambda a, b: _sigmoid(b),
}


def _forward(step: Apply, target: Floats, source: Floats) -> Floats:
    return _FORWARD[step.operation](target, source)


def _backward(step: Apply, moved: dict[str, Floats], target: Floats, source: Floats, result: Floats) -> None:
    """Pass the gradient of a step's result on to what it was made of."""
    gradient = moved.pop(step.target, None)
    if gradient is None:
        return
    if step.operation == Operation.COPY:
        _add(moved, step.source, gradient)
    elif step.operation == Operation.TANH:
        _add(moved, step.source, gradient * (1 - result * result))
    elif step.operation == Operation.SIGMOID:
        _add(moved, step.source, gradient * (result - result * result))
    elif step.operation == Operation.MULTIPLY:
        _add(moved, step.target, gradient * source)
        _add(moved, step.source, gradient * target)
    else:
        _add(moved, step.target, gradient)
        _add(moved, step.source, -gradient if step.operation == Operation.SUBTRACT else gradient)


def _add(moved: dict[str, Floats], name: str, gradient: Floats) -> None:
    moved[name] = moved[name] + gradient if name in moved else gradient
