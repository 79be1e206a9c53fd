"""Nobody gets another's answers: owners and generations on the array, threads on one accelerator, lost instructions."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import eie
from eie.contract import registers
from eie.errors import DeviceError

CONFIG = eie.ArrayConfig(num_pes=4, entries=256, pointers=64, rows=16, activations=256)


def model(seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 16, (12, 10))
    return eie.Model([eie.Layer.from_dense_codes(codes, np.arange(16) * 40, shift=4)], f"model {seed}")


def inputs(seed, count=3):
    return np.random.default_rng(seed).integers(-300, 300, (count, 10), np.int16)


def is_right(accelerator, loaded, seed=9):
    a = inputs(seed)
    return np.array_equal(accelerator.run_raw(a, model=loaded), eie.reference(loaded, a))


def test_two_accelerators_on_one_array_take_turns():
    device = eie.EmulatedDevice(CONFIG)
    first, second = eie.Accelerator(device), eie.Accelerator(device)
    a, b = first.load(model(1)), second.load(model(2))
    for _ in range(3):
        assert is_right(first, a) and is_right(second, b)


def test_a_soft_reset_from_outside_is_noticed():
    device = eie.EmulatedDevice(CONFIG)
    accelerator = eie.Accelerator(device)
    loaded = accelerator.load(model(1))
    device.machine.entries[:] = 0
    device.write_register(registers.offset("control"), registers.CONTROL_SOFT_RESET)
    assert is_right(accelerator, loaded)


def test_another_load_under_the_same_owner_is_noticed():
    """As after a fork: both have the same idea of the array until one of them loads."""
    device = eie.EmulatedDevice(CONFIG)
    parent = eie.Accelerator(device)
    loaded = parent.load(model(1))
    child = eie.Accelerator(device)
    mark = child._ownership.mark = parent._ownership.mark
    device.write_register(registers.offset("owner"), mark)
    parent._transfers._sent = 0
    child.load(model(2))
    assert child._ownership.mark >> 8 == mark >> 8 and child._ownership.mark != mark
    assert is_right(parent, loaded)


def test_one_who_takes_the_array_in_mid_run_is_noticed(monkeypatch):
    device = eie.EmulatedDevice(CONFIG)
    accelerator = eie.Accelerator(device)
    loaded = accelerator.load(model(1))
    receive = device.receive

    def meanwhile(nbytes):
        reply = receive(nbytes)
        monkeypatch.undo()
        eie.Accelerator(device).load(model(2))
        return reply

    monkeypatch.setattr(device, "receive", meanwhile)
    with pytest.raises(DeviceError, match="somebody else"):
        accelerator.run_raw(inputs(3))
    assert is_right(accelerator, loaded)


def test_instructions_that_are_lost_are_an_error_and_sent_again(monkeypatch):
    device = eie.EmulatedDevice(CONFIG)
    accelerator = eie.Accelerator(device)
    send = device.send

    def cut(buffer, reply_bytes=0):
        monkeypatch.undo()
        send(buffer[:48])  # a CODEBOOK or POINTERS may be whole, what comes after it is lost

    for loaded in (model(1), model(2)):
        weights = eie.pack(loaded, CONFIG).weights
        assert len(weights) > 6
        monkeypatch.setattr(device, "send", cut)
        with pytest.raises(DeviceError):
            accelerator.load(loaded)
        assert is_right(accelerator, loaded)


@pytest.mark.parametrize("boundary", range(1, 6))
def test_a_load_cut_at_an_instruction_is_an_error(monkeypatch, boundary):
    loaded = model(1)
    words = eie.pack(loaded, CONFIG).weights
    position = 0
    for _ in range(boundary):
        position += 1 + _payload(int(words[position]))
    device = eie.EmulatedDevice(CONFIG)
    accelerator = eie.Accelerator(device)
    send = device.send

    def cut(buffer, reply_bytes=0):
        monkeypatch.undo()
        send(buffer[: 8 * position])

    monkeypatch.setattr(device, "send", cut)
    with pytest.raises(DeviceError, match=rf"has executed {boundary} instructions since its reset, \d+ were sent"):
        accelerator.load(loaded)
    assert is_right(accelerator, loaded)


def _payload(header):
    from eie.contract import isa

    instruction = isa.BY_OPCODE[header & isa.OPCODE_MASK]
    return instruction.payload_words(CONFIG, instruction.decode(header))


def test_threads_share_an_accelerator():
    models = [model(seed) for seed in range(4)]
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:

        def work(seed):
            return all(is_right(accelerator, models[seed % 4], 100 * seed + i) for i in range(25))

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(work, range(16)))


def test_what_is_closed_says_so():
    device = eie.EmulatedDevice(CONFIG)
    accelerator = eie.Accelerator(device)
    loaded = accelerator.load(model(1))
    accelerator.close()
    accelerator.close()
    for use in (
        lambda: accelerator.run_raw(inputs(1)),
        lambda: accelerator.load(loaded),
        accelerator.soft_reset,
        accelerator.recover,
        lambda: accelerator.counters,
        accelerator.clear_counters,
        lambda: device.read_register(0),
        lambda: device.write_register(0, 0),
        lambda: device.allocate(8),
        lambda: device.send(np.zeros(8, np.uint8)),
        lambda: device.receive(8),
    ):
        with pytest.raises(DeviceError, match="closed"):
            use()


@pytest.mark.parametrize(
    "x", [[[1, 2], [3]], [["1"] * 10], np.ones((1, 10)) * 1j, np.array([[None] * 10]), None, "abc"]
)
def test_inputs_that_are_no_real_numbers_are_refused(x):
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        accelerator.load(model(1))
        with pytest.raises(eie.EieError):
            accelerator.run(x)


@pytest.mark.parametrize("given", [None, 5, [], eie.ArrayConfig()])
def test_arguments_of_another_kind_are_refused(given):
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        for use in (
            lambda: accelerator.load(given),
            lambda: eie.Accelerator(given),
            lambda: eie.load(given),
            lambda: eie.save(given, "x.eie"),
        ):
            with pytest.raises(eie.EieError):
                use()
    with pytest.raises(eie.EieError):
        eie.EmulatedDevice(64)


def test_inputs_may_have_the_shape_of_the_networks_own():
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        accelerator.load(model(1))
        x = inputs(4, 6).astype(np.float32)
        assert np.array_equal(accelerator.run(x.reshape(6, 1, 5, 2)), accelerator.run(x))
