"""The throughput model: what its parts add up to, what bounds what, and what it refuses."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

import eie
from eie.boards.board import board, board_names
from eie.boards.memory_port import with_stream
from eie.contract import isa, pipeline
from eie.contract.fixed_point import quantise
from eie.cycle_model.compute import Work
from eie.cycle_model.program import ProgramTiming
from eie.cycle_model.timed_device import TimedDevice
from eie.data.mnist import DATA
from eie.data.mnist import test_digits as digits
from eie.errors import ConfigError, PackError
from eie.network.unused import without_unused_rows
from eie.program.packing import pack

SMALL = eie.ArrayConfig(num_pes=4, entries=512, pointers=256, rows=16, activations=512)


def network(*widths, density=0.2):
    rng = np.random.default_rng(0)
    layers = []
    for columns, rows in itertools.pairwise(widths):
        codes = rng.integers(1, 16, (rows, columns)) * (rng.random((rows, columns)) < density)
        layers.append(eie.Layer.from_dense_codes(codes, np.arange(16), shift=6, relu=True, name=f"{rows}"))
    return eie.Model(layers, name="net")


def activations(model, batch, density=0.35):
    rng = np.random.default_rng(1)
    shape = (batch, model.columns)
    return (rng.integers(1, 999, shape) * (rng.random(shape) < density)).astype(np.int16)


@pytest.mark.parametrize("widths", [(40, 30, 10), (300, 200), (600, 40, 10)], ids=["resident", "streamed", "segments"])
def test_layers_add_up_to_the_whole_and_the_whole_is_what_the_driver_takes(widths):
    model = network(*widths)
    a = activations(model, 5)
    found = eie.estimate(model, SMALL, a)
    assert sum(layer.alone for layer in found.layers) == found.latency_cycles
    assert sum(layer.cycles for layer in found.layers) == pytest.approx(found.cycles)
    for batch, expected in ((a[:1], found.latency_cycles), (a, found.batch_cycles)):
        with eie.Accelerator(TimedDevice(SMALL)) as driver:
            driver.load(model)
            driver.clear_counters()
            driver.run_raw(batch)
            assert driver.counters.busy == expected
    assert found.resident == (widths == (40, 30, 10))
    assert (found.load_cycles > 0) == found.resident


def test_an_inference_alone_computes_while_its_input_loads():
    config = board("pynq-z2").config
    model = eie.load(DATA / "lenet-300-100.eie")
    packed = pack(model, config)
    segment, device = packed.segments[0], TimedDevice(config)
    device.load(packed.weights)
    words = np.zeros(segment.words(1), np.uint64)
    segment.fill(quantise(digits().inputs()[:1], model.input_fraction_bits), words)
    device.send(words.view(np.uint8))
    program = device.programs[-1]
    program.finish()
    loaded = max(step.end for step in program.steps if step.instruction is isa.ACTIVATIONS)
    starts = [step.start for step in program.steps if step.instruction is isa.COMPUTE]
    assert starts[0] < loaded / 3
    assert sum(start < loaded for start in starts) == 3


def test_a_batch_in_several_transfers_is_timed_as_the_driver_sends_it(monkeypatch):
    monkeypatch.setattr("eie.program.segment._TRANSFER_BYTES", 2000)
    model = network(40, 30, 10)
    found = eie.estimate(model, SMALL, activations(model, 60))
    with eie.Accelerator(TimedDevice(SMALL)) as driver:
        driver.load(model)
        driver.clear_counters()
        driver.run_raw(activations(model, 60))
        assert found.transfers == len(driver.device.programs) > 2
        assert found.batch_cycles == driver.counters.busy


@pytest.mark.parametrize("widths", [(40, 30, 10), (300, 200)], ids=["resident", "streamed"])
def test_what_the_host_flushes_is_what_differs_between_two_batches(widths):
    model = network(*widths)
    found = eie.estimate(model, SMALL, activations(model, 5))
    packed = pack(model, SMALL).for_batch(5)
    [segment] = packed.segments
    first, second = (np.zeros(segment.words(5), np.uint64) for _ in range(2))
    segment.fill(np.full((5, model.columns), 0x1111, np.int16), first)
    segment.fill(np.full((5, model.columns), 0x2222, np.int16), second)
    differing = 8 * np.count_nonzero(first != second)
    # Where inferences share weights, every row tile is given its input anew.
    times = len(packed.row_tiles[0]) if segment.shared else 1
    assert differing == 8 * 5 * -(-model.columns // 4) * times
    assert found.invalidated_bytes == 8 * 5 * -(-model.rows // 4)
    assert found.flushed_bytes == (8 * len(first) if found.resident else differing) + found.invalidated_bytes


def test_the_timed_device_gives_the_references_answers():
    for model in (network(40, 30, 10), network(300, 200)):
        with eie.Accelerator(TimedDevice(SMALL)) as driver:
            driver.run_raw(activations(model, 7), verify=True, model=model)


@pytest.mark.parametrize(
    ("widths", "density", "inputs", "options", "bound"),
    [
        ((300, 200), 0.2, 0.1, {}, "DMA"),
        ((100, 8), 0.3, 1.0, {"config": eie.ArrayConfig(num_pes=64)}, "broadcast"),
        ((250, 64), 1.0, 1.0, {"config": eie.ArrayConfig(num_pes=4, entries=8192, pointers=512)}, "arithmetic"),
        ((8, 600), 0.05, 0.5, {"config": eie.ArrayConfig(num_pes=4, rows=256)}, "output"),
        ((8, 8), 0.2, 0.5, {"config": eie.ArrayConfig(num_pes=64)}, "start-up"),
    ],
)
def test_each_bound_is_found_where_it_rules(widths, density, inputs, options, bound):
    model = network(*widths, density=density)
    found = eie.estimate(model, options.get("config", SMALL), activations(model, 16, inputs))
    assert found.layers[0].bound == bound


def test_half_the_dma_doubles_the_time_of_what_it_bounds_and_half_the_clock_of_everything():
    model = network(300, 200)
    a = activations(model, 1, 0.1)
    whole = eie.estimate(model, SMALL, a)
    slow_dma = eie.estimate(model, SMALL, a, bytes_per_cycle=4)
    assert whole.layers[0].bound == "DMA"
    assert slow_dma.cycles / whole.cycles == pytest.approx(2, rel=0.05)
    slow_clock = eie.estimate(model, SMALL, a, clock_mhz=50)
    assert slow_clock.frames_per_second == whole.frames_per_second / 2
    assert slow_clock.latency_microseconds == whole.latency_microseconds * 2


def test_on_a_board_the_dma_brings_what_its_memory_does_and_the_estimate_says_so():
    model = network(512, 512, density=0.5)
    described = with_stream(dataclasses.replace(board("pynq-z2"), config=eie.ArrayConfig(entries=512)), 128)
    found = eie.estimate(model, described)
    assert (found.bytes_per_cycle, found.supply_limit) == (15.75, "memory")
    assert "DMA of 15.75 bytes a cycle, all that the memory brings;" in found.table()
    same = eie.estimate(model, described.config, bytes_per_cycle=15.75)
    assert found.layers == same.layers
    given = eie.estimate(model, described, bytes_per_cycle=16)
    assert given.supply_limit == "stream" and given.layers[0].bound == "DMA"
    assert found.cycles / given.cycles == pytest.approx(16 / 15.75, rel=0.01)


@pytest.mark.parametrize("name", board_names())
def test_every_board_runs_the_shipped_network_from_its_own_memories_within_microseconds(name):
    x = digits().inputs()[:4]
    found = eie.estimate(eie.load(DATA / "lenet-300-100.eie"), name, x)
    described = board(name)
    assert (found.board, found.clock_mhz, found.config) == (described.title, described.clock_mhz, described.config)
    assert found.resident
    assert found.cycles < found.latency_cycles, "loads of the next inference overlap"
    assert 2 < found.latency_microseconds < 20
    assert found.frames_per_second == pytest.approx(1e6 * described.clock_mhz / found.cycles)


def test_the_table_names_layers_bounds_and_totals_and_json_holds_all():
    model = network(300, 200, 10)
    found = eie.estimate(model, SMALL, activations(model, 3))
    table = found.table()
    assert "'net' on 4 PEs at 100 MHz, DMA of 8 bytes a cycle; weights streamed" in table
    computed = without_unused_rows(model).layers[0]
    assert f"{computed.rows} x 300" in table and "total" in table and f"{found.frames_per_second:,.0f}" in table
    assert all(layer.bound in table for layer in found.layers)
    values = json.loads(json.dumps(found.to_dict()))
    assert values["frames_per_second"] == found.frames_per_second
    assert [layer["cycles"] for layer in values["layers"]] == [layer.cycles for layer in found.layers]


def test_random_inputs_are_as_dense_as_asked_and_the_same_for_the_same_seed():
    layer = network(1000, 8).layers[0]
    sparse, dense = (eie.estimate(layer, SMALL, density=d, batch=3, seed=1) for d in (0.1, 1.0))
    assert sparse.batch == 3
    assert sparse.layers[0].broadcast == pytest.approx(100, rel=0.2)
    assert dense.layers[0].broadcast == 1000
    assert eie.estimate(layer, SMALL, density=0.1, batch=3, seed=1) == sparse
    assert eie.estimate(layer, SMALL, density=0.1, batch=3, seed=2) != sparse


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        (("no-board",), {}, ConfigError, "there is no board 'no-board'; the boards are aup-zu3, kr260"),
        ((SMALL,), {"density": 0}, ConfigError, "density is 0; it must lie above 0 and at most at 1"),
        ((SMALL,), {"bytes_per_cycle": 16}, ConfigError, "bytes_per_cycle is 16; .* at most at 8"),
        ((SMALL,), {"clock_mhz": -1}, ConfigError, "clock_mhz is -1"),
        ((SMALL,), {"batch": 0}, ConfigError, "batch is 0; it must be 1 or more"),
        ((SMALL, np.zeros((2, 7), np.int16)), {}, PackError, r"activations have shape \(2, 7\); 'net' takes .* 40"),
    ],
)
def test_what_cannot_be_is_refused(arguments, options, error, text):
    with pytest.raises(error, match=text):
        eie.estimate(network(40, 10), *arguments, **options)


def test_a_load_waits_for_the_instruction_that_uses_its_place_and_for_no_other():
    def take(bank):
        program = ProgramTiming(SMALL)
        values = {"bank": 0, "part": 0, "slot": 0, "pointers": 0, "address": 0, "count": 1}
        work = Work(np.ones(SMALL.lanes, np.int16), np.full((SMALL.lanes, SMALL.num_pes), 25, np.int32), 0)
        compute = program.execute(isa.COMPUTE, values, work)
        load = program.load(isa.POINTERS, {"bank": bank, "address": 0, "count": 4}, 8)
        return compute, load, program

    compute, load, program = take(bank=0)
    assert load.taken == compute.end + pipeline.RETIRE_LATENCY + 1 and load.waited > 90
    assert program.finish() == load.end + 1
    compute, load, program = take(bank=1)
    assert load.waited == 0
    assert program.finish() == compute.end + pipeline.RETIRE_LATENCY + 1 > load.end + 1
