"""`eie inspect`: a network's graph, and what of it would run where."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from eie.cli.common import Commands, Progress, add_json_option, print_json
from eie.cli.graphs import add_graph_options, bound_inputs, read_inputs, shapes_of
from eie.errors import NetworkError
from eie.model_file.container import load
from eie.network.graph import Array, Graph, Node, Value
from eie.network.graph_model import GraphModel
from eie.network.graph_readers import read_graph
from eie.network.inspection import NodeReport, example_inputs, inspect_graph
from eie.network.model import Dense, Model
from eie.network.readers import read_network
from eie.text import columns


def add_parser(commands: Commands) -> None:
    parser = commands.add_parser(
        "inspect",
        help="show a network's graph and what of it the array computes",
        description="Show the operations of a network, in the order of computing: what runs on the array, what on the "
        "host, and its share of the multiplications, found by computing the network once.",
    )
    parser.add_argument("network", metavar="NET", type=Path, help=".onnx, .npz, .safetensors, .net or .eie")
    parser.add_argument("--inputs", metavar="X.npy", type=Path, help="what to compute with (default: random)")
    add_graph_options(parser)
    add_json_option(parser)
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace) -> None:
    with Progress() as progress:
        progress("reading the network")
        network = _read(args)
        graph = network.graph if isinstance(network, GraphModel) else network
        given = read_inputs(args.inputs, graph) if args.inputs else None
        shapes = shapes_of(args.shape, graph)
        if given is None:
            given = example_inputs(graph, shapes=shapes)
        if given is None:
            raise NetworkError(f"{args.network}: an input's shape is not known; give --inputs or --shape")
        progress("computing it once")
        try:
            rows = inspect_graph(network, given)
        except NetworkError as error:
            raise NetworkError(f"{error}{'' if args.inputs else _advice(graph, given, shapes)}") from error
    total = sum(row.multiplications for row in rows)
    on_array = sum(row.multiplications for row in rows if row.where == "array")
    if args.json:
        shared = {"multiplications": total, "on_array": on_array}
        inputs, outputs = ([asdict(value) for value in values] for values in (graph.inputs, graph.outputs))
        print_json(
            {"file": args.network, "inputs": inputs, "outputs": outputs, **shared, "nodes": [asdict(r) for r in rows]}
        )
        return
    print("\n".join(_text(graph, rows, total, on_array)))


def _advice(graph: Graph, given: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return what to try where inputs of made up sizes do not go through a network."""
    for value in graph.inputs:
        if value.name not in shapes and not all(isinstance(n, int) for n in value.shape or ()):
            taken, name = ",".join(map(str, given[value.name].shape)), value.name
            return f"; input {name!r} leaves sizes open and was made {taken}: give --shape {name}=SIZE,... or --inputs"
    return ""


def _read(args: argparse.Namespace) -> Graph | GraphModel:
    if args.network.suffix.lower() == ".eie":
        model = load(args.network)
        if not isinstance(model, GraphModel):
            what = "a chain of layers" if isinstance(model, Model) else "a recurrent layer"
            raise NetworkError(f"{args.network}: holds {what}, all of it the array's; eie info shows its layers")
        return model
    graph = read_graph(args.network, args.outputs, bound_inputs(args.fix))
    return graph if graph is not None else chain_graph(read_network(args.network))


def chain_graph(layers: list[Dense]) -> Graph:
    """Return layers as a graph."""
    nodes, constants, value = [], {}, "input"
    for i, layer in enumerate(layers):
        inputs = [value, f"{i}/weight"]
        constants[f"{i}/weight"] = layer.weight
        if layer.bias is not None:
            inputs.append(f"{i}/bias")
            constants[f"{i}/bias"] = layer.bias
        value = f"{i}/sum"
        nodes.append(Node("Gemm", tuple(inputs), (value,), {"transB": 1}, layer.name or f"layer{i}"))
        if layer.activation == "relu":
            nodes.append(Node("Relu", (value,), (f"{i}/relu",)))
            value = f"{i}/relu"
    columns, rows = layers[0].weight.shape[1], layers[-1].weight.shape[0]
    ends = [Value("input", "float32", ("batch", columns))], [Value(value, "float32", ("batch", rows))]
    return Graph(nodes, *ends, constants)


def _text(graph: Graph, rows: list[NodeReport], total: int, on_array: int) -> list[str]:
    lines = [f"inputs   {', '.join(map(str, graph.inputs))}", f"outputs  {', '.join(map(str, graph.outputs))}", ""]
    table: list[tuple[str, ...]] = [("where", "operator", "name", "shape", "weights", "multiplications", "share")]
    for row in rows:
        share = f"{row.multiplications / total:.1%}" if total and row.multiplications else ""
        shape = "x".join(map(str, row.shape)) or "scalar"
        counts = (f"{count:,}" if count else "" for count in (row.weights, row.multiplications))
        table.append((row.where, row.operator, row.name, shape, *counts, share))
    lines += columns(table, left=4)
    of_all = on_array / total if total else 0.0
    return [*lines, "", f"{on_array:,} of {total:,} multiplications ({of_all:.1%}) are the array's"]
