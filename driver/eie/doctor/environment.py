"""Checks of what is installed: Python, numpy, pynq, extras, the board's image."""

from __future__ import annotations

import platform
import re
import sys
from importlib import metadata

import numpy as np

from eie.boards.board import Board, board, board_names
from eie.boards.pynq_versions import PINS, PYTHON, requirement
from eie.devices.emulation.just_in_time import cache_folder
from eie.devices.emulation.tile_products import compiled_kernels
from eie.doctor.check import FAIL, OK, SKIPPED, Findings
from eie.errors import ConfigError

OLDEST_NUMPY = (1, 21)


_DISTRIBUTION = "eie-pynq"


_FOR_DEVELOPMENT = ("test", "train")


_BOARD_MACHINES = ("armv7l", "aarch64")


def check_python(findings: Findings) -> None:
    found = platform.python_version()
    low, high = (".".join(map(str, version)) for version in PYTHON)
    good = PYTHON[0] <= sys.version_info[:2] <= PYTHON[1]
    if good or (not has_pynq() and sys.version_info[:2] >= PYTHON[0]):
        findings.add("Python", OK, found)
    else:
        findings.add("Python", FAIL, found, f"use Python {low} to {high}: pynq has no packages for others")


def check_numpy(findings: Findings) -> None:
    pins = {"numpy": requirement("numpy")} if has_pynq() else {}
    oldest = ".".join(map(str, OLDEST_NUMPY))
    good = version_numbers(np.__version__) >= OLDEST_NUMPY
    remedy = f'pip install "numpy>={oldest}{"," + pins["numpy"].removeprefix("numpy") if pins else ""}"'
    findings.add("numpy", OK if good else FAIL, np.__version__, remedy)


def check_pynq(findings: Findings) -> bool:
    """Look at pynq and what it needs; return whether it can be used."""
    if not has_pynq():
        findings.add(
            "pynq",
            SKIPPED,
            "not installed: no board, and no virtual one",
            "it is on the boards' images; off a board, eie virtual-board says how to install it",
        )
        return False
    version = metadata.version("pynq")
    known = sorted({v for name in board_names() for v in board(name).pynq_versions})
    good = _release(version) in {_release(v) for v in known}
    good = findings.add("pynq", OK if good else FAIL, version, f"the driver is for pynq {', '.join(known)}")
    for package, limit, why in PINS:
        if package == "pycparser" and version_numbers(version) >= (4,):
            continue
        try:
            found = metadata.version(package)
        except metadata.PackageNotFoundError:
            found = "not installed"
        kept = found[0].isdigit() and _keeps(found, limit)
        findings.add(
            f"pynq's {package}", OK if kept else FAIL, f"{found} ({limit})", f'{why}: pip install "{package}{limit}"'
        )
        good = good and kept
    return good


def check_extras(findings: Findings) -> None:
    try:
        required = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        findings.add("extras", SKIPPED, f"{_DISTRIBUTION} is not installed as a package", "pip install -e .")
        return
    missing: dict[str, list[str]] = {}
    for line in required:
        if found_extra := re.search(r'extra == ["\'](\w+)["\']', line):
            package = re.split(r"[^\w.-]", line)[0]
            lacking = missing.setdefault(found_extra[1], [])
            lacking += [package] if not _installed(package) else []
    for extra, lacking in sorted(missing.items()):
        if extra not in _FOR_DEVELOPMENT:
            found = f"not installed: {', '.join(lacking)}" if lacking else "installed"
            findings.add(
                f"extra {extra}",
                SKIPPED if lacking else OK,
                found,
                f"if you need it: pip install '{_DISTRIBUTION}[{extra}]'",
            )


def check_compiler(findings: Findings) -> None:
    """Look whether what numba compiles is kept from one process to the next."""
    kernels = compiled_kernels()
    if kernels is None:
        return
    folder = cache_folder(kernels.accumulate)
    findings.add(
        "compiled emulation",
        SKIPPED if folder is None else OK,
        "kept nowhere: compiled anew in every process" if folder is None else f"kept in {folder}",
        "to start faster, set NUMBA_CACHE_DIR to a folder that may be written",
    )


def has_pynq() -> bool:
    """Return whether pynq is installed, usable or not."""
    return _installed("pynq")


def _installed(package: str) -> bool:
    try:
        return bool(metadata.version(package))
    except metadata.PackageNotFoundError:
        return False


def check_board(findings: Findings, virtual_board: str | None) -> Board | None:
    """Return the board that this is, or plays."""
    from eie.devices.choice import this_board

    name = virtual_board or this_board()
    if name is None and platform.machine() in _BOARD_MACHINES:
        findings.add("board", SKIPPED, f"an unknown one ({platform.machine()})", f"known: {', '.join(board_names())}")
    elif name is None:
        findings.add("board", SKIPPED, f"none: this is a {platform.machine()} computer", "nothing, off a board")
    else:
        try:
            described = board(name)
        except ConfigError as error:
            findings.add("board", FAIL, str(error), "build an overlay for it: docs/overlay.md, 'The boards'")
            return None
        findings.add("board", OK, f"{described.title}{', virtual' if virtual_board else ''}")
        return described
    return None


def check_board_version(findings: Findings, described: Board) -> None:
    version = metadata.version("pynq")
    good = version_numbers(version)[:1] in {version_numbers(v)[:1] for v in described.pynq_versions}
    supported = ", ".join(described.pynq_versions)
    findings.add(
        "board's pynq",
        OK if good else FAIL,
        f"pynq {version}",
        f"the {described.title} is supported by pynq {supported}",
    )


def version_numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of a version: "3.1.2" is (3, 1, 2)."""
    return tuple(int(part) for part in re.match(r"\d+(\.\d+)*", text)[0].split("."))  # type: ignore[index]


def _release(text: str) -> tuple[int, ...]:
    return (*version_numbers(text), 0)[:2]


def _keeps(version: str, limit: str) -> bool:
    """Return whether a version keeps a limit such as "<2" or "<=80"."""
    bound = version_numbers(limit.lstrip("<="))
    found = version_numbers(version)
    return found[: len(bound)] <= bound if limit.startswith("<=") else found < bound
