"""LSTM, GRU and RNN: the gates' matrices are products, the cell's element-wise part follows step by step.

Of cells that the array computes by itself (`eie.network.operators.gates`, attribute ``cell``), the gates are the
matrices. Of others each direction has one matrix for the inputs, which serves all time steps at once, and one (GRU with
the reset gate before the product: two) for the state, which serves one step after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from eie.errors import NetworkError
from eie.network.cells import STATE_BITS
from eie.network.operators.elementwise import sigmoid_of
from eie.network.operators.gates import DIRECTIONS, gate_matrices, initial_state, run_gates
from eie.network.operators.linear import Linear, Matrix, Product, enter, evaluate_as_products
from eie.network.operators.table import Array, Shape

_ACTIVATIONS: dict[str, Callable[[Array, float, float], Array]] = {
    "sigmoid": lambda x, a, b: sigmoid_of(x),
    "tanh": lambda x, a, b: np.tanh(x),
    "relu": lambda x, a, b: np.maximum(x, 0),
    "affine": lambda x, a, b: a * x + b,
    "leakyrelu": lambda x, a, b: np.where(x < 0, a * x, x),
    "thresholdedrelu": lambda x, a, b: np.where(x > a, x, 0),
    "scaledtanh": lambda x, a, b: a * np.tanh(b * x),
    "hardsigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1),
    "elu": lambda x, a, b: np.where(x < 0, a * np.expm1(np.minimum(x, 0)), x),
    "softsign": lambda x, a, b: x / (1 + np.abs(x)),
    "softplus": lambda x, a, b: np.logaddexp(x, 0),
}
_ALPHA_BETA = {
    "affine": (1.0, 0.0),
    "leakyrelu": (0.01, 0.0),
    "thresholdedrelu": (1.0, 0.0),
    "scaledtanh": (1.0, 1.0),
    "hardsigmoid": (0.2, 0.5),
    "elu": (1.0, 0.0),
}
INITIAL_STATES = {5: 1, 6: 2}
"""Inputs that are states to begin with, and the outputs that are these at the end; the second is LSTM's alone."""
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
RECURRENT = tuple(_GATES)
"""Operators whose outputs depend on a state."""
_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}


def _weights(inputs: list[Any], attributes: dict[str, Any]) -> tuple[int, ...] | None:
    if inputs[0] is not None or inputs[1] is None or inputs[2] is None:
        return None
    return (1, 2, 3) if len(inputs) > 3 and inputs[3] is not None else (1, 2)


def _prepare(inputs: list[Any], attributes: dict[str, Any]) -> dict[str, Any]:
    if attributes["direction"] not in DIRECTIONS:
        raise NetworkError(f"direction {attributes['direction']!r} is not known; {', '.join(DIRECTIONS)} are")
    size = int(inputs[2].shape[-1])
    if attributes["hidden_size"] not in (None, size):
        raise NetworkError(f"hidden_size is {attributes['hidden_size']}, but the recurrent weights have {size} columns")
    return {**attributes, "hidden_size": size, "cell": None}


def _matrices(name: str) -> Callable[[list[Any], dict[str, Any]], list[Matrix]]:
    def matrices(inputs: list[Any], attributes: dict[str, Any]) -> list[Matrix]:
        w, r, size = inputs[1], inputs[2], attributes["hidden_size"]
        b = inputs[3] if len(inputs) > 3 and inputs[3] is not None else np.zeros((len(w), 2 * w.shape[1]), w.dtype)
        gates = _GATES[name] * size
        if w.shape[1] != gates or r.shape != (len(w), gates, size) or b.shape != (len(w), 2 * gates):
            raise NetworkError(
                f"weights {w.shape}, {r.shape} and biases {b.shape} do not fit {_GATES[name]} gates of {size}"
            )
        if attributes["cell"]:
            return gate_matrices(name, w, r, b, attributes)
        found = []
        for d in range(len(w)):
            of_input, of_state = b[d, :gates], b[d, gates:]
            if name == "GRU" and attributes["linear_before_reset"]:
                found += [Matrix(w[d], of_input), Matrix(r[d], of_state)]
            elif name == "GRU":
                found += [Matrix(w[d], of_input + of_state), Matrix(r[d, : 2 * size]), Matrix(r[d, 2 * size :])]
            else:
                found += [Matrix(w[d], of_input + of_state), Matrix(r[d])]
        return found

    return matrices


def _functions(name: str, attributes: dict[str, Any], direction: int) -> list[Callable[[Array], Array]]:
    """Return the activation functions of a direction."""
    count = len(_DEFAULTS[name])
    names = attributes["activations"] or list(_DEFAULTS[name]) * len(DIRECTIONS[attributes["direction"]])
    alphas, betas = (iter(attributes[key] or ()) for key in ("activation_alpha", "activation_beta"))
    functions: list[Callable[[Array], Array]] = []
    for text in names:
        key = text.lower()
        if key not in _ACTIVATIONS:
            raise NetworkError(f"activation {text!r} is not known; {', '.join(_ACTIVATIONS)} are")
        alpha, beta = _ALPHA_BETA.get(key, (0.0, 0.0))
        if key in _ALPHA_BETA:
            alpha = next(alphas, alpha)
            beta = next(betas, beta) if key in ("affine", "scaledtanh", "hardsigmoid") else beta
        functions.append(partial(_activation, key, alpha, beta))
    return functions[direction * count : (direction + 1) * count]


def _activation(key: str, alpha: float, beta: float, x: Array) -> Array:
    return _ACTIVATIONS[key](x, alpha, beta).astype(x.dtype)


def _clipped(x: Array, limit: float | None) -> Array:
    return x if not limit else np.clip(x, -limit, limit)


def _lstm_cell(gates: Array, state: list[Array], products: Sequence[Product], how: dict[str, Any]) -> list[Array]:
    f, g, h = how["functions"]
    hidden, cell = state
    i, o, forget, c = np.split(gates + products[0](hidden), 4, axis=-1)
    peep_i, peep_o, peep_f = how["peepholes"]
    i = f(_clipped(i + peep_i * cell, how["clip"]))
    forget = 1 - i if how["input_forget"] else f(_clipped(forget + peep_f * cell, how["clip"]))
    new = forget * cell + i * g(_clipped(c, how["clip"]))
    return [f(_clipped(o + peep_o * new, how["clip"])) * h(new), new]


def _gru_cell(gates: Array, state: list[Array], products: Sequence[Product], how: dict[str, Any]) -> list[Array]:
    f, g = how["functions"]
    (hidden,) = state
    size = hidden.shape[-1]
    recurrent = products[0](hidden)
    z, r = np.split(f(_clipped(gates[:, : 2 * size] + recurrent[:, : 2 * size], how["clip"])), 2, axis=-1)
    inner = r * recurrent[:, 2 * size :] if how["linear_before_reset"] else products[1](r * hidden)
    candidate = g(_clipped(gates[:, 2 * size :] + inner, how["clip"]))
    return [(1 - z) * candidate + z * hidden]


def _rnn_cell(gates: Array, state: list[Array], products: Sequence[Product], how: dict[str, Any]) -> list[Array]:
    (f,) = how["functions"]
    return [f(_clipped(gates + products[0](state[0]), how["clip"]))]


_CELLS = {"LSTM": _lstm_cell, "GRU": _gru_cell, "RNN": _rnn_cell}


def _run(name: str) -> Callable[[list[Any], dict[str, Any], Sequence[Product]], list[Array]]:
    def run(inputs: list[Any], attributes: dict[str, Any], products: Sequence[Product]) -> list[Array]:
        if attributes["cell"]:
            return run_gates(inputs, attributes, products)
        x, _, _, bias, lengths, h0, c0, peepholes = (*inputs, *[None] * 8)[:8]
        if bias is not None:
            raise NetworkError(f"{name}'s weights are constant but its biases are not")
        batch_first = bool(attributes["layout"])
        x = x.swapaxes(0, 1) if batch_first else x
        size, directions = attributes["hidden_size"], DIRECTIONS[attributes["direction"]]
        each = len(products) // len(directions)
        steps, batch = x.shape[:2]
        order = _orders(steps, batch, lengths)
        outputs, last = [], []
        for d, backwards in enumerate(directions):
            how = {
                **attributes,
                "functions": _functions(name, attributes, d),
                "peepholes": _peepholes(peepholes, d, size),
            }
            first, others = products[d * each], products[d * each + 1 : (d + 1) * each]
            given = [h0, c0] if name == "LSTM" else [h0]
            state = [initial_state(s, d, batch, size, x.dtype, batch_first) for s in given]
            sequence = np.take_along_axis(x, order[..., None], 0) if backwards else x
            gates = first(sequence.reshape(steps * batch, -1)).reshape(steps, batch, -1)
            y, state = _sequence(name, gates, state, others, how, lengths)
            outputs.append(np.take_along_axis(y, order[..., None], 0) if backwards else y)
            last.append(state)
        return _arranged(outputs, last, batch_first)

    return run


def _sequence(
    name: str, gates: Array, state: list[Array], products: Sequence[Product], how: dict[str, Any], lengths: Array | None
) -> tuple[Array, list[Array]]:
    y = np.zeros((*gates.shape[:2], how["hidden_size"]), state[0].dtype)
    for step in range(len(gates)):
        new = [part.astype(y.dtype, copy=False) for part in _CELLS[name](gates[step], state, products, how)]
        if lengths is not None:  # a sequence that has ended keeps its state
            alive = (step < lengths)[:, None]
            y[step] = np.where(alive, new[0], 0)
            state = [np.where(alive, after, before) for after, before in zip(new, state, strict=True)]
        else:
            y[step], state = new[0], new
    return y, state


def _orders(steps: int, batch: int, lengths: Array | None) -> Array:
    """Return the steps of every sequence backwards, from its own end: shape (steps, batch)."""
    step = np.arange(steps)[:, None]
    ends = np.full(batch, steps) if lengths is None else lengths.astype(np.intp)
    return np.where(step < ends, ends - 1 - step, step)


def _peepholes(peepholes: Array | None, direction: int, size: int) -> list[Any]:
    return [0, 0, 0] if peepholes is None else list(peepholes[direction].reshape(3, size))


def _arranged(outputs: list[Array], last: list[list[Array]], batch_first: bool) -> list[Array]:
    y = np.stack(outputs, axis=1)
    states = [np.stack(parts) for parts in zip(*last, strict=True)]
    if batch_first:
        return [y.transpose(2, 0, 1, 3), *(state.swapaxes(0, 1) for state in states)]
    return [y, *states]


def _shape(x: Array, w: Array, r: Array, *others: Array | None, layout: int, **_: Any) -> list[Shape]:
    if x.ndim != 3 or w.ndim != 3 or r.ndim != 3 or x.shape[2] != w.shape[2]:
        raise NetworkError(f"an input of shape {x.shape} does not fit weights of {w.shape} and {r.shape}")
    size, directions = r.shape[-1], len(w)
    first, second = x.shape[:2]
    if layout:
        return [(first, second, directions, size), (first, directions, size), (first, directions, size)]
    return [(first, directions, second, size), (directions, second, size), (directions, second, size)]


def lstm(
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    sequence_lens: Array | None = None,
    initial_h: Array | None = None,
    initial_c: Array | None = None,
    p: Array | None = None,
    *,
    activation_alpha: list[float] | None = None,
    activation_beta: list[float] | None = None,
    activations: list[str] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    input_forget: int = 0,
    layout: int = 0,
    cell: str | None = None,
    input_bits: int = STATE_BITS,
) -> Any:
    attributes = _attributes(locals())
    return evaluate_as_products("LSTM", [x, w, r, b, sequence_lens, initial_h, initial_c, p], (1, 2, 3), **attributes)


def gru(
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    sequence_lens: Array | None = None,
    initial_h: Array | None = None,
    *,
    activation_alpha: list[float] | None = None,
    activation_beta: list[float] | None = None,
    activations: list[str] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
    linear_before_reset: int = 0,
    cell: str | None = None,
    input_bits: int = STATE_BITS,
) -> Any:
    attributes = _attributes(locals())
    return evaluate_as_products("GRU", [x, w, r, b, sequence_lens, initial_h], (1, 2, 3), **attributes)


def rnn(
    x: Array,
    w: Array,
    r: Array,
    b: Array | None = None,
    sequence_lens: Array | None = None,
    initial_h: Array | None = None,
    *,
    activation_alpha: list[float] | None = None,
    activation_beta: list[float] | None = None,
    activations: list[str] | None = None,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
    cell: None = None,
) -> Any:
    attributes = _attributes(locals())
    return evaluate_as_products("RNN", [x, w, r, b, sequence_lens, initial_h], (1, 2, 3), **attributes)


def _attributes(arguments: dict[str, Any]) -> dict[str, Any]:
    inputs = ("x", "w", "r", "b", "sequence_lens", "initial_h", "initial_c", "p")
    return {name: value for name, value in arguments.items() if name not in inputs}


for _name, _signature in (("LSTM", lstm), ("GRU", gru), ("RNN", rnn)):
    enter(_name, Linear(_weights, _prepare, _matrices(_name), _run(_name)), _signature, _shape)
