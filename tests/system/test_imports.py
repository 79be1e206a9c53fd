"""Who imports whom: the contracts of pyproject.toml are kept, and they leave no library out."""

import os
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from importlinter import api

ROOT = Path(__file__).parents[2]
CONTRACTS = api.read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]


def lint(**environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", **environment},
    )


def test_contracts_are_kept():
    result = lint()
    assert result.returncode == 0, result.stdout
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in result.stdout


def test_each_library_but_numpy_has_a_contract_that_says_who_may_import_it():
    graph = grimp.build_graph("eie", "eie_hw", include_external_packages=True)
    imported = {name for name in graph.modules if not name.startswith("eie")} - sys.stdlib_module_names
    named = {name for contract in CONTRACTS for name in contract.get("protected_modules", ())}
    assert imported == {"numpy"} | {name for name in named if not name.startswith("eie")}


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("eie.contract.config", "eie.boards.board"),
        ("eie.devices.interface", "eie.devices.choice"),
        ("eie_hw.parts.memories", "eie_hw.shell.top"),
        ("eie_hw.array.array", "eie.program.packing"),
        ("eie.runtime.accelerator", "eie_hw.conversion.convert"),
        ("eie.program.tiling", "eie.program.packing"),
        ("eie.atomic", "eie"),
        ("eie.runtime.transfers", "pynq"),
        ("eie.program.tiling", "torch"),
    ],
)
def test_an_import_against_the_rule_breaks_a_contract(importer, imported, tmp_path):
    for name, package in (("eie", ROOT / "driver/eie"), ("eie_hw", ROOT / "hw/eie_hw")):
        for source in package.rglob("*.py"):
            copy = tmp_path / name / source.relative_to(package)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())
    module = tmp_path / (importer.replace(".", "/") + ".py")
    module.write_text(module.read_text(encoding="utf-8") + f"\nimport {imported}\n", encoding="utf-8")
    result = lint(PYTHONPATH=str(tmp_path))
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"{importer} -> {imported}" in result.stdout or "could be made acyclic" in result.stdout
