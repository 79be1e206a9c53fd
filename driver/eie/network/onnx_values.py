"""What an ONNX file says of tensors: names, types and sizes, and the arrays of constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from eie.errors import NetworkError
from eie.network.graph import Value
from eie.network.operators.elementwise import dtype_of
from eie.network.operators.table import check_elements


def array_of(tensor: Any) -> Any:
    """Return the array of a constant; bfloat16, which numpy lacks, as the float32 that it is the half of."""
    from onnx import TensorProto, numpy_helper

    array = numpy_helper.to_array(tensor)
    return array.astype(np.float32) if tensor.data_type == TensorProto.BFLOAT16 else array


def dense_array(tensor: Any) -> Any:
    """Return the array of a sparse constant: its values at the places that its indices name, 0 elsewhere."""
    shape, values, indices = tuple(tensor.dims), array_of(tensor.values), array_of(tensor.indices)
    check_elements(shape)
    array = np.zeros(shape, values.dtype)
    places = tuple(indices.T) if indices.ndim == 2 else np.unravel_index(indices, shape)
    array[places] = values
    return array


def constant_array(attributes: dict[str, Any]) -> Any:
    """Return the array of a Constant node."""
    name, value = next(iter(attributes.items()), ("nothing", None))
    if name in ("value", "sparse_value"):
        return value
    if name in ("value_float", "value_floats"):
        return np.array(value, np.float32)
    if name in ("value_int", "value_ints"):
        return np.array(value, np.int64)
    raise NetworkError(f"a Constant node holds {name}; tensors and numbers are supported")


def end_of(described: Any, name: str, graph: Any, inner: bool = False) -> Value:
    """Return a tensor that the graph is to end at, or say which outputs are left if its type is not supported."""
    try:
        return Value(name, shape=None) if described is None else value_of(described, inner)
    except NetworkError as error:
        others = [value.name for value in graph.output if value.name != name] or _before(name, graph)
        hint = f"; name others: outputs={others}, on the command line --outputs {' '.join(others)}" if others else ""
        raise NetworkError(f"output {name!r}: {error}{hint}") from error


def _before(name: str, graph: Any) -> list[str]:
    """Return the data that a tensor is made of."""
    constants = {tensor.name for tensor in graph.initializer} | {""}
    return [given for node in graph.node if name in node.output for given in node.input if given not in constants]


def value_of(value: Any, inner: bool = False) -> Value:
    """Return what a file says of a tensor: its name, type and sizes; within a network there are sequences too."""
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        if inner or value.type.WhichOneof("value") is None:
            return Value(value.name)
        raise NetworkError(f"{value.name!r} is no tensor but a {value.type.WhichOneof('value')}")
    dtype = dtype_of(tensor.elem_type).name if tensor.elem_type else "float32"
    if not tensor.HasField("shape"):
        return Value(value.name, dtype)
    # Inference gives sizes below 0 in branches that are not taken.
    shape = tuple(
        d.dim_param or None if not d.HasField("dim_value") or d.dim_value < 0 else d.dim_value for d in tensor.shape.dim
    )
    check_elements(tuple(size if isinstance(size, int) else 1 for size in shape))
    return Value(value.name, dtype, shape)


def require_text(message: Any) -> None:
    """Refuse a file with a string that is not UTF-8: protobuf hands it on as bytes."""
    for field, value in message.ListFields():
        one = isinstance(value, (str, bytes)) or hasattr(value, "ListFields")
        several = (value,) if one else value
        if field.type == field.TYPE_MESSAGE:
            for part in several:
                require_text(part)
        elif field.type == field.TYPE_STRING:
            for text in several:
                if not isinstance(text, str):
                    raise NetworkError(f"{field.name} {text!r} is not UTF-8; the file is damaged, export it anew")
