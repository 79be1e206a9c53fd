"""The shipped model on MNIST test images in emulation, verified: what must work with numpy alone.

Run by test_packaging.py, where every other library is blocked, by scripts/check_minimal.sh, where there is none, and by
scripts/test_arm.sh on the processors of boards. An argument is the number of images.
"""

import platform
import sys

import numpy as np

import eie
from eie.data.mnist import DATA, test_digits
from eie.doctor.check import FAIL
from eie.doctor.diagnose import diagnose

IMAGES = 1000


def main(images: int) -> None:
    digits = test_digits()
    model = eie.load(DATA / "lenet-300-100.eie")
    accelerator = eie.Accelerator(eie.EmulatedDevice())
    accelerator.load(model)
    outputs = accelerator.run(digits.inputs()[:images], verify=True)
    wrong = np.count_nonzero(outputs.argmax(axis=1) != digits.labels[:images])
    # On the whole test set the error is near 1.2 %; the first thousand images are not far from that.
    assert wrong < images * 0.03, f"{wrong} of {images} images are wrong"
    estimate = eie.estimate(model, "pynq-z2", digits.inputs()[:2])
    assert estimate.resident and estimate.frames_per_second > 100_000
    failed = [check for check in diagnose("emulated") if check.status == FAIL]
    assert not failed, failed
    print(
        f"eie {eie.__version__}, Python {platform.python_version()}, numpy {np.__version__}: "
        f"{images - wrong} of {images:,} images right, all outputs equal the reference"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
