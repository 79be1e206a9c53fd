"""`eie compress`: a float network to a model file."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eie.atomic import require_output
from eie.cli.common import Commands, Progress, add_json_option, bytes_text, print_json, print_text, read_array
from eie.cli.graphs import add_graph_options, bound_inputs, read_inputs
from eie.compression.allocation import ALLOCATIONS
from eie.compression.compensation import EFFORTS
from eie.compression.compress import compress
from eie.compression.recipe import METHODS, WHOLE
from eie.compression.report import CompressionReport
from eie.contract.array_options import add_array_options, array_config
from eie.model_file.container import ENDING, describe, save
from eie.network.dense import Dense
from eie.network.graph import Graph
from eie.network.limits import fitting_name
from eie.network.linear_maps import linear_nodes
from eie.network.sources import read_any
from eie.network.unused import without_unused_rows

_STAGES = {
    "allocate": "measuring what pruning costs",
    "prune": "pruning",
    "share": "sharing weights",
    "scale": "choosing fixed-point scales",
    "refit": "refitting",
    "measure": "measuring errors",
}
_KEEP = "keep"
_ACTIVATIONS = {"relu": "relu", "none": None}


def add_parser(commands: Commands) -> None:
    parser = commands.add_parser(
        "compress",
        help="compress a float network to a model file",
        description="Prune, share and encode a network; print what it did to each layer.",
    )
    parser.add_argument("network", metavar="NETWORK", type=Path, help=".npz, .safetensors, .onnx or .net file")
    parser.add_argument("-o", "--output", metavar="OUT.eie", type=Path, required=True, help="model file to write")
    _add_reading_options(parser)
    _add_pruning_options(parser)
    _add_method_options(parser)
    parser.add_argument(
        "--headroom",
        type=float,
        default=2.0,
        metavar="FACTOR",
        help="by which activations may exceed those of the calibration without saturating (default: 2)",
    )
    parser.add_argument(
        "--drop-unused",
        action="store_true",
        help="of a chain of layers, leave out the hidden outputs that the next one does not read; the outputs of the "
        "network stay the same",
    )
    parser.add_argument("--huffman", action=argparse.BooleanOptionalAction, default=True, help="Huffman-code the file")
    parser.add_argument("--name", help="the model's name (default: the file's)")
    add_json_option(parser)
    add_array_options(parser)
    parser.set_defaults(command=_run)


def _add_reading_options(parser: argparse.ArgumentParser) -> None:
    for which, default in (("hidden", "relu"), ("last", "none")):
        parser.add_argument(
            f"--{which}-activation",
            choices=sorted(_ACTIVATIONS),
            default=default,
            help=f"of the {which} layers of a .npz or .safetensors network, which holds none (default: {default})",
        )
    parser.add_argument(
        "--layers",
        type=lambda text: text.split(","),
        metavar="A,B,C",
        help="names of all layers of such a file in the order of computing, where names and shapes do not settle it",
    )
    add_graph_options(parser)


def _add_pruning_options(parser: argparse.ArgumentParser) -> None:
    pruning = parser.add_mutually_exclusive_group()
    pruning.add_argument(
        "--density",
        type=_densities,
        default=0.09,
        metavar="D[,D...]",
        help="weights to keep over all weights, for all layers or one for each, such as 0.04,0.09,keep or by name, "
        "fc1=0.04,fc2=keep; "
        f'"{_KEEP}" keeps the layer\'s own zeros (default: 0.09)',
    )
    pruning.add_argument(
        "--target-sqnr", type=float, metavar="DB", help="keep as few weights as leave the outputs this SQNR, in dB"
    )
    pruning.add_argument(
        "--max-loss", type=float, metavar="SHARE", help="the same as a share of the outputs' power: 0.01 is 20 dB"
    )
    pruning.add_argument(
        "--target-size", type=int, metavar="BYTES", help="keep as many weights as a Huffman-coded file so large holds"
    )
    pruning.add_argument("--keep-zeros", action="store_true", help="the network is pruned already: keep its zeros")


def _add_method_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--method",
        choices=METHODS,
        help="compensated: what stays makes up for what goes, on the calibration inputs (default with --calibration); "
        "magnitude: the smallest weights go (default without)",
    )
    parser.add_argument(
        "--allocation",
        choices=ALLOCATIONS,
        help="how a single density is spread over the layers: by the loss at the output (default with compensation), "
        "alike, or by one threshold of magnitude",
    )
    parser.add_argument(
        "--effort",
        choices=EFFORTS,
        default="auto",
        help="of compensation: thorough is exact for every row, fast has one inverse for a layer (default: by size)",
    )
    parser.add_argument(
        "--sharing", choices=("kmeans", "linear"), default="kmeans", help="how shared weights are found"
    )
    parser.add_argument(
        "--terms",
        type=_terms,
        default=1,
        metavar="N[,N...]",
        help="2: weights are sums of two sets of 15 shared values, for up to twice the work; for all layers, one for "
        "each or by name, fc1=2; loss: 2 where sharing costs most (default: 1)",
    )
    parser.add_argument(
        "--row-scales",
        action=argparse.BooleanOptionalAction,
        help="multiply the shared values by a scale of each row (default: in layers of which that saves 1.5 dB)",
    )
    parser.add_argument(
        "--refit",
        action=argparse.BooleanOptionalAction,
        help="refit recurrent layers through time (default: with compensation, but not in search of a target)",
    )
    parser.add_argument(
        "--refit-whole",
        dest="refit",
        action="store_const",
        const=WHOLE,
        help="then refit all layers together, so that the outputs stay; takes PyTorch and many calibration inputs",
    )
    parser.add_argument(
        "--shared-gates",
        action="store_true",
        help="gates of a recurrent layer share their values: the array multiplies them together, with fewer pointers",
    )
    parser.add_argument(
        "--calibration",
        metavar="X.npy",
        type=Path,
        help="typical inputs, shape (samples, inputs), .npy or .npz, or a folder of .npy files; without it, standard "
        "normal values stand in",
    )


def _run(args: argparse.Namespace) -> None:
    config = array_config(args)
    require_output(args.output, args.network, args.calibration, endings=(ENDING,))
    with Progress() as progress:
        progress("reading the network")
        network = read_any(
            args.network,
            _ACTIVATIONS[args.hidden_activation],
            _ACTIVATIONS[args.last_activation],
            args.layers,
            outputs=args.outputs,
            inputs=bound_inputs(args.fix),
        )
        names = _layer_names(network)

        def show(index: int, stage: str) -> None:
            progress(f"layer {index + 1} of {len(names)} ({names[index]}): {_STAGES[stage]}")

        model = compress(
            network,
            None if args.keep_zeros else args.density,
            _calibration(args.calibration, network),
            max_loss=args.max_loss,
            target_sqnr=args.target_sqnr,
            target_size=args.target_size,
            method=args.method,
            allocation=args.allocation,
            effort=args.effort,
            sharing=args.sharing,
            terms=args.terms,
            row_scales=args.row_scales,
            refit=args.refit,
            shared_gates=args.shared_gates,
            headroom=args.headroom,
            config=config,
            name=args.name or fitting_name(args.network.stem),
            progress=show,
        )
        unused = 0
        if args.drop_unused:
            whole, model = model, without_unused_rows(model)
            unused = sum(layer.rows for layer in whole.layers) - sum(layer.rows for layer in model.layers)
        progress("writing the file")
        save(model, args.output, huffman=args.huffman)
    _print_result(args, model.metadata["compression"], unused)


def _layer_names(network: list[Dense] | Graph) -> list[str]:
    if isinstance(network, Graph):
        return [name for node in linear_nodes(network).values() for name in node.names]
    return [layer.name for layer in network]


def _calibration(path: Path | None, network: list[Dense] | Graph) -> Any:
    if path is None:
        return None
    if path.is_dir():
        return path
    return read_inputs(path, network) if isinstance(network, Graph) else read_array(path)


def _print_result(args: argparse.Namespace, compression: dict[str, Any], unused: int) -> None:
    sizes = {name: describe(args.output)[name] for name in ("bytes", "plain_bytes", "float32_bytes")}
    if args.json:
        file = {"file": args.output, "huffman": args.huffman, **sizes, "unused_rows": unused}
        print_json(file | {"compression": compression})
        return
    print_text(CompressionReport.from_dict(compression).table())
    ratio = sizes["float32_bytes"] / sizes["bytes"]
    print_text(
        f"\n{args.output}: {bytes_text(sizes['bytes'])}{' with Huffman coding' if args.huffman else ''}, "
        f"{ratio:.1f} times smaller than the weights in float32 ({bytes_text(sizes['float32_bytes'])})"
    )
    if args.drop_unused:
        print_text(f"Left out: {unused} hidden outputs that no layer reads; the table is of the network before that.")
    if args.calibration is None:
        print(
            "No calibration inputs were given: activations may saturate on inputs larger than standard normal values."
        )


def _densities(text: str) -> Any:
    """Parse 0.09, 0.04,keep,0.09 or fc1=0.04,fc2=keep; whether these are densities is for `eie.compress` to say."""
    return _for_layers(text, lambda part: None if part == _KEEP else float(part))


def _terms(text: str) -> Any:
    """Parse 2, 1,2,1, fc1=2 or loss."""
    return text if text == "loss" else _for_layers(text, int)


def _for_layers(text: str, parse: Callable[[str], Any]) -> Any:
    """Return a value for all layers, a list with one for each, or a dict by name."""
    parts = [part.rpartition("=") for part in text.split(",")]
    values = [parse(value.strip()) for _, _, value in parts]
    names = [name.strip() for name, sign, _ in parts if sign]
    if names and len(set(names)) < len(parts):
        raise ValueError("either all of them have a name, each its own, or none")
    return dict(zip(names, values, strict=True)) if names else values if len(values) > 1 else values[0]


_terms.__name__ = "terms"
_densities.__name__ = "density"  # argparse names the type in its message
