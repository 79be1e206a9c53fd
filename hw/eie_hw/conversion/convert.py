"""From parameters to HDL files: the same parameters give the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from eie.contract.config import ArrayConfig
from eie.errors import DeviceError
from eie_hw.parts.memories import template_file, template_files

TOP = "eie_top"
HDLS = ("VHDL", "Verilog")
MANIFEST = {"VHDL": "vhdl_files.txt", "Verilog": "verilog_files.txt"}
"""File in the output directory that names the others in the order of compilation."""


def convert(config: ArrayConfig, directory: str | Path, hdl: str = "VHDL", target: str = "simulation") -> list[Path]:
    """Convert an array to HDL.

    MyHDL numbers instances over the life of a process, so the conversion runs in a fresh one with a fixed hash seed.

    Parameters
    ----------
    config : ArrayConfig
    directory : path
        Where the files go; created if needed. Nothing is written if the conversion fails.
    hdl : {"VHDL", "Verilog"}
    target : {"simulation", "xc7", "xcup"}
        What the files are for: a simulator, or synthesis for 7-series or UltraScale+ devices, whose DSP slice is then
        an explicit one.

    Returns
    -------
    list of Path
        The files in the order of compilation; the last is the top entity, `eie_top`.

    Raises
    ------
    DeviceError
        If the conversion fails; the message is the converter's.
    """
    if hdl not in HDLS:
        raise ValueError(f"hdl={hdl!r} must be one of {HDLS}")
    templates = template_files(target, config.ultra_ram)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".convert-") as scratch:
        run = subprocess.run(
            [sys.executable, "-m", "eie_hw.conversion.convert", json.dumps(config.to_dict()), scratch, hdl, *templates],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
        )
        if run.returncode:
            reason = run.stderr.strip().splitlines()[-1] if run.stderr.strip() else f"exit code {run.returncode}"
            raise DeviceError(f"the conversion of {config} to {hdl} failed: {reason}")
        names = (Path(scratch) / MANIFEST[hdl]).read_text().split()
        for name in (*names, MANIFEST[hdl]):
            os.replace(Path(scratch) / name, directory / name)
    return [directory / name for name in names]


def _convert_here(config: ArrayConfig, directory: Path, hdl: str, templates: list[str]) -> None:
    from eie_hw.array.array import array
    from eie_hw.conversion.elaboration import quick_elaboration
    from eie_hw.conversion.hierarchy import SUFFIX, convert_hierarchy
    from eie_hw.shell.top import new_top

    names = [name + SUFFIX[hdl] for name in templates]
    for name in names:
        shutil.copyfile(template_file(name), directory / name)
    with quick_elaboration():
        files = convert_hierarchy(new_top(config, array), directory, hdl, TOP, std_logic_ports=True)
    if hdl == "VHDL":
        names = [path.name for path in directory.glob("pck_myhdl_*.vhd")] + names
    names += [path.name for path in files]
    (directory / MANIFEST[hdl]).write_text("".join(f"{name}\n" for name in names))


if __name__ == "__main__":
    _convert_here(ArrayConfig(**json.loads(sys.argv[1])), Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
