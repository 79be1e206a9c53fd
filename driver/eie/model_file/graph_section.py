"""A compressed graph as a section of the model file: its nodes as JSON, its constants as they lie in memory."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from eie.errors import EieError, ModelFileError
from eie.model_file.fields import Content, Reader, Writer
from eie.model_file.huffman import deflate, inflate
from eie.network.graph import DEPTH_LIMIT, Array, Graph, Node, Value
from eie.network.graph_model import ArrayProduct, GraphModel
from eie.network.model import Layer, Model
from eie.network.operators import OPERATORS
from eie.network.operators.elementwise import DTYPES
from eie.network.operators.table import check_elements

TEXT_LIMIT = 1 << 24
"""Most bytes of the JSON."""
CONSTANTS_LIMIT = 1 << 28
"""Most bytes of all constants together."""
_EXACT = ("output_scales", "offsets")


def encode_graph(model: GraphModel) -> bytes:
    """Encode all of a compressed graph but its layers, name and metadata."""
    arrays: list[Array] = []
    text = {"graph": _graph(model.graph, arrays), "products": _products(model, arrays)}
    data = b"".join(np.ascontiguousarray(a, a.dtype.newbyteorder("<")).tobytes() for a in arrays)
    header = json.dumps({**text, "arrays": [[a.dtype.name, list(a.shape)] for a in arrays]}, separators=(",", ":"))
    if len(header) > TEXT_LIMIT or len(data) > CONSTANTS_LIMIT:
        raise ModelFileError(
            f"the graph takes {len(header)} bytes of text and {len(data)} of constants; the limits are {TEXT_LIMIT} "
            f"and {CONSTANTS_LIMIT}"
        )
    section = Writer()
    section.section(deflate(header.encode()))
    section.section(deflate(data))
    return bytes(section.data)


def decode_graph(data: Content, layers: Sequence[Layer], name: str, metadata: dict[str, Any]) -> GraphModel:
    """Return the model that `encode_graph` encoded, every part checked."""
    section = Reader(data)
    text = json.loads(inflate(section.section("graph"), TEXT_LIMIT))
    constants = section.section("constants")
    section.end("the graph")
    try:
        arrays = _arrays(text["arrays"], constants)
        products, left = {}, iter(layers)
        for key, parts in text["products"]:
            products[key] = tuple(_product(part, left, arrays) for part in parts)
        if next(left, None) is not None:
            raise ModelFileError("there are layers that no node of the graph uses")
        return GraphModel(_read_graph(text["graph"], arrays, ()), products, name, metadata)
    except (KeyError, IndexError, TypeError, AttributeError, StopIteration) as error:
        raise ModelFileError(f"the graph is damaged ({type(error).__name__}: {error})") from error


def graph_summary(data: Content) -> dict[str, int]:
    """Return how often each operator occurs, decoding no more than the text."""
    counts: dict[str, int] = {}

    def count(nodes: list[Any]) -> None:
        for operator, _, _, attributes, _ in nodes:
            counts[operator] = counts.get(operator, 0) + 1
            for value in attributes.values():
                if isinstance(value, dict) and "graph" in value:
                    count(value["graph"]["nodes"])

    count(json.loads(inflate(Reader(data).section("graph"), TEXT_LIMIT))["graph"]["nodes"])
    return counts


def _graph(graph: Graph, arrays: list[Array]) -> dict[str, Any]:
    return {
        "name": graph.name,
        "inputs": [[v.name, v.dtype, v.shape] for v in graph.inputs],
        "outputs": [[v.name, v.dtype, v.shape] for v in graph.outputs],
        "constants": [[name, _store(array, arrays)] for name, array in graph.constants.items()],
        "nodes": [
            [node.operator, node.inputs, node.outputs, _attributes(node, arrays), node.name] for node in graph.nodes
        ],
    }


def _store(array: Array, arrays: list[Array]) -> int:
    if array.dtype.name not in DTYPES.values():
        raise ModelFileError(f"a constant is {array.dtype}; the model file holds {', '.join(DTYPES.values())}")
    arrays.append(array)
    return len(arrays) - 1


def _attributes(node: Node, arrays: list[Array]) -> dict[str, Any]:
    """Return the attributes that are not the operator's defaults."""
    defaults = OPERATORS[node.operator].attributes if node.operator in OPERATORS else {}
    found: dict[str, Any] = {}
    for name, value in node.attributes.items():
        if isinstance(value, Graph):
            found[name] = {"graph": _graph(value, arrays)}
        elif isinstance(value, np.ndarray):
            found[name] = {"array": _store(value, arrays)}
        elif name not in defaults or value != defaults[name]:
            found[name] = value
    return found


def _products(model: GraphModel, arrays: list[Array]) -> list[Any]:
    found = []
    for node in model.graph.walk():
        parts = []
        for product in model.products.get(node.outputs[0], ()):
            exact = [getattr(product, name) for name in _EXACT]
            stored = [None if values is None else _store(values, arrays) for values in exact]
            parts.append([len(product.model.layers), product.model.name, product.input_scale, product.parts, *stored])
        if parts:
            found.append([node.outputs[0], parts])
    return found


def _arrays(entries: list[Any], data: Content) -> list[Array]:
    sizes = []
    for dtype, shape in entries:
        if dtype not in DTYPES.values():
            raise ModelFileError(f"a constant is {dtype!r}; the model file holds {', '.join(DTYPES.values())}")
        if not all(isinstance(size, int) for size in shape):
            raise ModelFileError(f"a constant has the shape {shape}")
        check_elements(tuple(shape))
        sizes.append(int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize)
    whole = inflate(data, min(CONSTANTS_LIMIT, sum(sizes)))
    if len(whole) != sum(sizes):
        raise ModelFileError(f"constants have {len(whole)} bytes; their shapes need {sum(sizes)}")
    ends = list(itertools.accumulate(sizes, initial=0))
    return [
        np.frombuffer(whole[ends[i] : ends[i + 1]], np.dtype(dtype).newbyteorder("<")).reshape(shape).astype(dtype)
        for i, (dtype, shape) in enumerate(entries)
    ]


def _product(part: list[Any], layers: Any, arrays: list[Array]) -> ArrayProduct:
    count, name, scale, parts, *stored = part
    taken = [next(layers) for _ in range(int(count))]
    values = [None if index is None else arrays[index].astype(np.float64) for index in stored]
    scale = None if scale is None else float(scale)
    if not isinstance(parts, int) or parts < 1:
        raise ModelFileError(f"an output has {parts!r} parts")
    return ArrayProduct(Model(taken, str(name)), scale, values[0], parts, values[1])


def _read_graph(entry: dict[str, Any], arrays: list[Array], outer: Sequence[str], depth: int = 0) -> Graph:
    if depth > DEPTH_LIMIT:
        raise ModelFileError(f"branches are nested more than {DEPTH_LIMIT} deep")
    inputs, outputs = ([_value(*value) for value in entry[key]] for key in ("inputs", "outputs"))
    constants = {str(name): arrays[index] for name, index in entry["constants"]}
    made = {str(name) for node in entry["nodes"] for name in node[2]}
    visible = (*outer, *constants, *made, *(value.name for value in inputs))
    nodes = []
    for operator, read, written, attributes, name in entry["nodes"]:
        values = {str(key): _attribute(value, arrays, visible, depth) for key, value in attributes.items()}
        nodes.append(Node(str(operator), tuple(map(str, read)), tuple(map(str, written)), values, str(name)))
    try:
        return Graph(nodes, inputs, outputs, constants, str(entry["name"]), outer)
    except EieError as error:
        raise ModelFileError(f"the graph is not one: {error}") from error


def _attribute(value: Any, arrays: list[Array], visible: Sequence[str], depth: int) -> Any:
    if isinstance(value, dict):
        if "graph" in value:
            return _read_graph(value["graph"], arrays, visible, depth + 1)
        return arrays[value["array"]]
    return value


def _value(name: str, dtype: str, shape: Any) -> Value:
    if dtype not in DTYPES.values() or not (shape is None or isinstance(shape, list)):
        raise ModelFileError(f"tensor {name!r} is {dtype!r} of shape {shape!r}")
    return Value(str(name), dtype, None if shape is None else tuple(shape))
