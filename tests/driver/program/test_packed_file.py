"""What `eie pack` writes; the C runtime's tests run it (tests/driver/c)."""

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


def test_models_that_fit_share_the_array_and_others_exclude_one_another():
    assert record(packed_bytes([model()], CONFIG), HEADER)["exclusive"] == 0
    data = packed_bytes([model(), streamed_model()], CONFIG)
    header = record(data, HEADER)
    assert (header["exclusive"], header["models"], header["bytes"]) == (1, 2, len(data))
    streamed = record(data, MODEL, header["models_at"] + 4 * len(MODEL))
    assert (streamed["weights_words"], streamed["weights_instructions"]) == (0, 0)


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
