"""Synthesis of the converted VHDL or Verilog for Xilinx devices with Yosys, an entity at a time."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from eie.errors import DeviceError, MissingExtraError
from eie_hw.parts.memories import MEMORIES, TARGETS, TEMPLATES, template_file


def synthesise(files: list[Path], top: str, family: str = "xc7", own_names: bool = False) -> dict[str, dict[str, int]]:
    """Synthesise a hierarchy and count its cells.

    Every entity stays one: it is synthesised once, however often it is used, and nothing is optimised across its
    ports, so that each cell belongs to one unit. The templates of `eie_hw.parts.memories` dissolve into their users.

    Parameters
    ----------
    files : list of Path
        Each file `NAME.vhd` or `NAME.v` with the entity or module NAME, in the order of compilation; VHDL is elaborated
        by GHDL, which hands it on as Verilog.
    top : str
        The module to begin at.
    family : {"xc7", "xcup"}
        7-series or UltraScale+; converted for it.
    own_names : bool
        Name private signals after the cells that drive them before LUTs are mapped. Which of two equal networks the
        mapper takes hangs on names, and they by default on what else is in the design: a LUT more or less in a unit.

    Returns
    -------
    dict
        For each module at or below `top`, the number of its cells by type; a sub-module is a cell as well.

    Raises
    ------
    MissingExtraError
        Without pyosys, or GHDL.
    DeviceError
        If GHDL or Yosys refuses the design; the message is its own.
    """
    modules = _run_yosys(files, top, family, "tee -q -o {} stat -json", own_names)["modules"]
    return {name.removeprefix("\\"): module["num_cells_by_type"] for name, module in modules.items()}


def flat_netlist(files: list[Path], top: str) -> dict[str, Any]:
    """Synthesise a hierarchy for 7-series as `synthesise` does, then dissolve its entities.

    Returns
    -------
    dict
        The module, as Yosys' write_json gives it: cells, their connections, names of the nets with those of the
        entities that they are in.
    """
    passes = "setattr -mod -unset keep_hierarchy *; flatten; opt_clean -purge; write_json {}"
    return _run_yosys(files, top, "xc7", passes)["modules"][top]


def _run_yosys(files: list[Path], top: str, family: str, last_passes: str, own_names: bool = False) -> dict[str, Any]:
    """Return the JSON that the last passes write to the file that they are given."""
    if importlib.util.find_spec("pyosys") is None:
        raise MissingExtraError("synthesis needs pyosys: pip install 'eie-pynq[hardware]'")
    with tempfile.TemporaryDirectory(prefix="eie-synthesis-") as scratch:
        result = Path(scratch) / "result.json"
        read = _read_vhdl(files, top, Path(scratch)) if files[0].suffix == ".vhd" else _read_verilog(files)
        ultra_ram = " -uram" if family == "xcup" else ""
        synthesis = f"synth_xilinx -family {family}{ultra_ram} -flatten -noiopad -noclkbuf -top {top} -run"
        passes = [*read, f"{synthesis} :map_luts", *["autoname"] * own_names, f"{synthesis} map_luts:"]
        passes += last_passes.format(result).split("; ")
        # In a process of its own: Yosys writes its log to the standard output and may end the process.
        run = subprocess.run([sys.executable, "-c", _RUN, *passes], capture_output=True, text=True)
        if run.returncode or not result.exists():
            reason = [line for line in (run.stdout + run.stderr).splitlines() if "ERROR" in line]
            raise DeviceError(f"Yosys could not synthesise {top}: {reason[0] if reason else run.stderr[-500:]}")
        return json.loads(result.read_text())


_RUN = """\
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in sys.argv[1:]:
    design.run_pass(line)
"""


def _read_verilog(files: list[Path]) -> list[str]:
    """Return Yosys' passes that read Verilog."""
    entities = [path.stem for path in files if _template(path) is None]
    return [
        *(f"read_verilog {path.resolve()}" for path in files),
        f"setattr -mod -set keep_hierarchy 1 {' '.join(entities)}",
    ]


def _read_vhdl(files: list[Path], top: str, scratch: Path) -> list[str]:
    """Elaborate VHDL with GHDL; return Yosys' passes that read the outcome.

    GHDL makes a module of every template and choice of its generics, `lut_ram_64_6_48`, and drops the attribute that
    says what kind of memory it shall become. Of a case it leaves out the last choice, `others`; taken as it is, that
    would ask for latches.
    """
    ghdl = shutil.which("ghdl")
    if ghdl is None:
        raise MissingExtraError(
            "the resource estimate of VHDL needs ghdl: apt-get install ghdl-mcode; or take the Verilog: --hdl Verilog"
        )
    options = ["--std=93c", f"--workdir={scratch}"]
    # GHDL does not know the cells of a device: it takes what is simulated, and Yosys the Verilog with the cells below.
    templates = {path: _template(path) for path in files}
    analysed = [template_file(f"{templates[path]}.vhd") if templates[path] else path for path in files]
    _ghdl([ghdl, "-a", *options, *(str(path.resolve()) for path in analysed)])
    netlist = scratch / f"{top}.v"
    verilog = _ghdl([ghdl, "--synth", *options, "--out=verilog", top])
    netlist.write_text(_LAST_CHOICE.sub(r"\1\2\n\1default: \3 <= 'bx;\n\4endcase", verilog), encoding="utf-8")
    modules = re.findall(r"^module (\w+)", verilog, re.M)
    entities = [name for name in modules if not name.startswith(TEMPLATES)]
    passes = [f"read_verilog {netlist}"]
    for path, template in templates.items():
        if template is None or not any(module.startswith(template) for module in modules):
            continue
        if (
            path.stem != template
        ):  # GHDL does not know the device's cells: they are read from the Verilog of the same name
            passes += [f"delete {template}", f"read_verilog {template_file(path.stem + '.v')}"]
        elif template in MEMORIES:
            style = re.search(r'ram_style of \w+ : signal is "(\w+)"', path.read_text(encoding="utf-8"))[1]  # type: ignore[index]
            passes.append(f'setattr -set ram_style "{style}" {template}_*/m:*')
    return [*passes, f"setattr -mod -set keep_hierarchy 1 {' '.join(entities)}"]


_LAST_CHOICE = re.compile(r"^( *)(\d+'b[01]+: (\w+) <= [^;]+;)\n( *)endcase", re.M)


def _ghdl(command: list[str]) -> str:
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise DeviceError(f"GHDL refused the design: {run.stderr[-500:]}")
    return run.stdout


def _template(path: Path) -> str | None:
    """Return which of the hand-written units a file is of, or None."""
    variants = {variant: name for variants in TARGETS.values() for name, variant in variants.items()}
    name = variants.get(path.stem, path.stem)
    return name if name in TEMPLATES else None
