"""Every operator computes what ONNX's own node tests store, and the page says how many there are."""

import re

import pytest

onnx = pytest.importorskip("onnx")

from eie.network.operators import OPERATORS  # noqa: E402
from tests.driver.network.operators.node_tests import END, MODULES, PAGE, START, names, run, table  # noqa: E402

LEAST = {
    "activations": 90,
    "arithmetic": 140,
    "linear maps": 35,
    "recurrent layers": 18,
    "pooling": 35,
    "normalisation": 60,
    "reduction": 100,
    "movement": 100,
    "indexing": 35,
    "resizing": 40,
    "detection": 34,
    "signals": 20,
    "attention": 240,
    "quantisation": 25,
    "control": 6,
    "sequences": 24,
}
"""How many cases pass at the least: a release of onnx may bring more."""


@pytest.mark.parametrize("family", MODULES)
def test_operators_compute_what_onnx_stores(family):
    assert sum(len(run(module).passed) for module in MODULES[family].split()) >= LEAST[family]


@pytest.mark.parametrize("family", ["linear maps", "recurrent layers"])
def test_the_array_computes_them_within_its_number_format(family):
    """Weights of two terms have 8 bits or so, activations 16, sigmoid and tanh 10."""
    outcomes = [run(module) for module in MODULES[family].split()]
    assert sum(len(outcome.array) for outcome in outcomes) >= {"linear maps": 31, "recurrent layers": 18}[family]
    errors = {name: error for outcome in outcomes for name, error in outcome.array.items()}
    assert max(errors.values()) < 1 / 256, errors


def test_every_operator_of_onnx_in_the_table_is_among_them():
    standard = {name for name in OPERATORS if onnx.defs.has(name)}
    assert standard <= set(re.findall(r"\w+", " ".join(names().values())))


def test_the_page_has_the_table():
    page = PAGE.read_text().split(START)[1].split(END)[0]
    if f"Of onnx {onnx.__version__}'s" not in page:
        pytest.skip("the page is about another release of onnx")
    assert page == table(), "run python -m tests.driver.network.operators.node_tests"
