"""The language model of examples/ on the array."""

import sys
from pathlib import Path

import numpy as np
import pytest

import eie

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared/data/stories260k"
sys.path.insert(0, str(ROOT / "examples"))

import stories  # noqa: E402
import stories_model  # noqa: E402

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="needs ../shared/data/stories260k")


@pytest.fixture(scope="module")
def llama():
    return stories_model.load(DATA / "stories260K.bin")


def test_token_by_token_gives_what_all_at_once_gives(llama):
    tokens, past = np.array([1, 403, 407, 261, 378, 31]), {}
    one_by_one = np.concatenate([llama.logits(tokens[i : i + 1], past) for i in range(len(tokens))])
    assert np.allclose(one_by_one, llama.logits(tokens), atol=1e-4)


def test_the_float_model_tells_a_story(llama):
    assert stories.text_of(stories.write(llama, 20), DATA / "tok512.bin").startswith("Once upon a time, there was")


def test_products_of_the_array_are_those_of_the_integer_reference(llama):
    """One stacked product, so that it takes seconds."""
    texts = stories_model.sample(llama, 2, 32, seed=3)
    x = stories.inputs_of(llama, texts)["wq0"]
    names = stories.products(llama.layers)["qkv0"]
    matrix = eie.Dense(np.concatenate([llama.matrices[name] for name in names]), name="qkv0")
    array = stories.Array(llama, {"qkv0": eie.compress(matrix, 1.0, x, headroom=1.5, terms=2)})
    parts = [array.multiply(name, x) for name in names]
    for name, part in zip(names, parts, strict=True):
        exact = x @ llama.matrices[name].T
        assert part.shape == exact.shape
        assert np.mean((part - exact) ** 2) < 1e-3 * np.mean(exact**2)


@pytest.mark.full
def test_a_story_of_64_tokens_is_the_same_from_emulation_and_hardware_and_perplexity_stays(llama):
    texts = stories_model.sample(llama, *stories.CALIBRATION)
    models = stories.compress(llama, texts, stories.terms_of(llama.layers))
    written = []
    for device in ("emulated", "rtl"):
        llama.multiply = stories.Array(llama, models, device).multiply
        written.append(stories.write(llama, 64))
    assert written[0] == written[1]
    llama.multiply = stories.Array(llama, models).multiply
    assert stories_model.perplexity(llama, stories_model.sample(llama, 4, 96, seed=1)) < 3.9
    llama.multiply = None
