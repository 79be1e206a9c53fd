"""`eie demo`: LeNet-300-100 on the MNIST test images, from float weights to verified answers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from eie.cli.common import Commands, Progress, add_device_option, add_json_option, bytes_text, print_json, print_text
from eie.compression.report import CompressionReport
from eie.contract.array_options import add_array_options, array_config
from eie.data.mnist import TEST_COUNT


def add_parser(commands: Commands) -> None:
    parser = commands.add_parser(
        "demo",
        help="compress LeNet-300-100 and run the MNIST test images",
        description="Compress the shipped float network, pack it, run the MNIST test images, compare with the integer "
        "reference, draw the figures.",
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, default=Path("eie-demo"), help="where files go")
    parser.add_argument("--images", type=int, default=TEST_COUNT, metavar="N", help=f"default: all {TEST_COUNT:,}")
    parser.add_argument(
        "--verify", type=int, default=1000, metavar="N", help="how many images to compare, output by output"
    )
    parser.add_argument("--figures", action=argparse.BooleanOptionalAction, default=True, help="draw the figures")
    add_device_option(parser)
    add_json_option(parser)
    add_array_options(parser)
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace) -> None:
    from eie.demo.lenet import Demo, run_demo

    demo = Demo(args.output, array_config(args), args.device, args.images, args.verify, args.figures)
    with Progress() as progress:
        result = run_demo(demo, progress)
    if args.json:
        print_json(result)
    else:
        print_text(_text(result))


def _text(result: dict[str, Any]) -> str:
    errors, sizes, counters = result["error_percent"], result["bytes"], result["counters"]
    count, seconds = result["images"], result["run_seconds"]
    work = counters["work"].sum() / count
    lines = [
        CompressionReport.from_dict(result["compression"]).table(),
        "",
        "size of the model",
        *(_size_line(name, sizes[key], sizes["float32"]) for name, key in _SIZES),
        "",
        f"error on {count:,} MNIST test images",
        *(f"  {name:<42}{errors[key]:6.2f} %" for name, key in _ERRORS if errors[key] is not None),
        "",
        f"{result['device']} array of {result['array']['num_pes']} PEs: {count:,} images in {seconds:.2f} s, "
        f"{result['images_per_second']:,.0f} images/s (float in, float out)",
        f"an image takes {counters['broadcasts'] / count:.0f} broadcasts and {work:,.0f} multiplications",
    ]
    if result["verified_images"]:
        lines.append(f"all outputs of the first {result['verified_images']:,} images equal the integer reference")
    return "\n".join([*lines, "", *(f"wrote {path}" for path in result["files"])])


_SIZES = (("float32 weights", "float32"), ("compressed, plain", "plain"), ("compressed, Huffman", "huffman"))
_ERRORS = (
    ("dense network, float32, as recorded", "dense_float32_all_images"),
    ("pruned network, weights shared, float32", "pruned_float32"),
    ("compressed, on the array in 16-bit integers", "compressed"),
)


def _size_line(name: str, size: int, dense: int) -> str:
    return f"  {name:<22}{bytes_text(size):>18}" + ("" if size == dense else f"  {dense / size:6.1f} times smaller")
