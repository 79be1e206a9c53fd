"""Relative timing: place and route the array on a Lattice ECP5-85 and print its critical path.

The figures are the ECP5's: they compare versions of this design with each other. They do not say which clock a Zynq
reaches; only Vivado does (scripts/build_overlay.py). Memories are the PYNQ-Z2's per PE unless told otherwise.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from eie.contract.config import ArrayConfig
from eie.errors import EieError
from eie_hw.cli import add_config_options, config_of
from eie_hw.conversion.convert import TOP, convert
from eie_hw.estimates.place_and_route import DEVICE, SPEED_GRADES, Timing, place_and_route

NOTE = "ECP5 figures, relative only: they are not those of an Artix-7 or Zynq."


def main(arguments: list[str] | None = None) -> int:
    """Print the timing; return 1 if it misses what is required."""
    options = parser().parse_args(arguments)
    try:
        if options.activations is None:
            per_lane = ArrayConfig().activation_groups
            options.activations = per_lane * ArrayConfig(num_pes=options.num_pes).lanes
        config = config_of(options)
        router = options.router or ("router1" if config.num_pes <= 4 else "router2")
        with tempfile.TemporaryDirectory(prefix="eie-timing-") as scratch:
            directory = options.keep or Path(scratch)
            files = convert(config, directory, "Verilog")
            timing = place_and_route(files, TOP, directory, options.frequency, options.seed, options.speed, router)
    except EieError as error:
        print(f"timing: {error}", file=sys.stderr)
        return 1
    if options.json:
        device = {"device": f"ECP5 {DEVICE}, speed grade {options.speed}", "seed": options.seed}
        print(json.dumps({**asdict(timing), **device, "config": config.to_dict(), "note": NOTE}, indent=2))
    else:
        print(as_text(timing, config, options))
    if options.require is not None and timing.mhz < options.require:
        print(f"timing: {timing.mhz:.1f} MHz, but {options.require:g} are required", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0],
        epilog=f"{NOTE} Without --activations, as many per PE as on the PYNQ-Z2.",
    )
    parser.add_argument("--frequency", type=float, default=100, metavar="MHZ", help="clock to aim at, default 100")
    parser.add_argument("--require", type=float, metavar="MHZ", help="exit code 1 below it")
    parser.add_argument(
        "--router", choices=("router1", "router2"), help="of nextpnr; default: router2, the faster, from 8 PEs on"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the placement, default 1")
    parser.add_argument(
        "--speed", type=int, choices=SPEED_GRADES, default=6, help="speed grade, default 6, the slowest"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep Verilog, netlist, report and logs there")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_config_options(parser)
    parser.set_defaults(num_pes=4)
    return parser


def as_text(timing: Timing, config: ArrayConfig, options: argparse.Namespace) -> str:
    """Return the result as a table."""
    cells = ", ".join(f"{timing.cells.get(name, 0):,} {what}" for name, what in CELLS.items())
    lines = [
        f"{config.num_pes} PEs on an ECP5-85, speed grade {options.speed}, seed {options.seed}: {timing.mhz:.1f} MHz",
        cells,
        "",
        "Critical path, ns:",
        f"{'at':>7} {'wire':>6} {'cell':>6}  {'cell':<13}unit: signal",
    ]
    at = 0.0
    for step in timing.path:
        at += step.wire_ns + step.cell_ns
        where = f"{step.unit or TOP}: {step.signal}"
        lines.append(f"{at:7.2f} {step.wire_ns:6.2f} {step.cell_ns:6.2f}  {step.kind:<13}{where}")
    wires = sum(step.wire_ns for step in timing.path)
    return "\n".join([*lines, "", f"{wires:.2f} ns in wires, {at - wires:.2f} ns in cells.", NOTE])


CELLS = {
    "TRELLIS_COMB": "logic cells",
    "TRELLIS_FF": "flip-flops",
    "DP16KD": "block memories",
    "MULT18X18D": "multipliers",
}

if __name__ == "__main__":
    sys.exit(main())
