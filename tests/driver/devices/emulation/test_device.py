"""The emulated device: errors, state, counters, batches, and what happens to hostile streams."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie.contract import isa, registers
from eie.contract.isa import ErrorCode
from eie.devices.emulation import tile_products
from eie.devices.interface import error_text
from eie.errors import DeviceError
from eie.program.packing import pack
from tests.instructions import instructions_of
from tests.strategies import activations, configs, models

CONFIG = eie.ArrayConfig(num_pes=4, entries=64, pointers=64, rows=8, activations=64, codebooks=2)


def words(*parts):
    return np.concatenate([np.atleast_1d(np.asarray(p, np.uint64)) for p in parts]).view(np.uint8)


def status(device):
    value = device.read_register(registers.offset("status"))
    return ErrorCode(value >> registers.STATUS_ERROR_SHIFT)


def load(address, *values):
    data = np.array(values, np.int16).view(np.uint64)
    return words(isa.ACTIVATIONS.encode(address=address, count=len(data)), data)


def read(address, count=1, last=1):
    return words(isa.READ.encode(last=last, words=0, address=address, count=count))


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (words(0), ErrorCode.BAD_OPCODE),
        (words(0xFF), ErrorCode.BAD_OPCODE),
        (words(isa.READ.encode(last=0, words=0, address=0, count=1) | 1 << 28), ErrorCode.BAD_FIELD),
        (words(isa.READ.encode(last=0, words=0, address=0, count=0)), ErrorCode.BAD_FIELD),
        (words(isa.READ.encode(last=0, words=0, address=16, count=1)), ErrorCode.OUT_OF_RANGE),
    ],
)
def test_a_malformed_stream_sets_its_error_at_its_instruction(stream, error):
    device = eie.EmulatedDevice(CONFIG)
    device.send(np.concatenate([load(0, 1, 2, 3, 4), read(0), stream, load(0, 5, 6, 7, 8), read(0)]))
    assert status(device) is error
    assert device.read_register(registers.offset("error_index")) == 2
    assert f"{error.name} at instruction 2: " in error_text(device)
    assert device.receive(8).view(np.int16).tolist() == [1, 2, 3, 4], "earlier instructions complete"
    assert len(device.receive(8)) == 0, "later ones do not run"
    device.send(np.concatenate([load(0, 9, 9, 9, 9), read(0)]))
    assert len(device.receive(8)) == 0, "nor do later transfers"
    device.write_register(registers.offset("control"), registers.CONTROL_SOFT_RESET)
    assert status(device) is ErrorCode.NONE
    device.send(np.concatenate([load(0, 5, 6, 7, 8), read(0)]))
    assert device.receive(8).view(np.int16).tolist() == [5, 6, 7, 8]


@pytest.mark.parametrize("payload", [0, 1, 3])
def test_a_transfer_that_ends_inside_an_instruction_is_truncated(payload):
    device = eie.EmulatedDevice(CONFIG)
    device.send(np.concatenate([load(0, 1, 2, 3, 4), read(0), words(isa.CODEBOOK.encode(slot=0), [0] * payload)]))
    assert status(device) is ErrorCode.TRUNCATED
    assert device.read_register(registers.offset("error_index")) == 2
    assert len(device.receive(8)) == 8


def test_of_a_load_that_is_cut_short_stays_what_came_whole():
    device = eie.EmulatedDevice(CONFIG)
    ones = [0xFFFF_FFFF_FFFF_FFFF]
    device.send(words(isa.CODEBOOK.encode(slot=0), ones * 4))
    device.send(words(isa.CODEBOOK.encode(slot=0), [0] * 2))
    assert status(device) is ErrorCode.TRUNCATED
    assert device.machine.codebooks[0].tolist() == [0] * 8 + [-1] * 8
    device.write_register(registers.offset("control"), registers.CONTROL_SOFT_RESET)
    device.send(words(isa.ENTRIES.encode(bank=0, pe=1, address=2, count=8), ones * 1))
    whole = 8 // CONFIG.beat_bytes
    assert device.machine.entries[0, 1, 2 : 2 + whole].all() and not device.machine.entries[0, 1, 2 + whole :].any()


def test_a_transfer_of_broken_words_is_refused():
    with pytest.raises(DeviceError, match="12 bytes is not a multiple of 8"):
        eie.EmulatedDevice(CONFIG).send(np.zeros(12, np.uint8))


def test_a_packet_larger_than_the_receiver_has_room_for_is_refused():
    device = eie.EmulatedDevice(CONFIG)
    device.send(read(0, 2))
    with pytest.raises(DeviceError, match="returned 16 bytes, the receiver has room for 8"):
        device.receive(8)


def test_a_packet_ends_only_where_a_read_says_so():
    device = eie.EmulatedDevice(CONFIG)
    device.send(np.concatenate([load(0, 1, 2, 3, 4), read(0, last=0), read(0, last=0), read(0), read(0)]))
    assert len(device.receive(100)) == 24
    assert len(device.receive(100)) == 8


def test_memories_hold_zeros_at_power_on_and_their_contents_through_a_soft_reset():
    device = eie.EmulatedDevice(CONFIG)
    device.send(read(3))
    assert not device.receive(8).any()
    device.send(load(3, 1, 2, 3, 4))
    device.write_register(registers.offset("control"), registers.CONTROL_SOFT_RESET)
    device.send(read(3))
    assert device.receive(8).view(np.int16).tolist() == [1, 2, 3, 4]


def test_accumulators_wrap_at_48_bits():
    # Without room for a second inference, one COMPUTE takes all of the input.
    config = eie.ArrayConfig(num_pes=1, entries=4096, pointers=8192, rows=4, activations=4096, first_row=False)
    columns = 2048
    layer = eie.Layer.from_dense_codes(np.ones((1, columns)), np.r_[0, [-32768] * 15])
    packed = pack(eie.Model([layer]), config)
    device = eie.EmulatedDevice(config)
    device.send(packed.weights.view(np.uint8))
    program = np.zeros(packed.segments[0].words(1), np.uint64)
    packed.segments[0].fill(np.full((1, columns), -32768, np.int16), program)
    compute = [i for i, w in enumerate(program) if w & np.uint64(0xFF) == isa.COMPUTE.opcode]
    assert len(compute) == 1
    # 2048 columns of 2**30 are 2**41; 64 times that is 2**47, which wraps to -2**47.
    repeated = np.concatenate([program[: compute[0]], np.repeat(program[compute[0]], 64), program[compute[0] + 1 :]])
    device.send(repeated.view(np.uint8))
    out = device.receive(10**6).view(np.int16)
    assert out[0] == -32768
    repeated = np.concatenate([program[: compute[0]], np.repeat(program[compute[0]], 63), program[compute[0] + 1 :]])
    device.send(repeated.view(np.uint8))
    assert device.receive(10**6).view(np.int16)[0] == 32767


def test_the_value_of_code_0_is_taken_as_0():
    device = eie.EmulatedDevice(CONFIG)
    layer = eie.Layer.from_dense_codes(np.eye(8) * 3, np.r_[0, np.arange(1, 16)])
    packed = pack(eie.Model([layer]), eie.ArrayConfig(**CONFIG.to_dict() | {"index_bits": 5}))
    device.send(packed.weights.view(np.uint8))
    codebook = np.arange(100, 116).astype(np.int16).view(np.uint64)
    device.send(words(isa.CODEBOOK.encode(slot=0), codebook))
    program = np.zeros(packed.segments[0].words(1), np.uint64)
    packed.segments[0].fill(np.ones((1, 8), np.int16), program)
    device.send(program.view(np.uint8))
    assert device.receive(100).view(np.int16)[:8].tolist() == [103] * 8


@pytest.mark.parametrize("compiled", [False, True])
def test_every_path_of_the_inner_loop_gives_the_same_sums(compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(tile_products, "_kernels", [None])
    else:
        assert tile_products.compiled_kernels() is not None, "the test environment has numba"

    @settings(max_examples=30, deadline=None)
    @given(models(), configs(), st.sampled_from((1, 5, 6, 20)), st.integers(0, 2**32))
    def check(model, config, batch, seed):
        acc = eie.Accelerator(eie.EmulatedDevice(config))
        a = activations(model, batch, seed)
        assert np.array_equal(acc.run_raw(a, model=model), eie.reference(model, a))

    check()


def count_by_hand(packed, a):
    """Broadcasts, and work and padding entries of each PE, of a one-layer model."""
    config = packed.config
    a = a[:, packed.inputs.start : packed.inputs.stop]
    work = np.zeros(config.num_pes, int)
    padding = np.zeros(config.num_pes, int)
    broadcasts = 0
    for row_tile in packed.row_tiles[0]:
        for tile in row_tile.tiles:
            for vector in a:
                for column in range(tile.groups * config.lanes):
                    j = tile.first_group * config.lanes + column
                    if j < len(vector) and vector[j]:
                        broadcasts += 1
                        for pe in range(config.num_pes):
                            codes = tile.encoded.entries[tile.starts[pe, column] : tile.starts[pe, column + 1]] & 15
                            work[pe] += np.count_nonzero(codes)
                            padding[pe] += np.count_nonzero(codes == 0)
    return broadcasts, work, padding


@settings(max_examples=25, deadline=None)
@given(models(max_layers=1, max_size=40), configs(pes=(1, 4, 8)), st.integers(1, 5), st.integers(0, 2**32))
def test_counters_count_broadcasts_work_and_padding(model, config, batch, seed):
    acc = eie.Accelerator(eie.EmulatedDevice(config))
    a = activations(model, batch, seed)
    for runs in (1, 2):
        acc.run_raw(a, model=model)
        broadcasts, work, padding = count_by_hand(pack(model, config).for_batch(batch), a)
        assert acc.counters.broadcasts == runs * broadcasts
        assert np.array_equal(acc.counters.work, runs * work)
        assert np.array_equal(acc.counters.padding, runs * padding)
    acc.clear_counters()
    assert acc.counters.broadcasts == 0
    assert not acc.counters.work.any()


def test_the_interrupt_follows_its_enable_bits():
    device = eie.EmulatedDevice(CONFIG)

    def pending():
        return bool(device.read_register(registers.offset("status")) & registers.STATUS_INTERRUPT)

    device.send(read(0))
    assert not pending()
    device.write_register(registers.offset("interrupt_enable"), 2)
    device.send(read(0))
    assert pending()
    device.write_register(registers.offset("control"), registers.CONTROL_CLEAR_INTERRUPT)
    assert not pending()
    device.write_register(registers.offset("interrupt_enable"), 1)
    device.send(words(0))
    assert pending()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_hostile_stream_never_breaks_the_emulation(data):
    """Valid programs with words overwritten, cut and repeated: an error code or a result, never an exception."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    model = data.draw(models(max_layers=2, max_size=20))
    config = data.draw(configs(pes=(1, 2, 4, 16, 64)))
    flit = config.flit_words
    packed = pack(model, config)
    programs = [packed.weights]
    for segment in packed.segments:
        program = np.zeros(segment.words(2), np.uint64)
        segment.fill(rng.integers(-9, 9, (2, segment.columns)).astype(np.int16), program)
        programs.append(program)
    stream = np.concatenate(programs)
    for _ in range(data.draw(st.integers(1, 4))):
        at = rng.integers(len(stream))
        kind = data.draw(st.sampled_from(("bit", "word", "cut", "repeat", "header")))
        if kind == "bit":
            stream[at] ^= np.uint64(1) << np.uint64(rng.integers(64))
        elif kind == "word":
            stream[at] = rng.integers(0, 2**64, dtype=np.uint64)
        elif kind == "cut":
            stream = stream[: (at // flit + 1) * flit]
        elif kind == "repeat":
            stream = np.concatenate([stream[at:], stream[:at]])
        else:
            instruction = data.draw(st.sampled_from(isa.INSTRUCTIONS))
            fields = {f.name: int(rng.integers(1 << min(f.width, 4))) for f in instruction.fields}
            stream[at] = instruction.encode(**fields)
    device = eie.EmulatedDevice(config)
    device.send(stream.view(np.uint8))
    status(device)
    while len(device.receive(2**40)):
        pass
    acc = eie.Accelerator(device)
    a = activations(model, 2, seed=0)
    assert np.array_equal(acc.run_raw(a, model=model), eie.reference(model, a)), "a soft reset makes the next run right"


@settings(max_examples=60, deadline=None)
@given(
    models(max_layers=2, max_size=25), configs(pes=(1, 4, 16, 64)), st.integers(2, 6), st.integers(0, 2**32), st.data()
)
def test_running_repetitions_at_once_equals_running_them_one_by_one(model, config, batch, seed, data):
    """Also where a stream reads activations or accumulators that the inference before left behind."""
    packed = pack(model, config)
    segment = packed.segments[0]
    program = np.zeros(segment.words(batch), np.uint64)
    segment.fill(activations(model, batch, seed)[:, : segment.columns], program)
    # Drop one kind of instruction in every inference, so that state is carried over.
    dropped = data.draw(st.sampled_from((None, isa.STORE, isa.ACTIVATIONS, isa.COMPUTE, isa.BIAS)))
    parts = [program[span] for instruction, _, span in instructions_of(program, config) if instruction is not dropped]
    together, apart = eie.EmulatedDevice(config), eie.EmulatedDevice(config)
    for device in (together, apart):
        if len(packed.weights):
            device.send(packed.weights.view(np.uint8))
    together.send(np.concatenate(parts).view(np.uint8))
    for part in parts:
        apart.send(np.ascontiguousarray(part).view(np.uint8))
    assert np.array_equal(together.receive(2**40), apart.receive(2**40))
    for counter in ("work", "padding"):
        offset = registers.counter_offset(0, counter)
        assert together.read_register(offset) == apart.read_register(offset)
    assert together.read_register(registers.offset("instructions")) == len(parts) + sum(
        1 for _ in instructions_of(packed.weights, config)
    )
