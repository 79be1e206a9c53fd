"""Synthesis of the converted Verilog for Xilinx 7-series with Yosys, an entity at a time."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from eie.errors import DeviceError, MissingExtraError

from eie_hw.memories import FOR_XILINX, TEMPLATES


def synthesise(files: list[Path], top: str) -> dict[str, dict[str, int]]:
    """Synthesise a hierarchy and count its cells.

    Every entity stays one: it is synthesised once, however often it is used, and nothing is optimised across its
    ports, so that each cell belongs to one unit. The templates of `eie_hw.memories` dissolve into their users.

    Parameters
    ----------
    files : list of Path
        Verilog, each file `NAME.v` with the module NAME.
    top : str
        The module to begin at.

    Returns
    -------
    dict
        For each module at or below `top`, the number of its cells by type; a sub-module is a cell as well.

    Raises
    ------
    MissingExtraError
        Without pyosys.
    DeviceError
        If Yosys refuses the design; the message is its own.
    """
    if importlib.util.find_spec("pyosys") is None:
        raise MissingExtraError("the resource estimate needs pyosys: pip install 'eie-pynq[hardware]'")
    sources = [_for_xilinx(path) if path.stem in FOR_XILINX else path for path in files]
    entities = [path.stem for path in files if path.stem not in TEMPLATES]
    with tempfile.TemporaryDirectory(prefix="eie-synthesis-") as scratch:
        statistics = Path(scratch) / "statistics.json"
        passes = [
            *(f"read_verilog {path.resolve()}" for path in sources),
            f"setattr -mod -set keep_hierarchy 1 {' '.join(entities)}",
            f"synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -top {top}",
            f"tee -q -o {statistics} stat -json",
        ]
        # In a process of its own: Yosys writes its log to the standard output and may end the process.
        run = subprocess.run([sys.executable, "-c", _RUN, *passes], capture_output=True, text=True)
        if run.returncode or not statistics.exists():
            reason = [line for line in (run.stdout + run.stderr).splitlines() if "ERROR" in line]
            raise DeviceError(f"Yosys could not synthesise {top}: {reason[0] if reason else run.stderr[-500:]}")
        modules = json.loads(statistics.read_text())["modules"]
    return {name.removeprefix("\\"): module["num_cells_by_type"] for name, module in modules.items()}


_RUN = """\
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in sys.argv[1:]:
    design.run_pass(line)
"""


def _for_xilinx(template: Path) -> Path:
    return Path(__file__).with_name(FOR_XILINX[template.stem] + template.suffix)
