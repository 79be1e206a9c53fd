"""Checks of an installation, from Python to an inference: what is wrong, and what to do.

Each check looks at one thing and needs those before it; what cannot be looked at is skipped, and says why.
"""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import numpy as np

from eie.boards.board import Board, board, board_names, design_build_hash
from eie.boards.overlay_files import bit_design, hwh_design
from eie.boards.pynq_versions import PINS, PYTHON, requirement
from eie.contract import isa, registers
from eie.contract.config import ArrayConfig
from eie.data import mnist
from eie.devices.choice import device_by_name
from eie.devices.emulation.device import EmulatedDevice
from eie.devices.interface import Device, check_identity, error_text
from eie.errors import ConfigError, EieError
from eie.runtime.accelerator import Accelerator

OK, FAIL, SKIPPED = "OK", "FAIL", "SKIPPED"

OLDEST_NUMPY = (1, 21)
_DISTRIBUTION = "eie-pynq"
_FOR_DEVELOPMENT = ("test", "train")
_IMAGES = 16
_BOARD_MACHINES = ("armv7l", "aarch64")


@dataclass(frozen=True)
class Check:
    """What came of looking at one thing.

    Parameters
    ----------
    name : str
    status : {"OK", "FAIL", "SKIPPED"}
    found : str
    remedy : str
        What to do about it; empty if there is nothing to do.
    """

    name: str
    status: str
    found: str
    remedy: str = ""


@dataclass
class _Findings:
    checks: list[Check] = field(default_factory=list)

    def add(self, name: str, status: str, found: str, remedy: str = "") -> bool:
        self.checks.append(Check(name, status, found, remedy if status != OK else ""))
        return status == OK


def diagnose(device: str = "auto", virtual_board: str | None = None) -> list[Check]:
    """Look at everything, in order.

    Parameters
    ----------
    device : str
        See `eie.devices.choice.device_by_name`; a path that ends in .bit is an overlay, whose files are looked at too.
    virtual_board : str, optional
        Name of a board: the overlay is the one of a virtual board, and `device` is not used.

    Returns
    -------
    list of Check
    """
    findings = _Findings()
    _check_python(findings)
    _check_numpy(findings)
    usable = _check_pynq(findings)
    _check_extras(findings)
    described = _check_board(findings, virtual_board)
    if described is not None and has_pynq():
        _check_board_version(findings, described)
    try:
        with _opened(device, virtual_board, described, usable) as (name, overlay, opened):
            if _check_overlay(findings, overlay, described):
                _check_device(findings, name, opened)
    except EieError as error:
        findings.add("device", FAIL, str(error), "see the message; docs/virtual-board.md and docs/overlay.md help")
    return findings.checks


# The environment.


def _check_python(findings: _Findings) -> None:
    found = platform.python_version()
    low, high = (".".join(map(str, version)) for version in PYTHON)
    good = PYTHON[0] <= sys.version_info[:2] <= PYTHON[1]
    if good or (not has_pynq() and sys.version_info[:2] >= PYTHON[0]):
        findings.add("Python", OK, found)
    else:
        findings.add("Python", FAIL, found, f"use Python {low} to {high}: pynq has no packages for others")


def _check_numpy(findings: _Findings) -> None:
    pins = {"numpy": requirement("numpy")} if has_pynq() else {}
    oldest = ".".join(map(str, OLDEST_NUMPY))
    good = _version(np.__version__) >= OLDEST_NUMPY
    remedy = f'pip install "numpy>={oldest}{"," + pins["numpy"].removeprefix("numpy") if pins else ""}"'
    findings.add("numpy", OK if good else FAIL, np.__version__, remedy)


def _check_pynq(findings: _Findings) -> bool:
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
        if package == "pycparser" and _version(version) >= (4,):
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


def _check_extras(findings: _Findings) -> None:
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


def has_pynq() -> bool:
    """Return whether pynq is installed, usable or not."""
    return _installed("pynq")


def _installed(package: str) -> bool:
    try:
        return bool(metadata.version(package))
    except metadata.PackageNotFoundError:
        return False


def _check_board(findings: _Findings, virtual_board: str | None) -> Board | None:
    """Return the board that this is, or plays."""
    from eie.devices.nearest import this_board

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


def _check_board_version(findings: _Findings, described: Board) -> None:
    version = metadata.version("pynq")
    good = _version(version)[:1] in {_version(v)[:1] for v in described.pynq_versions}
    supported = ", ".join(described.pynq_versions)
    findings.add(
        "board's pynq",
        OK if good else FAIL,
        f"pynq {version}",
        f"the {described.title} is supported by pynq {supported}",
    )


# The overlay.


@contextmanager
def _opened(
    device: str, virtual_board: str | None, described: Board | None, usable_pynq: bool
) -> Iterator[tuple[str, Path | None, Callable[[], Device]]]:
    """Give the device's name, its overlay if it has one, and what opens it."""
    if virtual_board is not None:
        from eie.devices.virtual import VirtualBoard

        with VirtualBoard(virtual_board) as virtual:
            yield "virtual board", Path(virtual.bitfile), lambda: device_by_name(virtual.bitfile)
    elif device.endswith(".bit"):
        yield device, Path(device), lambda: device_by_name(device)
    elif device == "auto" and described is not None and usable_pynq:
        from eie.devices.nearest import find_overlay

        overlay = find_overlay(described.name)
        yield str(overlay), overlay, lambda: device_by_name(str(overlay))
    elif device == "auto" and not usable_pynq:
        yield "emulated", None, EmulatedDevice
    else:
        yield device, None, lambda: device_by_name(device)


def _check_overlay(findings: _Findings, overlay: Path | None, described: Board | None) -> bool:
    """Look at the files of an overlay; return whether to go on."""
    if overlay is None:
        remedy = "name one with --overlay eie.bit; docs/overlay.md says how one is built"
        findings.add("overlay", SKIPPED, "none given", remedy)
        return True
    if not overlay.exists():
        return findings.add("overlay", FAIL, f"{overlay} does not exist", "copy .bit and .hwh from their build")
    try:
        built, hwh = bit_design(overlay), hwh_design(overlay.with_suffix(".hwh"))
    except (EieError, OSError) as error:
        return findings.add("overlay", FAIL, str(error), "copy .bit and .hwh from one build")
    if built is None:
        found, remedy = f"{overlay.name} has no header", "copy it again from its build; the .hwh cannot be compared"
        findings.add("overlay", SKIPPED, found, remedy)
    elif not built.matches(hwh):
        found = f"the .hwh is stale: it describes {hwh}, the .bit is {built}"
        return findings.add("overlay", FAIL, found, "copy .bit and .hwh from one build")
    else:
        findings.add("overlay", OK, f"{overlay.name} and .hwh are of one build, {built}")
    stated = design_build_hash(hwh.name)
    return _check_transcript(findings, overlay.with_suffix(".json"), stated) and _check_part(
        findings, hwh.part, described
    )


def _check_transcript(findings: _Findings, path: Path, stated: int | None) -> bool:
    """Compare the build's transcript, its parameters and its hash with what the design's name states."""
    name = "build hash"
    if stated is None:
        remedy = "use an overlay of scripts/build_overlay.py; the array's own register is asked below"
        findings.add(name, SKIPPED, "the design's name states none", remedy)
        return True
    if not path.exists():
        findings.add(
            name, SKIPPED, f"0x{stated:08x} by the design's name; no {path.name} to compare", f"copy {path.name} too"
        )
        return True
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        recorded, described = int(written["hash"], 16), registers.build_hash(ArrayConfig(**written["array"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        return findings.add(name, FAIL, f"{path.name} is damaged ({error!r})", "copy it again from its build")
    if recorded != stated:
        found = f"{path.name} is of build 0x{recorded:08x}, .bit and .hwh are of 0x{stated:08x}"
        return findings.add(name, FAIL, found, "copy all three files from one build")
    if described != stated:
        found = f"built as 0x{stated:08x}; this version of the driver gives the same parameters 0x{described:08x}"
        return findings.add(name, FAIL, found, "rebuild the overlay, or install the version that it was built with")
    return findings.add(name, OK, f"0x{stated:08x}, as {path.name} says")


def _check_part(findings: _Findings, part: str, described: Board | None) -> bool:
    if described is None or not part:
        return True
    plain = re.sub("[^a-z0-9]", "", described.part.lower())
    good = plain.removeprefix("xc").startswith(part) or plain.startswith(part)
    remedy = f"use the overlay of this board, {described.overlay_name}.bit"
    return findings.add("chip", OK if good else FAIL, f"{part}; the {described.title} has {described.part}", remedy)


# The device.


def _check_device(findings: _Findings, name: str, opener: Callable[[], Device]) -> None:
    try:
        device = opener()
    except EieError as error:
        findings.add("device", FAIL, str(error), "see the message; docs/virtual-board.md and docs/overlay.md help")
        return
    if name == "auto":
        name = type(device).__name__
    try:
        config = device.config
        try:
            check_identity(device)
        except EieError as error:
            findings.add(
                "array", FAIL, str(error), "rebuild the overlay, or install the version that it was built with"
            )
            return
        found = f"{name}: {config.num_pes} PEs, build hash 0x{registers.build_hash(config):08x}"
        findings.add("array", OK, found)
        for what, check in (("transfer", _transfer), ("errors", _errors), ("self-test", _self_test)):
            try:
                findings.add(what, OK, check(device))
            except EieError as error:
                remedy = "load the overlay again, or restart the board; docs/virtual-board.md explains the message"
                findings.add(what, FAIL, str(error), remedy)
                return
    finally:
        device.close()


def _transfer(device: Device) -> str:
    """Send a pattern through the array's memory and back."""
    config = device.config
    words = config.activation_groups * config.words_per_group
    pattern = np.random.default_rng(0).integers(0, 1 << 63, words, np.uint64)
    groups = config.activation_groups
    load, read = isa.ACTIVATIONS.encode(address=0, count=groups), isa.READ.encode(last=1, address=0, count=groups)
    program = np.concatenate([np.array([load], np.uint64), pattern, np.array([read], np.uint64)])
    received = _exchange(device, program, pattern.nbytes)
    if not np.array_equal(received, pattern):
        wrong = int(np.count_nonzero(received != pattern)) if len(received) == words else words
        raise EieError(f"{wrong} of {words} words came back other than they were sent")
    return f"{pattern.nbytes:,} bytes there and back are the same"


def _errors(device: Device) -> str:
    """Send what is no instruction, and recover."""
    _exchange(device, np.array([0xFF], np.uint64), 0, may_fail=True)
    text = error_text(device)
    device.write_register(registers.offset("control"), registers.CONTROL_SOFT_RESET)
    if "BAD_OPCODE" not in text or error_text(device):
        raise EieError(f"a bad instruction gave {text or 'no error'!r}, after a reset {error_text(device) or 'none'!r}")
    return "a bad instruction is reported, and a reset clears it"


def _exchange(device: Device, words: np.ndarray, reply_bytes: int, may_fail: bool = False) -> np.ndarray:
    buffer = device.allocate(words.nbytes)
    try:
        buffer[: words.nbytes] = words.view(np.uint8)
        device.send(buffer[: words.nbytes], reply_bytes)
        return np.asarray(device.receive(reply_bytes)).view(np.uint64)
    except EieError:
        if not may_fail:
            raise
        return np.zeros(0, np.uint64)
    finally:
        device.release(buffer)


def _self_test(device: Device) -> str:
    """Run the shipped network and compare every output with the integer reference."""
    digits = mnist.test_digits()
    accelerator = Accelerator(device)
    model = accelerator.load(mnist.DATA / "lenet-300-100.eie")
    outputs = accelerator.run(digits.inputs()[:_IMAGES], verify=True)
    right = int(np.count_nonzero(outputs.argmax(axis=1) == digits.labels[:_IMAGES]))
    return f"{model.name}: {outputs.size} outputs equal the reference, {right} of {_IMAGES} digits are right"


# Versions.


def _version(text: str) -> tuple[int, ...]:
    """Return the numbers of a version: "3.1.2" is (3, 1, 2)."""
    return tuple(int(part) for part in re.match(r"\d+(\.\d+)*", text)[0].split("."))  # type: ignore[index]


def _release(text: str) -> tuple[int, ...]:
    return (*_version(text), 0)[:2]


def _keeps(version: str, limit: str) -> bool:
    """Return whether a version keeps a limit such as "<2" or "<=80"."""
    bound = _version(limit.lstrip("<="))
    found = _version(version)
    return found[: len(bound)] <= bound if limit.startswith("<=") else found < bound
