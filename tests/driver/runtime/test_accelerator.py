"""The driver: identity checks, residency, floats in and out, verification."""

import dataclasses
import itertools
import re

import numpy as np
import pytest

import eie
from eie.contract import registers
from eie.errors import DeviceError, PackError, VerificationError
from eie.program.packing import pack
from tests.strategies import activations

CONFIG = eie.ArrayConfig(num_pes=4, entries=512, pointers=256, rows=16, activations=512)


def layer(rows, columns, density=0.2, seed=0, **changes):
    rng = np.random.default_rng(seed)
    codes = rng.integers(1, 16, (rows, columns)) * (rng.random((rows, columns)) < density)
    codebook = np.r_[0, rng.integers(-999, 999, 15)]
    return eie.Layer.from_dense_codes(codes, codebook, shift=10, relu=True, **changes)


def model(seed=0, size=40):
    return eie.Model([layer(size, size, seed=seed), layer(10, size, seed=seed + 1)], name=f"model {seed}")


class FaultyDevice(eie.EmulatedDevice):
    """An emulated device with one fault: a register that lies, a flipped output, or a lost packet."""

    def __init__(self, config, register=None, value=0, flip=None, lose=False):
        self.lies = {} if register is None else {registers.offset(register): value}
        self.flip, self.lose = flip, lose
        super().__init__(config)

    def read_register(self, offset):
        return self.lies.get(offset, super().read_register(offset))

    def receive(self, nbytes):
        received = super().receive(nbytes)
        if self.lose:
            return received[: len(received) // 2]
        if self.flip is not None and len(received):
            received = received.copy()
            received[self.flip] ^= 1
        return received


@pytest.mark.parametrize(
    ("register", "text"),
    [
        ("identity", "this is not an EIE array"),
        ("num_pes", "built with num_pes=7, the driver was given num_pes=4"),
        ("hash", "build hash 0x00000007"),
    ],
)
def test_a_device_that_is_not_the_one_expected_is_refused(register, text):
    with pytest.raises(DeviceError, match=text):
        eie.Accelerator(FaultyDevice(CONFIG, register, 7))


def test_floats_go_in_and_come_out_in_the_models_scale():
    scaled = eie.Model([dataclasses.replace(layer(10, 20), input_fraction_bits=8, output_fraction_bits=4)])
    acc = eie.Accelerator(eie.EmulatedDevice(CONFIG))
    acc.load(scaled)
    x = np.random.default_rng(0).normal(size=(5, 20))
    y = acc.run(x, verify=True)
    expected = eie.reference(scaled, np.rint(x * 256).astype(np.int16)) / 16
    assert y.dtype == np.float32
    assert np.array_equal(y, expected)
    assert np.array_equal(acc.run(x[2]), expected[2])
    assert acc.run(x[:0]).shape == (0, 10)


def test_input_of_the_wrong_shape_is_refused():
    acc = eie.Accelerator(eie.EmulatedDevice(CONFIG))
    with pytest.raises(PackError, match="no model is loaded"):
        acc.run(np.zeros((1, 40)))
    acc.load(model())
    with pytest.raises(PackError, match=r"x has shape \(1, 41\); model 'model 0' takes \(batch, 40\)"):
        acc.run(np.zeros((1, 41)))


def test_models_stay_loaded_while_they_fit_and_answers_stay_right_whatever_the_order():
    acc = eie.Accelerator(eie.EmulatedDevice(CONFIG))
    many = [model(seed) for seed in range(5)] + [model(9, size=150)]
    rng = np.random.default_rng(0)
    for i in rng.integers(0, len(many), 40):
        a = activations(many[i], 3, seed=int(i))
        assert np.array_equal(acc.run_raw(a, model=many[i]), eie.reference(many[i], a))


def test_weights_of_a_resident_model_are_sent_once():
    sent = []

    class Recorder(eie.EmulatedDevice):
        def send(self, buffer, reply_bytes=0, changed=None):
            sent.append(len(buffer))
            super().send(buffer)

    acc = eie.Accelerator(Recorder(CONFIG))
    first, second = model(0, 20), model(1, 20)
    for m in (first, second, first, second, first):
        acc.run_raw(activations(m, 1, 0), model=m)
    assert len(sent) == 2 + 5


def test_verification_names_the_layer_row_pe_and_tile_of_the_first_difference():
    acc = eie.Accelerator(FaultyDevice(CONFIG, flip=2 * 7))
    text = r"input 0: layer 0, row (\d+) \(PE 3, local row 1, row tile 0 of 1\)"
    with pytest.raises(VerificationError, match=text) as error:
        acc.run_raw(activations(model(), 2, 0), verify=True, model=model())
    row = int(re.search(text, str(error.value))[1])
    packed = pack(model(), CONFIG)
    assert packed.places[0][packed.rows[0].tolist().index(row)] == 7, "the row that the array computes as its row 7"


def test_a_lost_packet_is_an_error_that_says_how_much_came():
    acc = eie.Accelerator(FaultyDevice(CONFIG, lose=True))
    with pytest.raises(DeviceError, match="received 1 of 3 words, and the device reports no error"):
        acc.run_raw(activations(model(), 1, 0), model=model())


def test_a_saved_model_is_loaded_by_its_path(tmp_path):
    path = tmp_path / "m.eie"
    eie.save(model(), path)
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as acc:
        acc.load(path)
        a = activations(model(), 4, 0)
        assert np.array_equal(acc.run_raw(a, verify=True), eie.reference(model(), a))


def test_large_batches_go_in_several_transfers(monkeypatch):
    monkeypatch.setattr("eie.program.segment._TRANSFER_BYTES", 2000)
    acc = eie.Accelerator(eie.EmulatedDevice(CONFIG))
    m = model()
    a = activations(m, 101, 0)
    assert np.array_equal(acc.run_raw(a, model=m), eie.reference(m, a))


class StumblingDevice(eie.EmulatedDevice):
    """An emulated device that fails a number of times, and then only works again after a soft reset."""

    def __init__(self, config, failures):
        self.failures, self.stuck, self.resets = failures, False, 0
        super().__init__(config)

    def write_register(self, offset, value):
        super().write_register(offset, value)
        if offset == registers.offset("control") and value & registers.CONTROL_SOFT_RESET:
            self.stuck = False
            self.resets += 1

    def receive(self, nbytes):
        if self.failures:
            self.failures -= 1
            self.stuck = True
        if self.stuck:
            raise DeviceError("stuck")
        return super().receive(nbytes)


def test_after_a_failed_run_the_next_one_recovers_first_and_is_right():
    device = StumblingDevice(CONFIG, failures=0)
    acc = eie.Accelerator(device)
    m = acc.load(model())
    a = activations(m, 4, 0)
    for _ in range(2):
        device.failures = 1
        with pytest.raises(DeviceError, match="stuck"):
            acc.run_raw(a)
        assert np.array_equal(acc.run_raw(a), eie.reference(m, a))
    assert device.resets == 3


def test_a_run_is_tried_once_more_on_request():
    device = StumblingDevice(CONFIG, failures=1)
    acc = eie.Accelerator(device, retry=True)
    m = acc.load(model())
    a = activations(m, 4, 0)
    device.failures = 1
    assert np.array_equal(acc.run_raw(a), eie.reference(m, a))
    device.failures = 10
    with pytest.raises(DeviceError, match="stuck"):
        acc.run_raw(a)


def test_input_refused_half_way_leaves_no_reply_behind(monkeypatch):
    monkeypatch.setattr("eie.program.segment._TRANSFER_BYTES", 2000)
    acc = eie.Accelerator(eie.EmulatedDevice(CONFIG))
    m = acc.load(model())
    x = np.random.default_rng(0).normal(size=(60, 40))
    right = acc.run(x)
    broken = x.copy()
    broken[-1, 3] = np.nan
    with pytest.raises(PackError, match="NaN"):
        acc.run(broken)
    assert np.array_equal(acc.run(x), right)
    assert m in acc.loaded


def test_the_host_fills_a_buffer_while_the_device_works_on_the_other(monkeypatch):
    monkeypatch.setattr("eie.program.segment._TRANSFER_BYTES", 2000)
    events = []

    class Recorder(eie.EmulatedDevice):
        def allocate(self, nbytes):
            buffer = super().allocate(nbytes)
            events.append(("allocate", buffer.ctypes.data))
            return buffer

        def release(self, buffer):
            events.append(("release", buffer.ctypes.data))

        def send(self, buffer, reply_bytes=0, changed=None):
            events.append(("send", buffer.ctypes.data))
            super().send(buffer, reply_bytes, changed)

        def receive(self, nbytes):
            events.append(("receive", nbytes))
            return super().receive(nbytes)

    acc = eie.Accelerator(Recorder(CONFIG))
    m = acc.load(model())
    monkeypatch.setattr(
        "eie.runtime.chains.quantise", lambda x, bits, *out: (events.append(("quantise", len(x))), x)[1]
    )
    a = activations(m, 60, 0)
    for _ in range(3):
        acc.run(a)
    acc.close()
    names = [name for name, _ in events]
    first = names.index("quantise")
    assert names[first : first + 9] == (
        ["quantise", "allocate", "send", "quantise", "receive", "send", "quantise", "receive", "send"]
    )
    assert names.count("allocate") == names.count("release") == 2, "two buffers serve all runs"
    sent = [at for name, at in events[first:] if name == "send"]
    assert all(one != other for one, other in itertools.pairwise(sent))


def test_times_tell_where_the_host_spent_what():
    acc = eie.Accelerator(eie.EmulatedDevice(CONFIG))
    m = acc.load(model())
    acc.times.clear()
    acc.run(np.zeros((7, m.columns)))
    assert acc.times.inferences == 7
    assert all(seconds > 0 for seconds in acc.times.seconds.values())
    assert acc.times.host_seconds == pytest.approx(sum(acc.times.seconds.values()) - acc.times.seconds["wait"])
    assert "quantise" in str(acc.times)


def test_a_device_is_accepted_by_name():
    with eie.Accelerator("emulated") as acc:
        assert isinstance(acc.device, eie.EmulatedDevice)
    with pytest.raises(DeviceError, match="there is no device 'emulator'"):
        eie.Accelerator("emulator")
