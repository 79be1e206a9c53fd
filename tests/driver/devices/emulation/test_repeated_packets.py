"""Repeated programs that end their packets give a packet each; a soft reset clears the counters, as on hardware."""

import numpy as np

import eie
from eie.contract import isa, registers

CONFIG = eie.ArrayConfig(num_pes=4, entries=128, pointers=32, rows=8, activations=64)


def program(value, last=1):
    header = isa.ACTIVATIONS.encode(address=0, count=1)
    payload = np.full(4, value, np.int16).view(np.uint64)
    read = isa.READ.encode(last=last, words=0, address=0, count=1)
    return np.array([header, int(payload[0]), read], np.uint64)


def test_each_repetition_that_ends_a_packet_is_a_packet():
    device = eie.EmulatedDevice(CONFIG)
    device.send(np.concatenate([program(value) for value in range(5)]).view(np.uint8))
    for value in range(5):
        assert device.receive(8).view(np.int16).tolist() == [value] * 4
    assert device.read_register(registers.offset("instructions")) == 10


def test_output_that_waits_goes_before_that_of_repetitions():
    device = eie.EmulatedDevice(CONFIG)
    device.send(program(7, last=0).view(np.uint8))
    device.send(np.concatenate([program(value) for value in range(3)]).view(np.uint8))
    assert device.receive(16).view(np.int16).tolist() == [7] * 4 + [0] * 4
    assert device.receive(8).view(np.int16).tolist() == [1] * 4


def test_a_soft_reset_clears_the_counters_as_hardware_does():
    device = eie.EmulatedDevice(CONFIG)
    accelerator = eie.Accelerator(device)
    accelerator.load(eie.Model([eie.Layer.from_dense_codes(np.ones((4, 4), int), np.arange(16))]))
    accelerator.run_raw(np.ones((2, 4), np.int16))
    assert accelerator.counters.broadcasts == 8
    device.write_register(registers.offset("control"), registers.CONTROL_SOFT_RESET)
    assert accelerator.counters.broadcasts == 0 and not accelerator.counters.work.any()
