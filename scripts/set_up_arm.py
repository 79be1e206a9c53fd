"""The processors of boards, simulated: Debian's Python and numpy for them, run by qemu; nothing of it is installed.

PYNQ-Z1 and Z2 have a 32-bit processor (armhf), ZCU104 and KV260 a 64-bit one (arm64). The images come with Ubuntu's
Python 3.10 and numpy 1.21; Debian's nearest to it is used.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import environments
from debian_packages import NotAvailableError, distribution, unpack

SUITE, PYTHON = "bookworm", "3.11"
QEMU = {"armhf": "qemu-arm-static", "arm64": "qemu-aarch64-static"}
PACKAGES = ["python3", "python3-numpy", "python3-pytest", "python3-hypothesis"]
# What pynq needs that is compiled; what is not comes from the environment of scripts/test_pynq.sh.
PACKAGES += ["python3-cffi", "python3-psutil", "python3-pydantic", "python3-grpcio", "python3-jsonschema"]
PACKAGES += ["python3-tqdm", "python3-ipython", "python3-pkg-resources", "python3-magic"]
PYNQ = "3.1.2"
PURE = ["pynq", "pynq-*", "pynqutils*", "pynqmetadata*", "nest_asyncio*"]
TRIPLETS = {"armhf": "arm-linux-gnueabihf", "arm64": "aarch64-linux-gnu"}
OWN = {"eie": "driver/eie", "eie_overlays": "overlays", "eie_notebooks": "notebooks", "eie_hw": "hw/eie_hw"}

START = """#!/bin/sh
# Python of {architecture}, with what is in site/ beside it.
here={folder}
root=$here/root
libraries=$root/usr/lib/{triplet}
EIE_PYTHON=$here/python
export EIE_PYTHON
exec {qemu} -L "$root" \\
    -E LD_LIBRARY_PATH="$libraries/blas:$libraries/lapack:$libraries:$root/lib/{triplet}" \\
    -U PYTHONDONTWRITEBYTECODE -E PYTHONPYCACHEPREFIX="$here/compiled" \\
    -E PYTHONHOME="$root/usr" -E PYTHONNOUSERSITE=1 -E PYTHONPATH="$here/site:$root/usr/lib/python3/dist-packages" \\
    "$root/usr/bin/python{python}" "$@"
"""

# A program started by `sys.executable` must be simulated, too.
CUSTOMISE = """import os
import sys

sys.executable = os.environ.get("EIE_PYTHON", sys.executable)
"""


def simulated_python(architecture: str) -> Path:
    """Return a script that is Python for a processor."""
    if distribution() != "debian":
        raise NotAvailableError("Debian's packages for ARM can be had on Debian alone")
    folder = environments.ROOT / "build" / architecture
    unpack(folder, PACKAGES, SUITE, architecture)
    site = folder / "site"
    site.mkdir(exist_ok=True)
    for name, place in OWN.items():
        link(site / name, environments.ROOT / place)
    (site / "sitecustomize.py").write_text(CUSTOMISE, encoding="utf-8")
    start = folder / "python"
    text = START.format(
        architecture=architecture,
        folder=shlex.quote(str(folder)),
        triplet=TRIPLETS[architecture],
        qemu=shlex.quote(simulator(QEMU[architecture])),
        python=PYTHON,
    )
    start.write_text(text, encoding="utf-8")
    start.chmod(0o755)
    if environments.version_of(start) != PYTHON:
        raise environments.SetUpError(
            f"Python {PYTHON} for {architecture} does not run: {start}; remove {folder} and try again"
        )
    link_pynq(site)
    return start


def simulator(name: str) -> str:
    """Return the path of qemu's program, installed or unpacked."""
    installed = shutil.which(name)
    if installed:
        return installed
    own = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    return str(unpack(environments.ROOT / "build/qemu", ["qemu-user-static"], SUITE, own) / "usr/bin" / name)


def link_pynq(site: Path) -> None:
    """Put what pynq has in Python alone beside the package; it is made by the set-up of scripts/test_pynq.sh."""
    import set_up_pynq

    try:
        python = set_up_pynq.with_tests(PYNQ)
    except NotAvailableError:
        return  # the tests say that they are skipped
    program = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip())
    for pattern in PURE:
        for place in packages.glob(pattern):
            link(site / place.name, place)


def link(place: Path, target: Path) -> None:
    if not place.is_symlink() or place.readlink() != target:
        place.unlink(missing_ok=True)
        place.symlink_to(target)
