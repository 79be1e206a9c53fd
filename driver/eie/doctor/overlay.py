"""Checks of an overlay's files."""

from __future__ import annotations

import json
import re
from pathlib import Path

from eie.boards.board import Board, design_build_hash
from eie.boards.overlay_files import overlay_design
from eie.contract import registers
from eie.contract.config import ArrayConfig
from eie.doctor.check import FAIL, OK, SKIPPED, Findings
from eie.errors import EieError


def check_overlay(findings: Findings, overlay: Path | None, described: Board | None) -> bool:
    """Look at the files of an overlay; return whether to go on."""
    if overlay is None:
        remedy = "name one with --overlay eie.bit; docs/overlay.md says how one is built"
        findings.add("overlay", SKIPPED, "none given", remedy)
        return True
    if not overlay.exists():
        return findings.add("overlay", FAIL, f"{overlay} does not exist", "copy .bit and .hwh from their build")
    try:
        design, compared = overlay_design(overlay)
    except (EieError, OSError) as error:
        return findings.add("overlay", FAIL, str(error), "copy .bit and .hwh from one build")
    if compared:
        findings.add("overlay", OK, f"{overlay.name} and .hwh are of one build, {design}")
    else:
        found, remedy = f"{overlay.name} has no header", "copy it again from its build; the .hwh cannot be compared"
        findings.add("overlay", SKIPPED, found, remedy)
    stated = design_build_hash(design.name)
    return _check_transcript(findings, overlay.with_suffix(".json"), stated) and _check_part(
        findings, design.part, described
    )


def _check_transcript(findings: Findings, path: Path, stated: int | None) -> bool:
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


def _check_part(findings: Findings, part: str, described: Board | None) -> bool:
    if described is None or not part:
        return True
    plain = re.sub("[^a-z0-9]", "", described.part.lower())
    good = plain.removeprefix("xc").startswith(part) or plain.startswith(part)
    remedy = f"use the overlay of this board, {described.overlay_name}.bit"
    return findings.add("chip", OK if good else FAIL, f"{part}; the {described.title} has {described.part}", remedy)
