"""Python environments, how they are made and known to be complete; packages of the system. See scripts/set_up.py."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from debian_packages import NotAvailableError, distribution

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
LEFT_OUT = ENVIRONMENT / "left-out.txt"

EXTRAS = {"demo": ["compress", "fast", "plots"], "test": ["test", "train"]}
# What "test" and "train" stand for, one by one: where not everything can be had, the rest is installed.
PARTS = ["pytest", "compress", "plots", "onnx", "safetensors", "fast", "explore", "notebooks", "docs", "hardware"]
PARTS += ["hardware-test", "timing", "train"]
# Program, and the Debian package that brings it.
TOOLS = {"ghdl": "ghdl-mcode", "g++": "g++", "make": "make", "tclsh": "tcl"}
# For the C runtime on the processors of boards.
TOOLS |= {
    "gcc": "gcc",
    "arm-linux-gnueabihf-gcc": "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    "qemu-arm-static": "qemu-user-static",
}


class SetUpError(Exception):
    """Something went wrong; the text says what, and what to do."""


def say(text: str) -> None:
    print(f"eie: {text}", file=sys.stderr, flush=True)


# .venv


def set_up_environment(use: str) -> Path:
    """Make .venv fit for a use; "test" includes all that "demo" needs."""
    python = ENVIRONMENT / "bin/python"
    if not is_complete(use):
        if not is_complete("demo"):
            create_environment(ENVIRONMENT, Path(getattr(sys, "_base_executable", sys.executable)))
        for stamp in ENVIRONMENT.glob(".complete-*"):
            stamp.unlink()
        install_package(use)
        for name in ("demo", use):
            stamp_of(name).touch()
    return python


def stamp_of(use: str) -> Path:
    described = (ROOT / "setup.py").read_bytes() + (ROOT / "pyproject.toml").read_bytes() + f"{ROOT}\n".encode()
    return ENVIRONMENT / f".complete-{use}-{sha256(described).hexdigest()[:16]}"


def is_complete(use: str) -> bool:
    return stamp_of(use).exists() and runs(ENVIRONMENT / "bin/python", "")


def runs(python: Path | str, program: str) -> bool:
    with contextlib.suppress(OSError):
        return subprocess.run([python, "-c", program], capture_output=True, stdin=subprocess.DEVNULL).returncode == 0
    return False


def create_environment(folder: Path, python: Path) -> None:
    if not runs(python, "import ensurepip, venv"):
        # Debian's Python keeps this in a package of its own, named like the interpreter.
        install_system_packages(f"python{version_of(python)}-venv")
    say(f"setting up {folder.relative_to(ROOT)} with Python {version_of(python)} ({python})")
    shutil.rmtree(folder, ignore_errors=True)
    run([python, "-m", "venv", folder], f"{python} could not create {folder}")


def version_of(python: Path | str) -> str:
    """Return the version of an interpreter, for example "3.11"; empty if it does not run."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    with contextlib.suppress(OSError):
        done = subprocess.run([python, "-c", program], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        return done.stdout.strip()
    return ""


def install_package(use: str) -> None:
    """Install the package with a use's extras; where not all wheels are to be expected, with those that can be had."""
    LEFT_OUT.unlink(missing_ok=True)
    extras = ",".join(EXTRAS[use])
    say(f"installing the package with its extras {extras}; the first time takes a few minutes")
    try:
        pip_install(ENVIRONMENT / "bin/python", "--editable", f"{ROOT}[{extras}]", log=ENVIRONMENT / "install.log")
    except SetUpError:
        if use != "test" or is_debian_pc():
            raise
        install_parts()


def install_parts() -> None:
    missing = []
    for extra in PARTS:
        log = ENVIRONMENT / f"install-{extra}.log"
        try:
            pip_install(ENVIRONMENT / "bin/python", "--editable", f"{ROOT}[{extra}]", log=log)
        except SetUpError:
            if extra == "pytest":
                raise
            missing.append(f"tests of the extra {extra!r}: pip could not install it here ({log})")
    LEFT_OUT.write_text("".join(f"{line}\n" for line in missing), encoding="utf-8")


def is_debian_pc() -> bool:
    return bool(distribution()) and platform.machine() == "x86_64"


def pip_install(python: Path, *arguments: str | Path, log: Path) -> None:
    # Modules are compiled when they are first imported; compiling all of them takes longer than unpacking.
    command = [*pip(python), "install", "--no-compile", "--no-input", *arguments]
    run(command, "pip could not install what is needed", log)


def pip(python: Path) -> list[str | Path]:
    """Return the command that is pip for an interpreter: its own, or, for one without, .venv's."""
    if runs(python, "import pip"):
        return [python, "-m", "pip"]
    return [ENVIRONMENT / "bin/python", "-m", "pip", "--python", python]


def run(command: list[str | Path], failure: str, log: Path | None = None) -> None:
    """Run a command and keep what it says; show its end if it fails."""
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode(errors="replace")
    if log:
        log.write_text(text, encoding="utf-8")
    if done.returncode:
        print("\n".join(text.splitlines()[-20:]), file=sys.stderr)
        raise SetUpError(f"{failure}; the whole log is {log}" if log else failure)


# Packages of the system


def install_tools() -> str:
    """Install the programs that tests of the hardware need: without them these would be skipped, and go unnoticed."""
    packages = [p for program, needed in TOOLS.items() if not shutil.which(program) for p in needed.split()]
    # cocotb runs Python inside the simulator.
    if not runs(ENVIRONMENT / "bin/python", "import find_libpython as f; assert f.find_libpython()"):
        packages.append(f"libpython{version_of(ENVIRONMENT / 'bin/python')}")
    if packages and not distribution():
        raise NotAvailableError(
            f"tests that need {', '.join(packages)} (names of Debian's packages): "
            "they are skipped, all others run; the hardware is simulated by MyHDL and Verilator besides"
        )
    if packages:
        install_system_packages(*packages)
    return "there are all"


def install_system_packages(*packages: str) -> None:
    """Install packages by apt-get as root; otherwise say how, and stop."""
    if not shutil.which("apt-get"):
        raise SetUpError(f"missing what Debian packages as {' '.join(packages)}; install it and try again")
    if os.geteuid():
        raise SetUpError(f"missing system packages; install them with: sudo apt-get install {' '.join(packages)}")
    say(f"installing system packages: {' '.join(packages)}")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    log = Path(tempfile.gettempdir()) / "eie-apt-get.log"
    run(["apt-get", "update"], "apt-get could not update its lists", log)
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    run(command, f"apt-get could not install {' '.join(packages)}", log)
