"""What `eie pack` writes; the C runtime's tests run it (tests/driver/c)."""

import dataclasses
import struct

import numpy as np
import pytest

import eie
from eie.cli import main
from eie.data.mnist import DATA
from eie.errors import PackError
from eie.program.packed_file import HEADER, MODEL, packed_bytes
from tests.pynq.networks import CONFIG, model, streamed_model

LENET = str(DATA / "lenet-300-100.eie")


def record(data, layout, at=0):
    names = [name for name, _ in layout]
    return dict(zip(names, struct.unpack_from(f"<{len(names)}I", data, at), strict=True))


def stays(data):
    header = record(data, HEADER)
    ats = range(header["models_at"], header["models_at"] + 4 * len(MODEL) * header["models"], 4 * len(MODEL))
    return [record(data, MODEL, at)["stays"] for at in ats]


def test_models_that_fit_stay_on_the_array():
    assert stays(packed_bytes([model()], CONFIG)) == [1]


def test_one_that_needs_the_whole_array_leaves_none_there():
    data = packed_bytes([model(), streamed_model()], CONFIG)
    header = record(data, HEADER)
    assert (stays(data), header["models"], header["bytes"]) == ([0, 0], 2, len(data))
    streamed = record(data, MODEL, header["models_at"] + 4 * len(MODEL))
    assert (streamed["weights_words"], streamed["weights_instructions"]) == (0, 0)


def test_of_models_that_do_not_all_fit_the_largest_stay():
    sizes = (100, 30, 90, 31, 80)
    layers = [
        eie.Layer.from_dense_codes(np.ones((8, size), np.uint8), np.r_[0, 1, [0] * 14], name=f"{size}")
        for size in sizes
    ]
    tight = eie.ArrayConfig(num_pes=2, entries=2048, pointers=512, rows=64, activations=512, banks=1)
    # Columns in whole groups of 8, and a pair of pointers at the end: 53, 17, 49, 17 and 41 of 256 pairs.
    assert stays(packed_bytes([eie.Model([layer]) for layer in layers], tight)) == [1] * 5
    tight = dataclasses.replace(tight, pointers=256)
    # 128 pairs: 53 and 49 stay, one of the small ones at a time beside them; 41 would find no room.
    assert stays(packed_bytes([eie.Model([layer]) for layer in layers[:4]], tight)) == [1, 0, 1, 0]


def test_what_does_not_pack_is_refused_by_name():
    with pytest.raises(PackError, match="no model to pack"):
        packed_bytes([], CONFIG)
    with pytest.raises(PackError, match="model is a int"):
        packed_bytes([3], CONFIG)


def test_the_command_writes_the_file_for_a_board(tmp_path, capsys):
    target = tmp_path / "net.eiep"
    assert main(["pack", LENET, "-o", str(target), "--board", "zcu104"]) == 0
    assert "on the array together: lenet-300-100" in capsys.readouterr().out
    from eie.boards.board import board

    assert target.read_bytes() == packed_bytes([eie.load(LENET)], board("zcu104").config)


def test_two_models_of_one_name_are_refused(tmp_path, capsys):
    assert main(["pack", LENET, LENET, "-o", str(tmp_path / "net.eiep")]) == 2
    assert "give them different ones" in capsys.readouterr().err


def test_places_and_unit_are_those_of_the_packed_model():
    packed = eie.pack(model(), CONFIG)
    data = packed_bytes([model()], CONFIG)
    for words in (packed.weights, packed.segments[0].unit):
        assert words.tobytes() in data
    assert np.asarray(packed.segments[0].places, np.uint32).tobytes() in data
