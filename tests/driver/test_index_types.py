"""What numpy takes as an index or a count is of its own index type, which has 32 bits on a 32-bit processor.

There `np.repeat`, `np.bincount` and their like refuse int64 (and numpy before 1.24 `np.take`, too). On a 64-bit machine
both types are one, so nothing would show. These tests tell them apart: what the code calls ``np.int64`` is C's
``long long`` while they run, a type as wide but another one, which numpy keeps through arithmetic; what `numpy` itself
returns as indices stays of the index type. scripts/test_arm.sh runs the driver on such a processor.
"""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import eie
from eie.cycle_model.layers import cycles
from eie.demo.figures import codebook_figure, sparsity_figure
from eie.devices.emulation import tile_products
from eie.devices.emulation.tile_products import TileProducts
from eie.program.encoding import encode_rows

WIDE = np.longlong
CHECKED = {"repeat": (1, "repeats"), "bincount": (0, "x"), "take": (1, "indices")}
"""numpy's functions that take indices or counts, and where."""

UFUNCS = ("add", "maximum", "minimum")
DRIVER = Path(eie.__file__).parent


class Reduceat:
    """A ufunc whose `reduceat` checks its indices."""

    def __init__(self, ufunc):
        self._ufunc = ufunc

    def __call__(self, *arguments, **keywords):
        return self._ufunc(*arguments, **keywords)

    def __getattr__(self, name):
        return getattr(self._ufunc, name)

    def reduceat(self, array, indices, *arguments, **keywords):
        check(f"{self._ufunc.__name__}.reduceat", indices)
        return self._ufunc.reduceat(array, indices, *arguments, **keywords)


def check(name, values):
    if np.asarray(values).dtype.char == np.dtype(WIDE).char:
        raise TypeError(f"np.{name} of an int64 array; a 32-bit processor takes np.intp alone")


@pytest.fixture
def narrow(monkeypatch):
    """Make int64 another type than the index type, and refuse it as one."""
    if np.dtype(np.intp).char == np.dtype(WIDE).char or np.dtype(np.intp).itemsize < 8:
        pytest.skip("only where the index type is C's 64-bit long")
    monkeypatch.setattr(np, "int64", WIDE)
    # Numba compiles for the types of the machine.
    monkeypatch.setattr(tile_products, "_kernels", [None])

    def wrap(name, function, position, keyword):
        def checked(*arguments, **keywords):
            values = arguments[position] if len(arguments) > position else keywords[keyword]
            check(name, values)
            return function(*arguments, **keywords)

        monkeypatch.setattr(np, name, checked)

    for name, (position, keyword) in CHECKED.items():
        wrap(name, getattr(np, name), position, keyword)
    for name in UFUNCS:
        monkeypatch.setattr(np, name, Reduceat(getattr(np, name)))


def network():
    rng = np.random.default_rng(1)
    shapes = [(70, 90), (10, 70)]
    return [eie.Dense(rng.standard_normal(s).astype(np.float32), np.zeros(s[0], np.float32), "relu") for s in shapes]


CONFIGS = {
    "resident": eie.ArrayConfig(num_pes=4),
    "of the paper": replace(eie.ArrayConfig.paper(), num_pes=4),
    "streamed, in tiles": eie.ArrayConfig(num_pes=4, entries=512, rows=16),
}


def test_an_int64_index_is_refused(narrow):
    wide, array = np.zeros(3, np.int64), np.arange(3)
    for call in (np.repeat, np.take):
        call(array, np.flatnonzero(array + 1))
        with pytest.raises(TypeError, match=r"np\.\w+ of an int64 array"):
            call(array, wide + 1)
    with pytest.raises(TypeError, match="bincount"):
        np.bincount(array.astype(np.int64))
    with pytest.raises(TypeError, match=r"maximum\.reduceat"):
        np.maximum.reduceat(array, np.cumsum(wide))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=list(CONFIGS))
def test_a_network_is_compressed_saved_packed_run_and_timed_with_indices_of_numpys_type(narrow, tmp_path, config):
    model = eie.compress(network(), density=0.3, sharing="linear")
    eie.save(model, tmp_path / "model.eie")
    loaded = eie.load(tmp_path / "model.eie")
    accelerator = eie.Accelerator(eie.EmulatedDevice(config))
    accelerator.load(loaded)
    a = np.arange(40 * 90).reshape(40, 90) % 1000 * (np.arange(90) % 3 > 0)
    # One vector, a few and many are computed in different ways.
    for vectors in (a[:1], a[:7], a):
        outputs = accelerator.run_raw(vectors.astype(np.int16), verify=True)
        assert np.array_equal(outputs, eie.reference(model, vectors.astype(np.int16)))
    assert all(layer.cycles > 0 for layer in cycles(loaded, a[:1].astype(np.int16), config))


@pytest.mark.parametrize("way", ["vector_by_vector", "dense", "block_by_block"])
def test_every_product_of_a_tile_adds_up_indices_of_numpys_type(narrow, monkeypatch, way):
    monkeypatch.setattr(TileProducts, "fastest", lambda products, activations, load: getattr(products, way))
    monkeypatch.setattr(tile_products, "_BLOCK_BYTES", 1 << 10)
    model = eie.compress(network(), density=0.3, sharing="linear")
    accelerator = eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4)))
    accelerator.load(model)
    accelerator.run_raw(np.ones((9, 90), np.int16), verify=True)


def test_runs_that_need_padding_are_turned_with_indices_of_numpys_type(narrow):
    config = replace(eie.ArrayConfig(num_pes=1), index_bits=1)
    rows = np.array([0, 40, 45, 3, 300])
    encoded = encode_rows(np.array([0, 3, 5]), rows, np.ones(5, np.uint8), config)
    assert encoded.padding


def test_a_model_is_drawn_with_indices_of_numpys_type(narrow):
    pytest.importorskip("matplotlib")
    model = eie.compress(network(), density=0.3, sharing="linear")
    sparsity_figure(model, eie.ArrayConfig(num_pes=4))
    codebook_figure(model, network())


def test_indices_are_taken_by_numpys_functions_which_the_tests_above_watch():
    """Methods of arrays (`x.repeat`, `x.take`) do the same, but cannot be watched."""
    for path in DRIVER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = node.func.value
            if node.func.attr in CHECKED and len(node.args) + len(node.keywords) > 1:
                name = owner.id if isinstance(owner, ast.Name) else ""
                assert name in ("np", "torch"), f"{path}:{node.lineno}: use np.{node.func.attr}"
