"""Environments with pynq, which needs an older Python, numpy and setuptools than the rest."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from hashlib import sha256
from pathlib import Path

import environments
from debian_packages import NotAvailableError, distribution, unpack

# numpy 2 breaks PynqBuffer, pycparser 3 the cffi of 3.1, setuptools 81 has no pkg_resources.
PINS = ["setuptools<=80", "numpy<2", "pycparser<3"]
TOOLS = ["wheel", "pytest>=7", "pytest-xdist>=3", "hypothesis>=6"]
# What the images bring besides; matplotlib before 3.11 for it needs numpy 2.
IMAGE = ["wheel", "matplotlib<3.11", "ipykernel", "nbclient"]
BUILD = environments.ROOT / os.environ.get("PYNQ_ENVIRONMENTS", "build")

SUITABLE = {"3.1.2": ["3.11", "3.10", "3.12"], "4.0.0": ["3.12", "3.11"]}
"""The Pythons that have wheels of all that a release of pynq needs (numpy < 2, grpcio-tools 1.64), the best first."""

OLDER = {"debian": ("bookworm", "3.11"), "ubuntu": ("noble", "3.12")}
"""The last release of a distribution with such a Python, to be unpacked where the present one has none."""

START = """#!/bin/bash
export LD_LIBRARY_PATH={libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}
exec {name}{interpreter} "$@"
"""


def with_tests(version: str, hardware: bool = False) -> Path:
    """Return the Python of an environment with a release of pynq, pytest, and the package as it stands here."""
    folder = BUILD / f"pynq-{version}"
    python = pynq_environment(folder, version, TOOLS)
    # What setup.py says of entry points takes an installation to come into force.
    stamp = folder / f"installed-{sha256((environments.ROOT / 'setup.py').read_bytes()).hexdigest()[:16]}"
    if not stamp.exists():
        install(python, "--no-deps", "--no-build-isolation", "--editable", environments.ROOT)
        for old in folder.glob("installed-*"):
            old.unlink()
        stamp.touch()
    if hardware and not (folder / "complete-hardware").exists():
        install(
            python, "--no-build-isolation", "--editable", f"{environments.ROOT}[hardware]", f"pynq=={version}", *PINS
        )
        environments.run([*environments.pip(python), "check"], f"the packages of {folder} do not go together")
        (folder / "complete-hardware").touch()
    return python


def as_on_a_board(version: str) -> Path:
    """Return the Python of an environment with a release of pynq and what an image has besides, without the package."""
    return pynq_environment(BUILD / f"board-{version}", version, IMAGE)


def pynq_environment(folder: Path, version: str, besides: list[str]) -> Path:
    python = folder / "bin/python"
    complete = folder / f"complete-{sha256(repr((version, besides, PINS)).encode()).hexdigest()[:16]}"
    if not (complete.exists() and environments.runs(python, "import numpy")):
        create(folder, find_python(version))
        install(python, *PINS, *besides)
        install(python, "--no-build-isolation", f"pynq=={version}", *PINS)
        complete.touch()
    return python


def install(python: Path, *arguments: str | Path) -> None:
    environments.pip_install(python, *arguments, log=python.parent.parent / "install.log")


def create(folder: Path, python: Path) -> None:
    if environments.runs(python, "import ensurepip"):
        environments.create_environment(folder, python)
        return
    environments.say(f"setting up {folder.name} with Python {environments.version_of(python)} ({python})")
    shutil.rmtree(folder, ignore_errors=True)
    environments.run([python, "-m", "venv", "--without-pip", folder], f"{python} could not create {folder}")
    # An environment's interpreter is a link to the one it is made from, which needs its libraries besides.
    interpreter = (folder / "bin/python").resolve()
    for link in (folder / "bin").glob("python*"):
        link.unlink()
        write_start(link, interpreter, named=True)


def find_python(version: str) -> Path:
    """Return an interpreter that pynq can be installed for: one of this machine, or one unpacked beside it."""
    wanted = SUITABLE[version]
    candidates = [*(f"python{name}" for name in wanted), getattr(sys, "_base_executable", sys.executable)]
    for candidate in candidates:
        if environments.version_of(candidate) in wanted and environments.runs(candidate, "import ensurepip, venv"):
            return Path(shutil.which(candidate) or candidate)
    suite, name = OLDER.get(distribution(), ("", ""))
    if name not in wanted:
        raise NotAvailableError(f"pynq {version} needs Python {' or '.join(wanted)}, which this machine does not have")
    return unpacked_python(suite, name)


def unpacked_python(suite: str, name: str) -> Path:
    folder = BUILD / f"python{name}"
    root = unpack(folder, [f"python{name}"], suite)
    start = folder / f"python{name}"
    write_start(start, root / f"usr/bin/python{name}")
    if not environments.runs(start, "import ctypes, sqlite3, ssl, venv, zlib"):
        raise NotAvailableError(f"Python {name} of {suite} does not run on this machine ({start})")
    return start


def write_start(start: Path, interpreter: Path, named: bool = False) -> None:
    """Write a script that is an unpacked interpreter: it finds the libraries that were unpacked with it.

    With ``named`` the interpreter takes the script for itself, and so finds the environment that the script is in.
    """
    root = interpreter.parents[2]
    libraries = sorted({str(library.parent) for library in root.glob("**/lib*.so.*") if library.is_file()})
    text = START.format(
        libraries=shlex.quote(":".join(libraries)),
        name='-a "$0" ' if named else "",
        interpreter=shlex.quote(str(interpreter)),
    )
    start.write_text(text, encoding="utf-8")
    start.chmod(0o755)
