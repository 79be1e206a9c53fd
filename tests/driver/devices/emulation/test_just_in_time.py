"""What numba compiles is kept on disk, and compiled all the same where nothing can be kept."""

import os
import subprocess
import sys

import pytest

from eie.devices.emulation.just_in_time import compiled

pytest.importorskip("numba")


def test_without_a_place_for_its_cache_a_function_is_compiled_all_the_same(tmp_path):
    (tmp_path / "file").write_text("no folder")
    code = (
        "import numba.core.caching as c; c.CacheImpl._locator_classes = []\n"
        "import numpy as np, eie\n"
        "from eie.devices.emulation.tile_products import compiled_kernels\n"
        "assert compiled_kernels() is not None\n"
        "m = eie.compress([eie.Dense(np.eye(4))], 1.0)\n"
        "a = eie.Accelerator('emulated'); a.load(m); a.run(np.ones(4), verify=True)\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "file" / "cache")}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("place", [True, False])
def test_the_doctor_says_where_compiled_code_is_kept_or_that_it_is_not(tmp_path, place):
    code = (
        f"import numba.core.caching as c; {'' if place else 'c.CacheImpl._locator_classes = []'}\n"
        "from eie.doctor.check import Findings\n"
        "from eie.doctor.environment import check_compiler\n"
        "findings = Findings(); check_compiler(findings)\n"
        "print(findings.checks[0].status, findings.checks[0].found)\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    said = f"ok kept in {tmp_path}" if place else "skipped kept nowhere: compiled anew in every process"
    assert run.stdout.lower().startswith(said.lower()), run.stderr


def test_a_function_computes_what_python_computes():
    assert compiled(sum_of_squares)(10) == sum_of_squares(10) == 285


def sum_of_squares(count):
    total = 0
    for i in range(count):
        total += i * i
    return total
