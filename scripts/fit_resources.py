#!/usr/bin/env python3
"""Fit the resource estimate (`eie.boards.resources`) to arrays that Yosys synthesises; needs the extra "hardware".

Each array takes a minute or two. The file is written after each, and arrays that are in it, of the present design, are
not synthesised again. Afterwards the table of docs/explore.md is due: `fit_resources.py --table` prints it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from eie.atomic import replacing
from eie.boards.resources import FIT, FITTED, estimate, fit
from eie.contract.config import ArrayConfig

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "driver/eie/data" / FIT


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="synthesise nothing; print how good the fit is")
    parser.add_argument(
        "--boards", action="store_true", help="synthesise the arrays of the boards, too (64 and 128 PEs)"
    )
    parser.add_argument("--most", type=int, default=1000, metavar="N", help="stop after this many arrays")
    args = parser.parse_args()
    stored = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {"samples": []}
    if args.table:
        print(table(stored))
        return 0
    design = design_hash()
    known = {json.dumps(s["array"]) for s in stored["samples"] if s["design"] == design}
    missing = [c for c in arrays(args.boards) if json.dumps(c.hardware_parameters()) not in known]
    for config in missing[: args.most]:
        stored["samples"] = [s for s in stored["samples"] if s["array"] != config.hardware_parameters()]
        stored["samples"].append(measure(config) | {"design": design})
        save(stored)
        print(f"{len(missing)} to do; {config.num_pes} PEs: {stored['samples'][-1]}", file=sys.stderr)
    save(stored)
    return 0


def arrays(boards: bool) -> list[ArrayConfig]:
    """Return the arrays to fit to: one in the middle, each parameter changed alone, all of them at random."""
    middle = ArrayConfig(num_pes=16, activations=2048, queue_depth=16)
    alone: list[dict[str, Any]] = [
        {},
        {"num_pes": 4, "activations": 512},
        {"rows": 256},
        {"queue_depth": 64},
        {"activations": 8192},
        {"entries_per_word": 16},
        {"first_row": False, "skip_empty": False, "index_bits": 4},
        {"num_pes": 32, "activations": 4096},
        {"banks": 1, "codebooks": 1},
        {"entries": 8192, "pointers": 4096},
        {"num_pes": 1, "activations": 512, "rows": 256},
        {"num_pes": 64, "activations": 8192},
        {"num_pes": 32, "activations": 4096, "stream_bits": 128},
        {"num_pes": 64, "activations": 8192, "stream_bits": 128},
    ]
    found = [replace(middle, **changes) for changes in alone]
    draw = random.Random(5)
    for _ in range(14):
        pes = draw.choice((4, 8, 8, 16, 16, 32))
        found.append(
            ArrayConfig(
                num_pes=pes,
                queue_depth=draw.choice((4, 16, 32, 64, 128)),
                index_bits=draw.choice((4, 5, 6)),
                entries_per_word=draw.choice((4, 8, 16)),
                entries=draw.choice((512, 2048, 4096, 16384)),
                pointers=draw.choice((256, 1024, 4096)),
                rows=draw.choice((32, 64, 128, 256)),
                activations=pes * draw.choice((32, 64, 128, 256)),
                banks=draw.choice((1, 2, 2)),
                codebooks=draw.choice((1, 4, 16)),
                first_row=draw.choice((True, True, False)),
                skip_empty=draw.choice((True, True, False)),
            )
        )
    if boards:
        found += [ArrayConfig(), ArrayConfig(num_pes=128)]
    return found


def measure(config: ArrayConfig) -> dict[str, Any]:
    """Return what Yosys makes of an array."""
    from eie_hw.estimates.utilisation import total, utilisation

    with tempfile.TemporaryDirectory(prefix="eie-fit-") as scratch:
        usage = total(utilisation(config, scratch))
    return {
        "array": config.hardware_parameters(),
        "logic_luts": usage.logic_luts + usage.shift_luts,
        "memory_luts": usage.memory_luts,
        "flip_flops": usage.flip_flops,
        "ramb36": usage.ramb36,
        "dsps": usage.dsps,
    }


def save(stored: dict[str, Any]) -> None:
    """Fit, and write samples and coefficients."""
    configs = [ArrayConfig(**sample["array"]) for sample in stored["samples"]]
    measured = {name: [sample[name] for sample in stored["samples"]] for name in FITTED}
    stored["coefficients"] = fit(configs, measured)
    with replacing(FILE) as partial:
        lines = ",\n    ".join(json.dumps(sample) for sample in stored["samples"])
        coefficients = json.dumps(stored["coefficients"])
        partial.write_text(f'{{\n  "coefficients": {coefficients},\n  "samples": [\n    {lines}\n  ]\n}}\n')


def table(stored: dict[str, Any]) -> str:
    """Return the errors of the fit, and of each sample's estimate by a fit to all others."""
    samples = stored["samples"]
    configs = [ArrayConfig(**sample["array"]) for sample in samples]
    luts = np.array([sample["logic_luts"] + sample["memory_luts"] for sample in samples])
    flip_flops = np.array([sample["flip_flops"] for sample in samples])
    fitted = [estimate(config) for config in configs]
    left_out = np.array([_without(i, configs, samples) for i in range(len(samples))])
    rows = [
        ("LUT, fit", np.array([f.luts for f in fitted]) / luts - 1),
        ("LUT, left out", left_out[:, 0] / luts - 1),
        ("flip-flops, fit", np.array([f.flip_flops for f in fitted]) / flip_flops - 1),
        ("flip-flops, left out", left_out[:, 1] / flip_flops - 1),
        ("RAMB36", np.array([f.ramb36 / s["ramb36"] for f, s in zip(fitted, samples, strict=True)]) - 1),
    ]
    lines = [f"| error over {len(samples)} arrays | mean | worst |", "|---|---:|---:|"]
    lines += [f"| {name} | {np.abs(e).mean():.1%} | {e[np.abs(e).argmax()]:+.1%} |" for name, e in rows]
    return "\n".join(lines)


def _without(index: int, configs: list[ArrayConfig], samples: list[dict[str, Any]]) -> tuple[float, float]:
    from eie.boards.resources import features

    others = [i for i in range(len(samples)) if i != index]
    measured = {name: [samples[i][name] for i in others] for name in FITTED}
    coefficients = fit([configs[i] for i in others], measured)
    values = {name: float(features(configs[index])[name] @ coefficients[name]) for name in FITTED}
    return values["logic_luts"] + values["memory_luts"], values["flip_flops"]


def design_hash() -> str:
    """Return a hash of the sources that become hardware, not of the tools around them."""
    digest = hashlib.sha256()
    for part in ("array", "element", "parts", "shell"):
        for path in sorted((ROOT / "hw/eie_hw" / part).rglob("*")):
            if path.suffix in (".py", ".v"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


if __name__ == "__main__":
    sys.exit(main())
