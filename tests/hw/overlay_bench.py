"""What the overlay tests share: a Vivado that is a stub, and a converter that writes only the top entity's ports."""

import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
    """Write an entity with the ports of `eie_top` and one that it depends on; return them in order."""
    assert target in ("xc7", "xcup")
    directory.mkdir(parents=True)
    head = "library ieee;\nuse ieee.std_logic_1164.all;\n"
    declarations = ";\n".join(f"        {n}: {'out' if _OUTPUTS.fullmatch(n) else 'in'} std_logic" for n in ports())
    texts = {
        "unit.vhd": f"{head}entity unit is\n    port (a: in std_logic);\nend entity unit;\n"
        "architecture empty of unit is\nbegin\nend architecture empty;\n",
        "eie_top.vhd": f"{head}entity eie_top is\n    port (\n{declarations}\n    );\nend entity eie_top;\n"
        "architecture empty of eie_top is\nbegin\n    u: entity work.unit port map (a => aclk);\n"
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
