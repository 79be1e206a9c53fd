"""`eie info`: what a model file holds, and how it lies on an array."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from eie.cli.common import Commands, Progress, add_json_option, bytes_text, print_json, print_text
from eie.compression.report import CompressionReport, compression_report
from eie.contract.array_options import add_array_options, array_config
from eie.contract.config import WORD_BYTES, ArrayConfig
from eie.model_file.container import describe, load
from eie.network.graph_model import GraphModel
from eie.network.model import Model
from eie.network.recurrent_model import RecurrentModel
from eie.program.packing import pack
from eie.program.recurrent import pack_recurrent


def add_parser(commands: Commands) -> None:
    parser = commands.add_parser(
        "info",
        help="show what a model file holds",
        description="Show a model file's layers, sizes and origin, and what it takes on an array.",
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="model file")
    add_json_option(parser)
    add_array_options(parser)
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace) -> None:
    config = array_config(args)
    with Progress() as progress:
        progress("reading the file")
        description = describe(args.file)
        model = load(args.file)
        if isinstance(model, GraphModel):
            return _show_graph(args, model, description)
        progress(f"packing for {config.num_pes} PEs")
        report = compression_report(model, config)
        packed = packed_figures(model, config)
    if args.json:
        array = {"array": config.to_dict(), "packed": packed, "report": report.to_dict()["layers"]}
        print_json({"file": args.file, **description, **array})
    else:
        print_text(_text(args.file, description, report, config, packed))


def _show_graph(args: argparse.Namespace, model: GraphModel, description: dict[str, Any]) -> None:
    if args.json:
        print_json({"file": args.file, **description})
        return
    size, dense = description["bytes"], description["float32_bytes"]
    operators = ", ".join(f"{count} {name}" for name, count in sorted(description["operators"].items()))
    report = CompressionReport.from_dict(model.metadata["compression"]).table() if model.metadata else ""
    print(
        f"{args.file}: model {description['name']!r}, file format version {description['version']}\n\n{report}\n\n"
        f"size       {bytes_text(size)}, {dense / size:.1f} times smaller than the array's weights in float32\n"
        f"inputs     {', '.join(map(str, model.graph.inputs))}\n"
        f"outputs    {', '.join(map(str, model.graph.outputs))}\n"
        f"operators  {operators}\n"
        f"eie inspect {args.file} shows what runs where"
    )


def packed_figures(model: Model | RecurrentModel, config: ArrayConfig) -> dict[str, Any]:
    """Return what a model takes in the stream and in the memories of an array; an inference is a time step."""
    if isinstance(model, RecurrentModel):
        recurrent = pack_recurrent(model, config)
        return {
            "resident": recurrent.resident,
            "weights_bytes": recurrent.weights.nbytes,
            "inference_bytes": (recurrent.segment(2).words(1) - recurrent.segment(1).words(1)) * WORD_BYTES,
            "segments": 1,
            "tiles": [sum(len(row_tile.tiles) for row_tile in row_tiles) for row_tiles in recurrent.row_tiles],
        }
    packed = pack(model, config)
    return {
        "resident": packed.resident,
        "weights_bytes": packed.weights.nbytes,
        "inference_bytes": sum(segment.words(1) for segment in packed.segments) * WORD_BYTES,
        "segments": len(packed.segments),
        "tiles": [sum(len(row_tile.tiles) for row_tile in row_tiles) for row_tiles in packed.row_tiles],
    }


def _text(
    path: Path, description: dict[str, Any], report: CompressionReport, config: ArrayConfig, packed: dict[str, Any]
) -> str:
    size, plain, dense = (description[name] for name in ("bytes", "plain_bytes", "float32_bytes"))
    lines = [
        f"{path}: model {description['name']!r}, file format version {description['version']}",
        *_cell(description),
        "",
        report.table(),
        "",
        f"size             {bytes_text(size)}, {dense / size:.1f} times smaller than float32",
        f"without Huffman  {bytes_text(plain)}, {dense / plain:.1f} times",
        f"float32          {bytes_text(dense)}, weights only",
        "",
        _residency(config, packed, "time step" if "cell" in description else "inference"),
    ]
    origin = _origin(description["metadata"])
    return "\n".join([*lines, *(["", *origin] if origin else [])])


def _cell(description: dict[str, Any]) -> list[str]:
    """Return what a recurrent layer is, in a line; nothing of other models."""
    if "cell" not in description:
        return []
    gate = description["layers"][0]
    columns = gate["columns"] - gate["rows"]
    return [f"recurrent layer, {description['cell']}: {columns} inputs, {gate['rows']} outputs a time step"]


def _residency(config: ArrayConfig, packed: dict[str, Any], unit: str) -> str:
    tiles = " + ".join(map(str, packed["tiles"]))
    where = f"on the array ({config.num_pes} PEs, {config.index_bits}-bit indices): {tiles} tiles, "
    if packed["resident"]:
        return (
            f"{where}resident: {bytes_text(packed['weights_bytes'])} of weights once, "
            f"{bytes_text(packed['inference_bytes'])} {'a' if unit[0] == 't' else 'an'} {unit}"
        )
    return (
        f"{where}too large to stay resident: weights travel with every {unit}, "
        f"{bytes_text(packed['inference_bytes'])} each"
    )


def _origin(metadata: dict[str, Any]) -> list[str]:
    """Return the metadata, a line each; the figures of the layers are in the table already."""
    lines = []
    for name, value in metadata.items():
        if isinstance(value, dict):
            value = {key: part for key, part in value.items() if key not in ("layers", "array")}
            lines += [f"{name}.{key}: {json.dumps(part, ensure_ascii=False)}" for key, part in value.items()]
        else:
            lines.append(f"{name}: {json.dumps(value, ensure_ascii=False)}")
    return lines
