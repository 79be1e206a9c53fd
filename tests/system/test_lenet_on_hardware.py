"""The shipped LeNet-300-100 on the simulated hardware of 64 PEs: every output and every counter of the computation."""

import numpy as np
import pytest

import eie
from eie.contract.fixed_point import quantise
from eie.cycle_model.timed_device import TimedDevice
from eie.data import mnist


@pytest.mark.full
def test_a_thousand_images_give_the_references_outputs_and_the_cycle_models_counters():
    model = eie.load(mnist.DATA / "lenet-300-100.eie")
    a = quantise(mnist.test_digits().inputs()[:1000], model.input_fraction_bits)
    results = []
    for device in (eie.RtlDevice(eie.ArrayConfig()), TimedDevice(eie.ArrayConfig())):
        with eie.Accelerator(device) as accelerator:
            outputs = accelerator.run_raw(a, model=model)
            assert np.array_equal(outputs, eie.reference(model, a))
            results.append(accelerator.counters)
    hardware, emulation = results
    for counter in ("cycles", "broadcasts", "work", "padding", "starved", "blocked"):
        assert np.array_equal(getattr(hardware, counter), getattr(emulation, counter)), counter
