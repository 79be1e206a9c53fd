"""The shipped model on MNIST test images in emulation, verified: what must work with numpy alone.

Run by test_packaging.py, where every other library is blocked, and by scripts/check_minimal.sh, where there is none.
"""

import platform

import numpy as np

import eie
from eie.data.mnist import DATA, test_digits
from eie.doctor.check import FAIL
from eie.doctor.diagnose import diagnose

IMAGES = 1000


def main() -> None:
    digits = test_digits()
    model = eie.load(DATA / "lenet-300-100.eie")
    accelerator = eie.Accelerator(eie.EmulatedDevice())
    accelerator.load(model)
    outputs = accelerator.run(digits.inputs()[:IMAGES], verify=True)
    wrong = np.count_nonzero(outputs.argmax(axis=1) != digits.labels[:IMAGES])
    # On the whole test set the error is near 1.2 %; the first thousand images are not far from that.
    assert wrong < IMAGES * 0.03, f"{wrong} of {IMAGES} images are wrong"
    estimate = eie.estimate(model, "pynq-z2", digits.inputs()[:2])
    assert estimate.resident and estimate.frames_per_second > 100_000
    failed = [check for check in diagnose("emulated") if check.status == FAIL]
    assert not failed, failed
    print(
        f"eie {eie.__version__}, Python {platform.python_version()}, numpy {np.__version__}: "
        f"{IMAGES - wrong} of {IMAGES} images right, all outputs equal the reference"
    )


if __name__ == "__main__":
    main()
