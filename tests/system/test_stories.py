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
from tests.driver.c.bridge import PROCESSORS  # noqa: E402
from tests.driver.c.language import Language  # noqa: E402

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


@pytest.fixture
def in_c(llama, tmp_path):
    """The processor's part in C, with the products in float."""
    if PROCESSORS["here"].missing:
        pytest.skip("gcc is not installed")
    names = stories.products(llama.layers)
    stacks = {name: np.concatenate([llama.matrices[part] for part in parts]) for name, parts in names.items()}
    return Language(tmp_path, (DATA / "stories260K.bin").read_bytes(), lambda name, x: stacks[name] @ x)


def test_from_c_logits_and_text_are_those_of_python(llama, in_c):
    tokens, past = [stories.BEGIN], {}
    for position in range(64):
        expected = llama.logits(np.array(tokens[-1:]), past)[-1]
        token = in_c.next(tokens[-1], position)
        assert np.allclose(in_c.logits(), expected, atol=2e-3)
        assert token == expected.argmax()
        tokens.append(token)


def test_from_c_a_product_that_fails_ends_the_token_and_what_is_beyond_the_model_is_refused(llama, in_c):
    failed = 2**32 - 1
    assert in_c.next(512, 0) == in_c.next(1, 512) == failed
    products, multiply = [*stories.products(llama.layers)], in_c.multiply
    for bad in products[::5]:
        in_c.multiply = lambda name, x, bad=bad: None if name == bad else multiply(name, x)
        assert in_c.next(1, 0) == failed


def test_from_c_files_that_are_no_models_are_refused(tmp_path):
    if PROCESSORS["here"].missing:
        pytest.skip("gcc is not installed")
    data = (DATA / "stories260K.bin").read_bytes()
    negative = np.frombuffer(data, "<i4").copy()
    negative[5] *= -1
    for file in (b"", data[:27], data[:-4], bytes(len(data)), negative.tobytes()):
        assert not Language(tmp_path, file, lambda name, x: None).opened
    assert Language(tmp_path, data, lambda name, x: None).opened


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
