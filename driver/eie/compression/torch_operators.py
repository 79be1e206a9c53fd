"""Operators of a graph in torch, where gradients have to go back through them. Extra "train": PyTorch.

What moves elements is the operator's own evaluation, of the elements' numbers; what gives no floats, as a shape or a
comparison, is computed without gradients. `eie.compression.torch_graph` computes a graph by them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from eie.compression.student import torch
from eie.errors import NetworkError
from eie.network.graph import Array, Node
from eie.network.operators import OPERATORS
from eie.network.operators.elementwise import dtype_of
from eie.network.operators.reduction import batch_norm_affine
from eie.network.operators.table import axis_of
from eie.network.operators.windows import Geometry, window

Tensor = torch.Tensor
F = torch.nn.functional
Value = Any
"""A tensor, an array, or None for an input that is not given."""

_CONVOLUTIONS = (F.conv1d, F.conv2d, F.conv3d)
_LARGEST = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
_SMALLEST = float(np.finfo(np.float32).tiny)


def run(node: Node, values: Sequence[Value]) -> list[Value]:
    """Compute a node of whose inputs some are tensors, or raise `NetworkError` if no gradient goes through it."""
    name, attributes = node.operator, node.attributes
    if name in FUNCTIONS:
        found = FUNCTIONS[name](*(_tensor(x) for x in values), **attributes)
        return [found]
    if name in READING:
        found = READING[name](*values, **attributes)
        return list(found) if isinstance(found, list) else [found]
    if "num_outputs" in attributes and not attributes["num_outputs"]:
        attributes = {**attributes, "num_outputs": len(node.outputs)}
    if name in MOVING:
        return _moved(name, values, attributes)
    plain = [x.detach().numpy() if isinstance(x, Tensor) else x for x in values]
    outputs = OPERATORS[name].run(plain, attributes)
    if any(np.asarray(output).dtype.kind == "f" for output in outputs):
        raise NetworkError(f'no gradient goes back through {name}, which refit="whole" needs; compress without')
    return list(outputs)


def _tensor(x: Value) -> Tensor | None:
    """Return a value as a tensor; floats of any width are float32."""
    if x is None:
        return None
    found = x if isinstance(x, Tensor) else torch.as_tensor(np.require(x, requirements=["C", "W"]))
    return found.float() if found.is_floating_point() else found


def _moved(name: str, values: Sequence[Value], attributes: dict[str, Any]) -> list[Tensor]:
    """Compute an operator that moves elements: by the numbers of all float elements, from 1 on; 0 stands for 0."""
    parts, numbers, count = [torch.zeros(1)], [], 1
    for x in values:
        tensor = None if x is None else _tensor(x)
        if tensor is None or not tensor.is_floating_point():
            numbers.append(x)
            continue
        numbers.append(np.arange(count, count + tensor.numel()).reshape(tuple(tensor.shape)))
        parts.append(tensor.reshape(-1))
        count += tensor.numel()
    whole = torch.cat(parts)
    outputs = OPERATORS[name].run(numbers, attributes)
    return [whole[torch.as_tensor(np.ascontiguousarray(output))] for output in outputs]


MOVING = (
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Concat", "Split", "Slice", "Gather", "GatherElements",
    "GatherND", "Pad", "Expand", "Tile", "Trilu", "DepthToSpace", "SpaceToDepth",
)  # fmt: skip


# Windows.


def convolve(x: Tensor, weight: Tensor, groups: int, geometry: Geometry) -> Tensor:
    """Convolve with weights of shape (Cout, Cin / groups, *kernel)."""
    rank = len(geometry.kernel)
    if rank > len(_CONVOLUTIONS):
        raise NetworkError(f"no gradient goes back through a convolution of {rank} dimensions")
    return _CONVOLUTIONS[rank - 1](
        _padded(x, geometry), weight, stride=geometry.strides, dilation=geometry.dilations, groups=groups
    )


def _padded(x: Tensor, geometry: Geometry, fill: float = 0.0) -> Tensor:
    """Pad, or cut, an input to what the windows read."""
    widths: list[int] = []
    for i in reversed(range(len(geometry.kernel))):
        reach = (geometry.kernel[i] - 1) * geometry.dilations[i] + 1
        read = (geometry.outputs[i] - 1) * geometry.strides[i] + reach
        widths += [geometry.before[i], read - geometry.before[i] - x.shape[2 + i]]
    return F.pad(x, widths, value=fill) if any(widths) else x


def _window(x: Tensor, attributes: dict[str, Any]) -> Geometry:
    names = ("kernel_shape", "strides", "dilations", "pads", "auto_pad", "ceil_mode")
    return window(tuple(x.shape[2:]), *(attributes[name] for name in names))


def _max_pool(x: Tensor, **attributes: Any) -> Tensor:
    geometry = _window(x, attributes)
    pool = _LARGEST[len(geometry.kernel) - 1]
    return pool(_padded(x, geometry, -math.inf), geometry.kernel, geometry.strides, dilation=geometry.dilations)


def _average_pool(x: Tensor, **attributes: Any) -> Tensor:
    geometry = _window(x, attributes)

    def sums(y: Tensor) -> Tensor:
        flat = y.reshape(-1, 1, *y.shape[2:])
        found = convolve(flat, torch.ones(1, 1, *geometry.kernel), 1, geometry)
        return found.reshape(*y.shape[:2], *found.shape[2:])

    ones = torch.ones(1, 1, *x.shape[2:])
    means = OPERATORS["AveragePool"].evaluate(ones.numpy(), **attributes)
    return sums(x) * (torch.as_tensor(means) / sums(ones))


# Reductions and normalisations.


def _reduction(function: Callable[[Tensor, tuple[int, ...], bool], Tensor]) -> Callable[..., Tensor]:
    def evaluate(x: Tensor, axes: Value = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
        if axes is None or not np.size(axes):
            over = () if noop_with_empty_axes else tuple(range(x.ndim))
        else:
            over = tuple(axis_of(int(axis), x.ndim) for axis in np.ravel(axes))
        return function(x, over, bool(keepdims)) if over else x

    return evaluate


def _softmax(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def evaluate(x: Tensor, *, axis: int = -1, flattened: int = 0) -> Tensor:
        axis = axis_of(axis, x.ndim)
        return function(x.flatten(axis), dim=axis).reshape(x.shape) if flattened else function(x, dim=axis)

    return evaluate


def _along_channels(values: Tensor, x: Tensor) -> Tensor:
    return values.reshape(-1, *(1 for _ in x.shape[2:]))


def _standardised(x: Tensor, over: tuple[int, ...], epsilon: float) -> list[Tensor]:
    mean = x.mean(over, keepdim=True)
    inverse = torch.rsqrt((x - mean).square().mean(over, keepdim=True) + epsilon)
    return [(x - mean) * inverse, mean, inverse]


def _layer_norm(
    x: Tensor, scale: Tensor, bias: Tensor | None = None, *, axis: int, epsilon: float, stash_type: int
) -> list[Tensor]:
    y, mean, inverse = _standardised(x, tuple(range(axis_of(axis, x.ndim), x.ndim)), epsilon)
    y = y * torch.as_tensor(scale)
    return [y if bias is None else y + torch.as_tensor(bias), mean, inverse]


def _rms_norm(x: Tensor, scale: Tensor, *, axis: int, epsilon: float, stash_type: int) -> Tensor:
    over = tuple(range(axis_of(axis, x.ndim), x.ndim))
    return x * torch.rsqrt(x.square().mean(over, keepdim=True) + epsilon) * scale


def _batch_norm(
    x: Tensor,
    scale: Array,
    bias: Array,
    mean: Array,
    variance: Array,
    *,
    epsilon: float,
    momentum: float,
    training_mode: int,
) -> Tensor:
    affine = batch_norm_affine(scale, bias, mean, variance, epsilon)
    factor, offset = (torch.as_tensor(part, dtype=torch.float32) for part in affine)
    return x * _along_channels(factor, x) + _along_channels(offset, x)


def _instance_norm(x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float) -> Tensor:
    y, _, _ = _standardised(x, tuple(range(2, x.ndim)), epsilon)
    return y * _along_channels(scale, x) + _along_channels(bias, x)


def _lp_norm(x: Tensor, *, axis: int, p: int) -> Tensor:
    norm = x.abs().sum(axis, keepdim=True) if p == 1 else _root(x.square().sum(axis, keepdim=True))
    return torch.where(norm == 0, 0.0, x / torch.where(norm == 0, 1.0, norm))


def _root(x: Tensor) -> Tensor:
    """Return the square root, whose gradient at 0 is not infinite here."""
    return torch.sqrt(x.clamp(min=_SMALLEST)) * (x > 0)


# Element by element.


def _clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    x = x if low is None else torch.maximum(x, low)
    return x if high is None else torch.minimum(x, high)


def _cast(x: Tensor, dtype: np.dtype[Any]) -> Value:
    return x if dtype.kind == "f" else x.detach().numpy().astype(dtype)


def _power(a: Tensor, b: Tensor) -> Tensor:
    if b.numel() == 1 and not b.requires_grad:  # a whole exponent has a gradient at 0, and below
        return torch.pow(a, b.reshape(()).item()) if float(b) != 0.5 else _root(a).reshape(a.shape)
    return torch.pow(a, b)


def _gemm(
    a: Tensor, b: Tensor, c: Tensor | None = None, *, alpha: float, beta: float, transA: int, transB: int
) -> Tensor:
    y = alpha * ((a.T if transA else a) @ (b.T if transB else b))
    return y if c is None else y + beta * c


def _same_shape(first: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda *x: reduce(first, x)


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "Relu": torch.relu,
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "Erf": torch.erf,
    "HardSwish": lambda x: x * torch.clamp(x / 6 + 0.5, 0, 1),
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Mish": F.mish,
    "Exp": torch.exp,
    "Log": torch.log,
    "Sqrt": _root,
    "Reciprocal": torch.reciprocal,
    "Abs": torch.abs,
    "Neg": torch.neg,
    "Sin": torch.sin,
    "Cos": torch.cos,
    "Identity": lambda x: x,
    "LeakyRelu": lambda x, alpha: F.leaky_relu(x, alpha),
    "ThresholdedRelu": lambda x, alpha: torch.where(x > alpha, x, 0.0),
    "Elu": lambda x, alpha: F.elu(x, alpha),
    "Celu": lambda x, alpha: F.celu(x, alpha),
    "Selu": lambda x, alpha, gamma: gamma * F.elu(x, alpha),
    "HardSigmoid": lambda x, alpha, beta: torch.clamp(alpha * x + beta, 0, 1),
    "Gelu": lambda x, approximate: F.gelu(x, approximate=approximate),
    "Swish": lambda x, alpha: x * torch.sigmoid(alpha * x),
    "Clip": _clip,
    "PRelu": lambda x, slope: torch.where(x < 0, x * slope, x),
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Div": torch.div,
    "Pow": _power,
    "Min": _same_shape(torch.minimum),
    "Max": _same_shape(torch.maximum),
    "Sum": _same_shape(torch.add),
    "Mean": lambda *x: reduce(torch.add, x) / len(x),
    "Where": torch.where,
    "MatMul": lambda a, b, bias=None, weight_rank=2: a @ b if bias is None else a @ b + bias,
    "Gemm": _gemm,
    "Einsum": lambda *x, equation: torch.einsum(equation, *x),
    "GlobalAveragePool": lambda x: x.mean(tuple(range(2, x.ndim)), keepdim=True),
    "GlobalMaxPool": lambda x: x.amax(tuple(range(2, x.ndim)), keepdim=True),
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "Softmax": _softmax(torch.softmax),
    "LogSoftmax": _softmax(torch.log_softmax),
    "RMSNormalization": _rms_norm,
    "InstanceNormalization": _instance_norm,
    "LpNormalization": _lp_norm,
}
"""Operators that take tensors only."""

READING: dict[str, Callable[..., Any]] = {
    "Cast": lambda x, to, **how: _cast(x, dtype_of(to)),
    "CastLike": lambda x, like, **how: _cast(x, like.numpy().dtype if isinstance(like, Tensor) else like.dtype),
    "Dropout": lambda x, *others, **how: [x, np.ones(tuple(x.shape), bool)],
    "LayerNormalization": _layer_norm,
    "BatchNormalization": _batch_norm,
    "ReduceMean": _reduction(lambda x, over, keep: x.mean(over, keepdim=keep)),
    "ReduceSum": _reduction(lambda x, over, keep: x.sum(over, keepdim=keep)),
    "ReduceMax": _reduction(lambda x, over, keep: x.amax(over, keepdim=keep)),
    "ReduceMin": _reduction(lambda x, over, keep: x.amin(over, keepdim=keep)),
    "ReduceL1": _reduction(lambda x, over, keep: x.abs().sum(over, keepdim=keep)),
    "ReduceL2": _reduction(lambda x, over, keep: _root(x.square().sum(over, keepdim=keep))),
    "ReduceSumSquare": _reduction(lambda x, over, keep: x.square().sum(over, keepdim=keep)),
}
"""Operators that read some inputs as they are, as axes."""
