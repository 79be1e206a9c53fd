"""Published figures come from streams that no release of numpy and no processor changes."""

import ast
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

import eie
from eie.data.frozen_random import frozen_random
from eie.errors import ConfigError
from eie.paper import BENCHMARKS

PUBLISHED = ["paper", "cycle_model", "exploration", "cli/explore.py"]
PUBLISHED += [f"compression/{name}.py" for name in ("calibration", "allocation", "sensitivity")]
"""Where published figures, and models that are the same on every machine, come from."""


def digest(*arrays, dtype="<i4"):
    return sha256(b"".join(np.ascontiguousarray(array).astype(dtype).tobytes() for array in arrays)).hexdigest()[:16]


def test_the_streams_are_the_ones_that_the_figures_were_made_with():
    random = frozen_random(1)
    assert random.randint(1, 16, 8, np.uint8).tolist() == [6, 5, 2, 11, 12, 1, 8, 13]
    assert random.randint(-1000, 1000, 4, np.int32).tolist() == [96, 791, -95, -285]
    assert random.random_sample(2).tolist() == [0.9990405153241447, 0.23608897695197606]
    assert random.permutation(8).tolist() == [3, 0, 7, 2, 6, 5, 4, 1]
    assert random.standard_normal(2) == pytest.approx([-0.4646863234217252, 0.8618271173525265], abs=1e-15)


@pytest.mark.parametrize(("name", "expected"), [("NT-We", "4ea502694777aefe"), ("NT-LSTM", "4ed52279a30c6375")])
def test_the_random_layers_of_the_benchmarks_are_the_published_ones(name, expected):
    layer, activations = next(b for b in BENCHMARKS if b.name == name).random_layer()
    assert digest(layer.column_starts, layer.row_indices, layer.codes, activations) == expected


def test_the_training_starts_from_the_network_that_the_shipped_model_came_from():
    pytest.importorskip("torch", reason="needs the extra: pip install 'eie-pynq[train]'")
    from eie.compression.training import initialise

    network = initialise((784, 300, 100, 10), 0)
    assert digest(*(layer.weight for layer in network), dtype="<f4") == "9d3db0fde875cb25"


@pytest.mark.parametrize("seed", [-1, 1 << 32])
def test_a_seed_that_the_generator_does_not_take_is_refused(seed):
    with pytest.raises(ConfigError, match=rf"seed is {seed}; it must lie in 0\.\.4294967295"):
        frozen_random(seed)


@pytest.mark.parametrize("place", PUBLISHED)
def test_what_is_published_draws_from_no_stream_that_may_change(place):
    path = Path(eie.__file__).parent / place
    sources = [path] if path.suffix else sorted(path.rglob("*.py"))
    assert sources
    for source in sources:
        names = {
            node.attr for node in ast.walk(ast.parse(source.read_text("utf-8"))) if isinstance(node, ast.Attribute)
        }
        assert "default_rng" not in names, f"{source}: use eie.data.frozen_random"
