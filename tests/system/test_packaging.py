"""What is installed, and with what: numpy alone for the host side, generated docs, one version."""

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import eie
from eie.contract import isa_page, registers
from eie.data.mnist import DATA

ROOT = Path(__file__).parents[2]
SHIPPED = DATA / "lenet-300-100.eie"

# Only the standard library, numpy and eie itself can be imported behind this.
BLOCKER = """
import sys

class OnlyNumpy:
    allowed = sys.stdlib_module_names | {"numpy", "eie", "eie_overlays", "__main__"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in self.allowed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, OnlyNumpy())

# Who only asks whether a library is there is told that it is not, as where it is not installed.
import importlib.util

find_spec = importlib.util.find_spec

def find_allowed(name, package=None):
    return find_spec(name, package) if name.partition(".")[0] in OnlyNumpy.allowed else None

importlib.util.find_spec = find_allowed
"""

SMALL_MODEL = """
import numpy as np
import eie

rng = np.random.default_rng(1)
shapes = [(30, 50), (20, 30), (5, 20)]
layers = [
    eie.Layer.from_dense_codes(
        (rng.integers(1, 16, shape) * (rng.random(shape) < 0.2)).astype(np.uint8),
        np.r_[0, rng.integers(-900, 900, 15)], shift=9, relu=True)
    for shape in shapes
]
model = eie.Model(layers)
eie.save(model, sys.argv[1])
accelerator = eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4)))
accelerator.load(sys.argv[1])
a = rng.integers(-3000, 3000, (40, 50)).astype(np.int16)
y = accelerator.run_raw(a, verify=True)
print(np.array_equal(y, eie.reference(model, a)), np.count_nonzero(y) > 0, accelerator.counters.broadcasts > 0)
"""


def run_with_numpy_alone(program: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", BLOCKER + program, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )


def test_blocker_hides_installed_libraries():
    result = run_with_numpy_alone("import scipy")
    assert result.returncode == 1
    assert "No module named 'scipy'" in result.stderr


def test_emulation_needs_numpy_alone(tmp_path):
    result = run_with_numpy_alone(SMALL_MODEL, str(tmp_path / "small.eie"))
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["True", "True", "True"]


def test_shipped_model_runs_with_numpy_alone():
    run_file = Path(__file__).with_name("minimal_run.py")
    result = run_with_numpy_alone(f"import runpy; runpy.run_path({str(run_file)!r}, run_name='__main__')")
    assert result.returncode == 0, result.stderr
    assert "all outputs equal the reference" in result.stdout


def test_every_core_module_imports_with_numpy_alone_or_names_its_extra():
    program = """
import importlib, pkgutil
import eie
from eie.errors import MissingExtraError

for module in pkgutil.walk_packages(eie.__path__, "eie."):
    # One runs the command line; the others are imported where numba and pynq are.
    left_out = (
        "eie.__main__",
        "eie.devices.emulation.compiled",
        "eie.devices.pynq_board.channel",
        "eie.devices.pynq_board.device",
        "eie.devices.pynq_board.memory",
        "eie.devices.pynq_board.overlay",
        "eie.devices.pynq_board.reply",
        "eie.devices.virtual.device",
        "eie.devices.virtual.pynq_layer",
    )
    if module.name in left_out:
        continue
    try:
        importlib.import_module(module.name)
    except MissingExtraError as error:
        assert "pip install" in str(error), (module.name, error)
"""
    result = run_with_numpy_alone(program)
    assert result.returncode == 0, result.stderr


def test_command_line_works_with_numpy_alone():
    result = run_with_numpy_alone("from eie.cli import main; sys.exit(main())", "info", str(SHIPPED))
    assert result.returncode == 0, result.stderr
    assert "300" in result.stdout


def test_installed_version_is_the_package_version():
    assert metadata.version("eie-pynq") == eie.__version__


def test_core_requires_numpy_and_nothing_else():
    required = [r for r in metadata.requires("eie-pynq") or [] if "extra ==" not in r]
    assert [re.match(r"[\w-]+", r)[0] for r in required] == ["numpy"]


@pytest.mark.parametrize(
    ("page", "generator"), [("instruction-set.md", isa_page.markdown), ("registers.md", registers.markdown)]
)
def test_reference_pages_are_the_generators_text(page, generator):
    module = generator.__module__
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert text == generator(), f"docs/{page} is out of date: python -m {module} > docs/{page}"


def test_commands_of_the_readme_exist_and_are_executable():
    commands = re.findall(r"scripts/\w+\.sh", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {"scripts/demo.sh", "scripts/test.sh"} <= set(commands)
    for command in commands:
        assert os.access(ROOT / command, os.X_OK), command
