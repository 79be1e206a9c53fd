"""Reader of fully connected ONNX graphs: one chain of nodes with constant weights, and nothing else."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.errors import MissingExtraError, NetworkError
from eie.network.dense import Dense
from eie.network.npz import readable

_INPUTS = {"Gemm": (2, 3), "MatMul": (2, 2), "Add": (2, 2), "Reshape": (2, 2)}
_ROWS, _COLUMNS = "rows", "columns"


def read_onnx(path: Path) -> list[Dense]:
    """Return the layers of an ONNX file.

    Read are Gemm, MatMul (weights on either side), Add of a constant, Relu, Flatten, Reshape to (batch, features) and
    Identity; weights may be initializers or outputs of Constant nodes.

    Raises
    ------
    NetworkError
        If the file is damaged or the graph holds anything else; the message names operator and node.
    MissingExtraError
        If onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("reading .onnx needs onnx: pip install 'eie-pynq[onnx]'") from error
    with readable(path, ".onnx", NetworkError):
        model = onnx.load(str(path))
        chain = _Chain(f"{path}", model.graph)
        for node in model.graph.node:
            chain.take(node)
        layers = chain.finish([output.name for output in model.graph.output])
        # Last, for what is not supported has a better message above: types, names, and every shape that is declared.
        model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        onnx.checker.check_model(model)
        return layers


class _Chain:
    """The layers so far, and the one value that the next node must take.

    A batch may lie in memory as rows (batch, features) or as columns (features, batch); which one, the first product
    decides. A single vector has neither."""

    def __init__(self, source: str, graph: Any) -> None:
        from onnx import numpy_helper

        self.source = source
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        inputs = [value for value in graph.input if value.name not in self.constants]
        if len(inputs) != 1:
            raise NetworkError(f"{source}: the graph has {len(inputs)} inputs; it must have one")
        self.value = inputs[0].name
        shape = inputs[0].type.tensor_type.shape if inputs[0].type.tensor_type.HasField("shape") else None
        self.rank = len(shape.dim) if shape is not None else None
        self.dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in shape.dim] if shape else []
        self.layout: str | None = None
        self.weights: list[NDArray[Any]] = []
        self.biases: list[NDArray[Any] | None] = []
        self.activations: list[str | None] = []
        self.names: list[str] = []

    def take(self, node: Any) -> None:
        """Take one node of the graph."""
        operator, name = node.op_type, node.name or (node.output[0] if node.output else "")
        where = f"{self.source}: {operator} node {name!r}"
        handler = getattr(self, f"_{operator.lower()}", None)
        known = ("Gemm", "MatMul", "Add", "Relu", "Flatten", "Reshape", "Identity", "Constant")
        if operator not in known or handler is None or node.domain not in ("", "ai.onnx"):
            raise NetworkError(f"{where} is not supported; a fully connected network has {', '.join(known)}")
        if operator == "Constant":
            self._constant(node, where)
            return
        least, most = _INPUTS.get(operator, (1, 1))
        inputs = [value for value in node.input if value]
        if not least <= len(inputs) <= most or len(node.output) != 1:
            raise NetworkError(f"{where} has {len(inputs)} inputs; it takes {least}" + (f" to {most}" * (most > least)))
        if operator == "Identity" and inputs[0] in self.constants:
            self.constants[node.output[0]] = self.constants[inputs[0]]
            return
        data = [value for value in inputs if value not in self.constants]
        if data != [self.value]:
            raise NetworkError(
                f"{where} computes with {', '.join(map(repr, data)) or 'constants only'}; only a single chain with "
                f"constant weights is supported, here it must take {self.value!r}"
            )
        handler(node, where)
        self.value = node.output[0]

    def finish(self, outputs: list[str]) -> list[Dense]:
        """Return the layers."""
        from eie.network.readers import make_dense

        if outputs != [self.value]:
            raise NetworkError(f"{self.source}: the graph puts out {outputs}; the chain ends in {self.value!r}")
        return [
            make_dense(*parts, self.source)
            for parts in zip(self.weights, self.biases, self.activations, self.names, strict=True)
        ]

    def _constant(self, node: Any, where: str) -> None:
        from onnx import numpy_helper

        if len(node.attribute) != 1 or node.attribute[0].name != "value":
            raise NetworkError(f"{where} is not supported: it must hold a tensor in its attribute 'value'")
        try:
            self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        except Exception as error:
            raise NetworkError(f"{where}: its tensor is damaged ({error})") from error

    def _gemm(self, node: Any, where: str) -> None:
        options = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0, **_attributes(node)}
        data_first = node.input[0] == self.value
        matrix = self._weight(node.input[1 if data_first else 0], where)
        if data_first:
            self._require_layout(_COLUMNS if options["transA"] else _ROWS, where)
            weight = matrix if options["transB"] else matrix.T
            self.layout = _ROWS
        else:
            self._require_layout(_ROWS if options["transB"] else _COLUMNS, where)
            weight = matrix.T if options["transA"] else matrix
            self.layout = _COLUMNS
        if self.rank == 1:
            raise NetworkError(f"{where} takes a matrix, but the graph's input is a vector")
        self._add_layer(weight if options["alpha"] == 1 else weight * np.float32(options["alpha"]), node)
        if len(node.input) == 3 and node.input[2]:
            if node.input[2] == self.value:
                raise NetworkError(f"{where}: its C is not constant")
            self._add_bias(self._floats(node.input[2], where) * np.float32(options["beta"]), where)

    def _matmul(self, node: Any, where: str) -> None:
        data_first = node.input[0] == self.value
        matrix = self._weight(node.input[1 if data_first else 0], where)
        if self.rank != 1:
            self._require_layout(_ROWS if data_first else _COLUMNS, where)
        self._add_layer(matrix.T if data_first else matrix, node)

    def _add(self, node: Any, where: str) -> None:
        if not self.weights or self.activations[-1] is not None:
            raise NetworkError(f"{where} does not follow a Gemm or MatMul; a bias can only be added to a product")
        self._add_bias(self._floats(node.input[1 if node.input[0] == self.value else 0], where), where)

    def _relu(self, node: Any, where: str) -> None:
        if not self.weights:
            raise NetworkError(f"{where} comes before the first Gemm or MatMul; apply it to the inputs instead")
        self.activations[-1] = "relu"

    def _identity(self, node: Any, where: str) -> None:
        """Nothing to do."""

    def _flatten(self, node: Any, where: str) -> None:
        axis = _attributes(node).get("axis", 1)
        if axis != 1 or self.rank == 1:
            raise NetworkError(f"{where} has axis {axis}; it must be 1, after the batch")
        self._require_layout(_ROWS, where)
        self.rank = 2

    def _reshape(self, node: Any, where: str) -> None:
        constant = self.constants.get(node.input[1])
        target: Any = None if constant is None else constant.tolist()
        batch = self.dims[0] if self.dims else None
        features = self.weights[-1].shape[0] if self.weights else self._declared_features()
        if (
            constant is None
            or constant.dtype.kind != "i"
            or constant.shape != (2,)
            or target == [-1, -1]
            or (target[1] != -1 and (target[1] < 1 or features not in (None, target[1])))
            # A batch of a fixed size, as some exporters write it: nothing but the batch if all features stay together.
            or (target[0] not in (-1, 0) and (target[0] < 1 or target[1] != features or batch not in (None, target[0])))
        ):
            raise NetworkError(f"{where} reshapes to {target}; only (batch, features) is supported")
        self._require_layout(_ROWS, where)
        self.rank = 2

    def _declared_features(self) -> int | None:
        """Return what an input of the graph holds behind its batch, if that is declared."""
        known = [size for size in self.dims[1:] if size is not None]
        return prod(known) if len(known) == len(self.dims) - 1 else None

    def _require_layout(self, layout: str, where: str) -> None:
        shape: dict[str | None, str] = {_ROWS: "(batch, features)", _COLUMNS: "(features, batch)"}
        if self.layout is not None and self.layout != layout:
            raise NetworkError(f"{where} takes its input as {shape[layout]}, but gets {shape[self.layout]}")
        self.layout = layout

    def _floats(self, name: str, where: str) -> NDArray[Any]:
        array = self.constants[name]
        if array.dtype.kind != "f":
            raise NetworkError(f"{where}: constant {name!r} is {array.dtype}; it must hold floats")
        return array

    def _weight(self, name: str, where: str) -> NDArray[Any]:
        array = self._floats(name, where)
        if array.ndim != 2:
            raise NetworkError(f"{where}: weight {name!r} has shape {array.shape}; it must have two dimensions")
        if self.rank not in (None, 1, 2):
            raise NetworkError(f"{where}: its input has {self.rank} dimensions; flatten it first")
        return array

    def _add_layer(self, weight: NDArray[Any], node: Any) -> None:
        self.weights.append(weight)
        self.biases.append(None)
        self.activations.append(None)
        self.names.append(node.name or node.output[0])

    def _add_bias(self, bias: NDArray[Any], where: str) -> None:
        rows = self.weights[-1].shape[0]
        shape: tuple[int, ...] = {_ROWS: (1, rows), _COLUMNS: (rows, 1), None: (rows,)}[self.layout]
        try:
            flat = np.broadcast_to(bias, shape).reshape(rows)
        except ValueError:
            raise NetworkError(f"{where}: its bias has shape {bias.shape}, which does not fit {shape}") from None
        before = self.biases[-1]
        self.biases[-1] = flat if before is None else before + flat


def _attributes(node: Any) -> dict[str, Any]:
    import onnx

    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
