"""A graph computed in torch, its linear maps by given matrices, so that gradients go back to these."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from eie.compression.streamed import Stream
from eie.compression.student import torch
from eie.compression.torch_operators import Value, convolve, run
from eie.contract.functions import Operation
from eie.errors import NetworkError
from eie.network.cells import CELLS, STATE_BITS, Apply
from eie.network.evaluation import run_node, walk
from eie.network.graph import LOOPS, Graph, Node
from eie.network.linear_maps import LinearNode
from eie.network.operators.convolution import conv_geometry, transposed_geometry
from eie.network.operators.gates import DIRECTIONS
from eie.network.operators.linear import Matrix, leading_ones

Tensor = torch.Tensor
Values = dict[str, Any]
"""Tensors and arrays by name."""
_SIZES = ("Shape", "Size")
Pair = tuple[Tensor, Tensor]
"""A matrix, shape (R, C), and its bias, shape (R,)."""


class TorchGraph:
    """Computes a graph.

    Parameters
    ----------
    graph : Graph
    nodes : mapping of str to LinearNode
        Its linear maps; see `eie.network.linear_maps.linear_nodes`.
    fused : collection of str
        Those with a ReLU behind them.
    """

    def __init__(self, graph: Graph, nodes: Mapping[str, LinearNode], fused: Collection[str]) -> None:
        self.graph, self.nodes, self.fused = graph, nodes, fused

    def __call__(self, inputs: Mapping[str, Value], matrices: Mapping[str, Pair]) -> tuple[Values, Values]:
        """Return the outputs, and the outputs of all linear maps, given the matrices by name.

        Raises
        ------
        NetworkError
            If an operator has no gradient here.
        """
        return self._compute(inputs, matrices, {})

    def stream(self, stream: Stream, matrices: Mapping[str, Pair]) -> tuple[Values, Values]:
        """Return the same of sequences that are run at once, piece by piece, with a first axis of time."""
        ahead = self._ahead(stream, matrices) if stream.axes else {}
        times = iter(range(stream.pieces))
        found: list[Values] = []

        def piece(inputs: Mapping[str, Value]) -> Values:
            time = next(times)
            outputs, inner = self._compute(inputs, matrices, {name: parts[time] for name, parts in ahead.items()})
            found.append(inner)
            return outputs

        outputs = [outputs for _, outputs in zip(*stream.run(piece), strict=True)]
        names = [name for name in outputs[0] if name not in stream.states.values()] or list(outputs[0])
        return _stacked(outputs, names), _stacked(found, list(found[0]))

    def _compute(
        self, inputs: Mapping[str, Value], matrices: Mapping[str, Pair], known: Mapping[str, Value]
    ) -> tuple[Values, Values]:
        loop = next((node for node in self.graph.walk() if node.operator in LOOPS), None)
        if loop is not None:
            raise NetworkError(f'no gradient goes back through {loop}, which refit="whole" needs; compress without')
        inner: Values = {}
        *_, (_, found) = walk(self.graph, inputs, self._hook(matrices, inner, known))
        return {value.name: found[value.name] for value in self.graph.outputs}, inner

    def _hook(self, matrices: Mapping[str, Pair], inner: Values, known: Mapping[str, Value]) -> Any:
        def hook(node: Node, values: list[Any]) -> list[Any] | None:
            key = node.outputs[0]
            linear = self.nodes.get(key)
            if key in known:
                found = [known[key]]
            elif linear is not None:
                found = _linear(linear, linear.without_weights(values), [matrices[name] for name in linear.names])
                found = [torch.relu(found[0])] if key in self.fused else found
            else:
                return run(node, values) if any(isinstance(x, Tensor) for x in values) else None
            if linear is not None:
                inner[key] = found[0]
            return found

        return hook

    def _ahead(self, stream: Stream, matrices: Mapping[str, Pair]) -> dict[str, list[Value]]:
        """Compute what does not depend on the states for all pieces at once, as a batch; return it by piece."""
        nodes = _independent(self.graph, stream.states)
        values: dict[str, Value] = {**self.graph.constants, **stream.samples[0]}
        hook, found = self._hook(matrices, {}, {}), {}
        for node in nodes:
            inputs = [values[name] if name else None for name in node.inputs]
            results = hook(node, inputs)
            values.update(zip(node.outputs, run_node(node, inputs) if results is None else results))  # noqa: B905
            found[node.outputs[0]] = values[node.outputs[0]]
        return {name: parts for name, x in found.items() if (parts := _pieces(x, stream)) is not None}


def _pieces(x: Value, stream: Stream) -> list[Value] | None:
    """Return the parts of what was computed for all pieces as a batch; None if it has no such axis, or two."""
    axes = [axis for axis, size in enumerate(x.shape) if size == stream.pieces * stream.batch]
    if len(axes) != 1:
        return None
    if isinstance(x, Tensor):
        return list(x.tensor_split(stream.pieces, axes[0]))
    return np.split(x, stream.pieces, axes[0])


def _independent(graph: Graph, states: Collection[str]) -> list[Node]:
    """Return the nodes before which no state is read, nor a size."""
    tainted, found = set(states), []
    for node in graph.nodes:
        if node.branches or len(node.outputs) > 1 or tainted.intersection(node.inputs) or node.operator in _SIZES:
            tainted.update(node.outputs)
        else:
            found.append(node)
    return found


def _stacked(found: list[Values], names: Collection[str]) -> Values:
    """Return tensors of all pieces, with a first axis of time."""
    return {
        name: torch.stack([values[name] for values in found])
        for name in names
        if all(isinstance(values.get(name), Tensor) for values in found)
        and len({values[name].shape for values in found}) == 1
    }


def _linear(linear: LinearNode, values: list[Value], pairs: Sequence[Pair]) -> list[Tensor]:
    data = [None if x is None else torch.as_tensor(x) for x in values]
    function = _LINEAR.get(linear.node.operator)
    if function is None or (function is _recurrent and not linear.attributes.get("cell")):
        raise NetworkError(f"no gradient goes back through {linear.node.operator} as it is here")
    return function(linear, data, pairs)


def _rows(x: Tensor, pair: Pair) -> Tensor:
    return torch.nn.functional.linear(x, *pair)


def _matmul(linear: LinearNode, values: list[Any], pairs: Sequence[Pair]) -> list[Tensor]:
    first, second = (*values, None)[:2]
    rank = linear.attributes["weight_rank"]
    if rank == 1 or (second is not None and second.ndim == 1):
        raise NetworkError("no gradient goes back through a MatMul with a vector")
    y = _rows(first, pairs[0]) if first is not None else _rows(second.mT, pairs[0]).mT
    return [y.reshape((1,) * leading_ones(rank, (second if first is None else first).ndim) + y.shape)]


def _gemm(linear: LinearNode, values: list[Any], pairs: Sequence[Pair]) -> list[Tensor]:
    a, b, c = (*values, None, None)[:3]
    if a is not None:
        y = _rows(a.T if linear.attributes["transA"] else a, pairs[0])
    else:
        y = _rows(b if linear.attributes["transB"] else b.T, pairs[0]).T
    return [y if c is None else y + c * linear.attributes["beta"]]


def _conv(linear: LinearNode, values: list[Any], pairs: Sequence[Pair]) -> list[Tensor]:
    geometry = conv_geometry(values[0], linear.attributes)
    return [_convolved(linear.matrices[0], values[0], geometry, pairs[0], values)]


def _conv_transpose(linear: LinearNode, values: list[Any], pairs: Sequence[Pair]) -> list[Tensor]:
    x = values[0]
    strides = linear.attributes["strides"] or [1] * (x.ndim - 2)
    spread = x.new_zeros((*x.shape[:2], *((n - 1) * s + 1 for n, s in zip(x.shape[2:], strides, strict=True))))
    spread[(slice(None), slice(None), *(slice(None, None, s) for s in strides))] = x
    geometry = transposed_geometry(tuple(x.shape[2:]), linear.attributes)
    return [_convolved(linear.matrices[0], spread, geometry, pairs[0], values)]


def _convolved(matrix: Matrix, x: Tensor, geometry: Any, pair: Pair, values: list[Any]) -> Tensor:
    weight, bias = pair
    rows, columns = weight.shape
    groups, each = matrix.groups, np.arange(matrix.groups)
    blocks = weight.reshape(groups, rows // groups, groups, columns // groups)[each, :, each]
    y = convolve(x, blocks.reshape(rows, -1, *geometry.kernel), groups, geometry)
    for offset in (bias, values[2] if len(values) > 2 else None):
        y = y if offset is None else y + offset.reshape(-1, *(1 for _ in y.shape[2:]))
    return y


_APPLY = {
    Operation.COPY: lambda a, b: b,
    Operation.ADD: lambda a, b: a + b,
    Operation.SUBTRACT: lambda a, b: a - b,
    Operation.MULTIPLY: lambda a, b: a * b,
    Operation.TANH: lambda a, b: torch.tanh(b),
    Operation.SIGMOID: lambda a, b: torch.sigmoid(b),
}


def _recurrent(linear: LinearNode, values: list[Any], pairs: Sequence[Pair]) -> list[Tensor]:
    attributes = linear.attributes
    cell, batch_first = CELLS[attributes["cell"]], bool(attributes["layout"])
    x, _, _, _, _, *given = (*values, *[None] * 7)[:7]
    x = x.transpose(0, 1) if batch_first else x  # (T, B, C)
    x = x * 2.0 ** (attributes["input_bits"] - STATE_BITS)
    outputs, last = [], []
    for direction, backwards in enumerate(DIRECTIONS[attributes["direction"]]):
        states = {}
        for name, state in zip(cell.states, given):  # noqa: B905 - a GRU has one
            if state is None:
                states[name] = x.new_zeros(x.shape[1], attributes["hidden_size"])
            else:
                states[name] = state[:, direction] if batch_first else state[direction]
        gates = pairs[direction * len(cell.gates) : (direction + 1) * len(cell.gates)]
        y = _sequence(cell, x.flip(0) if backwards else x, states, gates)
        outputs.append(y.flip(0) if backwards else y)
        last.append(states)
    whole = torch.stack(outputs, 1)  # (T, directions, B, H)
    ends = [torch.stack([states[name] for states in last]) for name in cell.states]
    if batch_first:
        return [whole.permute(2, 0, 1, 3), *(end.transpose(0, 1) for end in ends)]
    return [whole, *ends]


def _sequence(cell: Any, x: Tensor, states: dict[str, Tensor], gates: Sequence[Pair]) -> Tensor:
    """Return the outputs of all time steps, and leave the states at the end in `states`."""
    size = gates[0][0].shape[0]
    ahead, behind = [], []
    for gate, (weight, bias) in zip(cell.gates, gates, strict=True):
        ends = np.cumsum([x.shape[2] if name == "x" else size for name in gate.operands])
        parts = dict(zip(gate.operands, torch.tensor_split(weight, ends[:-1].tolist(), dim=1), strict=True))
        of_inputs = _rows(x, (parts.pop("x"), bias)) if "x" in parts else bias.expand(len(x), 1, -1)
        ahead.append(of_inputs.unbind(0))
        behind.append({name: part.T for name, part in parts.items()})
    outputs = []
    for time in range(len(x)):
        values = dict(states)

        def gate_sums(number: int, operands: list[Any], time: int = time, values: dict[str, Any] = values) -> Any:
            y = ahead[number][time]
            for name, part in behind[number].items():
                y = y + values[name] @ part
            return y

        values["x"] = x[time]
        cell.time_step(values, gate_sums, _apply)
        states.update({name: values[name] for name in cell.states})
        outputs.append(states[cell.output])
    return torch.stack(outputs)


def _apply(step: Apply, target: Any, source: Any) -> Any:
    return source if step.doubles else _APPLY[step.operation](target, source)


_LINEAR = {
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
}
