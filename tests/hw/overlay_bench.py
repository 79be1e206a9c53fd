"""What the overlay tests share: a Vivado that is a stub, and a converter that writes only the top entity's ports."""

import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eie_hw.overlay.analyser import MARKED
from eie_hw.shell.top import eie_top

STUB = Path(__file__).with_name("vivado_stub.tcl")
TCLSH = shutil.which("tclsh")
needs_tclsh = pytest.mark.skipif(TCLSH is None, reason="needs tclsh (package tcl)")

RESULTS = ["eie-pynq-z2.bit", "eie-pynq-z2.hwh", "eie-pynq-z2.json"]
LEFT = {"build.py", "build.tcl", "vhdl"}
RAN = {"ip", "reports", "reports.zip", "vivado", "vivado.log", "vivado_ip"}

_OUTPUTS = re.compile(
    r"s_axis_tready|m_axis_t(data|keep|last|valid)|s_axi_(aw|w|ar)ready|s_axi_[br](resp|valid|data)|interrupt"
)
"""Ports that the array drives."""


def ports():
    """Return the names of the top entity's ports, as the hardware itself declares them."""
    return [name for name in inspect.signature(eie_top).parameters if name not in ("config", "array")]


def stub_converter(config, directory, target):
    """Write an entity with the ports of `eie_top` and the control unit that it depends on; return them in order."""
    assert target in ("xc7", "xcup")
    directory.mkdir(parents=True)
    head = "library ieee;\nuse ieee.std_logic_1164.all;\n"
    declarations = ";\n".join(f"        {n}: {'out' if _OUTPUTS.fullmatch(n) else 'in'} std_logic" for n in ports())
    types = {"state": "state_type", "header": "unsigned(63 downto 0)", "fault": "unsigned(7 downto 0)"}
    signals = "".join(f"signal {name}: {types.get(name, 'std_logic')};\n" for name in MARKED)
    texts = {
        "control_unit.vhd": f"{head}use ieee.numeric_std.all;\n"
        "entity control_unit is\n    port (a: in std_logic);\nend entity control_unit;\n"
        "architecture empty of control_unit is\n"
        f"type state_type is (FETCH, AWAIT, DECIDE, TAKE_PAYLOAD, DRAIN);\n{signals}\nbegin\nend architecture empty;\n",
        "eie_top.vhd": f"{head}entity eie_top is\n    port (\n{declarations}\n    );\nend entity eie_top;\n"
        "architecture empty of eie_top is\nbegin\n    u: entity work.control_unit port map (a => aclk);\n"
        "end architecture empty;\n",
    }
    for name, text in texts.items():
        (directory / name).write_text(text)
    return [directory / name for name in texts]


def install_stub(directory):
    """Put an executable `vivado` that is the stub into a directory; return it."""
    directory.mkdir(parents=True, exist_ok=True)
    executable = directory / "vivado"
    executable.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = -version ]; then echo "vivado v${STUB_VERSION:-2022.1} (64-bit)"; exit 0; fi\n'
        f'exec "{TCLSH}" "{STUB}" "$@"\n'
    )
    executable.chmod(0o755)
    return executable


def calls(record):
    """Return the calls that the stub recorded, as lists of words."""
    return [line.split("\t") for line in record.read_text().splitlines()]


def environment(**changes):
    """Return the environment of this process with changes, and its Python first on PATH."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    return {**os.environ, "PATH": path, **changes}


def names(directory):
    return {path.name for path in directory.iterdir()}


def run_shell(directory, vivado=None, **changes):
    path = os.pathsep.join([*([str(vivado.parent)] if vivado else []), "/usr/bin", "/bin"])
    return subprocess.run(
        [sys.executable, str(directory / "build.py")],
        env={**os.environ, "PATH": path, **changes},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=30,
    )


def run_in_stub(directory, **environment):
    """Run the script of a directory in the stub; return what it did and the calls that the stub recorded."""
    record = directory / "record"
    run = subprocess.run(
        [TCLSH, str(STUB), "-source", str(directory / "build.tcl")],
        env={**os.environ, "STUB_RECORD": str(record), **environment},
        capture_output=True,
        text=True,
        timeout=30,
    )
    return run, calls(record) if record.exists() else []


def assert_ghdl_accepts(directory, sources):
    """Compile sources in this order as VHDL-93 and elaborate the top entity."""
    if shutil.which("ghdl") is None:
        pytest.skip("needs ghdl")
    work = directory / "work"
    work.mkdir()
    options = ["--std=93c", f"--workdir={work}"]
    for step in (["-a", *options, *sources], ["-e", *options, "eie_top"]):
        run = subprocess.run(["ghdl", *step], cwd=directory, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert "violates bounds" not in run.stderr, run.stderr
