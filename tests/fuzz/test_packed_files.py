"""Damaged and hostile packed files: the C runtime, with sanitizers, refuses them or runs within its memory."""

import dataclasses
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import eie
from eie.boards.board import board
from eie.devices.virtual import VirtualBoard
from eie.program.packed_file import HEADER, MODEL, SEGMENT, UNIT, packed_bytes
from tests.driver.c.bridge import BRIDGE, Runtime, compiled
from tests.pynq.networks import CONFIG, inputs, model, streamed_model

SMALL = dataclasses.replace(board("pynq-z2"), config=CONFIG)
AFTER = 4 * ([name for name, _ in HEADER].index("checksum") + 1)
TURNS = [model(seed) for seed in range(8)]
"""Too many to stay on the array together: their weights are sent again and again."""
NETWORKS = [*TURNS[:3], streamed_model()]
FILES = [
    packed_bytes(NETWORKS[:1], CONFIG),
    packed_bytes([NETWORKS[0], NETWORKS[-1]], CONFIG),
    packed_bytes(TURNS, CONFIG),
]

# Of records of the file: what an attacker would try first.
NUMBERS = st.sampled_from((0, 1, 2, 7, 8, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 8, 2**32 - 1)) | st.integers(
    0, 2**32 - 1
)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    command = compiled("here", tmp_path_factory.mktemp("c"), *BRIDGE)
    with Runtime(command, VirtualBoard(SMALL), 1 << 18) as runtime:
        assert runtime.open(200_000)[0] == 0
        yield runtime


def sealed(data: bytearray) -> bytes:
    """The file with a checksum that is right."""
    struct.pack_into("<I", data, AFTER - 4, zlib.crc32(data[AFTER:]))
    return bytes(data)


def try_file(runtime, data):
    """Load and run it: whatever comes, an answer comes, and no sanitizer ends the program."""
    status, message = runtime.load(data)
    assert bool(status) == bool(message)
    for network in NETWORKS:
        if status == 0:
            found = struct.unpack("<3I", runtime.command(b"m", len(network.name), data=network.name.encode())[2])
            if found[1:] == (network.columns, network.layers[-1].rows):
                runtime.models = {found[0]: network}
                runtime.run(inputs(network, 3), found[0])
    return status


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(FILES), st.data())
def test_any_damaged_byte_is_found_by_the_checksum(runtime, file, data):
    at = data.draw(st.integers(0, len(file) - 1))
    damaged = bytearray(file)
    damaged[at] ^= data.draw(st.integers(1, 255))
    assert try_file(runtime, bytes(damaged)) == 1


@settings(max_examples=30)
@given(st.sampled_from(FILES), st.data())
def test_any_file_that_is_cut_off_is_refused(runtime, file, data):
    assert try_file(runtime, file[: data.draw(st.integers(0, len(file) - 1))]) == 1


@settings(max_examples=200)
@given(st.sampled_from(FILES), st.data())
def test_hostile_records_under_a_right_checksum_stay_within_memory(runtime, file, data):
    hostile = bytearray(file)
    table = struct.unpack_from("<I", file, 4 * [name for name, _ in HEADER].index("models_at"))[0]
    for _ in range(data.draw(st.integers(1, 3))):
        # Records lie near the end, before the table of models; the header at the beginning.
        first = data.draw(st.sampled_from((0, max(0, table - 4096), table - 256, table)))
        at = min(first + 4 * data.draw(st.integers(0, 64)), len(file) - 4)
        struct.pack_into("<I", hostile, at, data.draw(NUMBERS))
    try_file(runtime, sealed(hostile))


def test_a_unit_longer_than_that_of_most_inferences_is_refused(runtime):
    """Memory is laid out for that one."""
    file = bytearray(FILES[0])

    def place(layout, name):
        return 4 * [field for field, _ in layout].index(name)

    def number(at):
        return struct.unpack_from("<I", file, at)[0]

    segment = number(number(place(HEADER, "models_at")) + place(MODEL, "segments_at"))
    inferences, units = (number(segment + place(SEGMENT, name)) for name in ("inferences", "units_at"))
    assert inferences > 1
    for name, value in (("words", 1), ("last_read", 0), ("inputs", 0)):
        struct.pack_into("<I", file, units + 4 * len(UNIT) * (inferences - 1) + place(UNIT, name), value)
    status, message = runtime.load(sealed(file))
    assert status == 1 and "is not sound" in message


def test_after_all_of_it_a_sound_file_runs(runtime):
    for file, networks in ((FILES[1], [NETWORKS[0], NETWORKS[-1]]), (FILES[2], TURNS)):
        assert try_file(runtime, file) == 0
        runtime.models = networks
        for number, network in [*enumerate(networks)] * 2:
            a = inputs(network, 3)
            status, _, y = runtime.run(a, number)
            assert status == 0 and np.array_equal(y, eie.reference(network, a))
