"""`eie inspect` and `eie verify` of networks whose inputs leave sizes open."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

import eie
from eie.cli import main
from tests.driver.cli.commands import run_json


@pytest.fixture
def network(tmp_path):
    """A convolution of 16 taps over a signal of any length, scaled by what a table gives for each of a batch."""
    rng = np.random.default_rng(0)
    constants = {"w": rng.standard_normal((2, 1, 16)), "table": rng.standard_normal((3, 2, 1))}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="taps"),
        helper.make_node("Gather", ["table", "kind"], ["s"]),
        helper.make_node("Mul", ["c", "s"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, "samples"]),
            helper.make_tensor_value_info("kind", TensorProto.INT64, ["batch"]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    path = tmp_path / "net.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return str(path)


def test_sizes_that_are_open_are_asked_for(network, capsys):
    assert main(["inspect", network]) == 2
    message = capsys.readouterr().err
    assert "'taps': a window of 16 does not fit an input of 1" in message
    assert "input 'x' leaves sizes open and was made 1,1,1: give --shape x=SIZE,... or --inputs" in message


def test_a_given_shape_tells_sizes_of_the_same_name(network, capsys):
    report = run_json(capsys, "inspect", network, "--shape", "x=4,1,40")
    assert report["on_array"] == 4 * 25 * 2 * 16
    assert [node["shape"] for node in report["nodes"]] == [[4, 2, 25], [4, 2, 1], [4, 2, 25]]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ("z=4,5", "there is no input 'z'; there are x, kind"),
        ("x=4,one", "'4,one' are no sizes"),
        ("x=4,1,-3", "sizes must not be negative"),
    ],
)
def test_shapes_that_are_none_are_refused(network, capsys, shape, words):
    assert main(["inspect", network, "--shape", shape]) == 2
    assert words in capsys.readouterr().err


def test_what_stands_for_inputs_that_are_open_is_asked_for(network, capsys, tmp_path):
    x = np.random.default_rng(0).standard_normal((4, 1, 20)).astype(np.float32)
    eie.save(eie.compress(network, 1.0, {"x": x, "kind": np.array([0, 1, 2, 0])}), tmp_path / "net.eie")
    assert main(["verify", str(tmp_path / "net.eie")]) == 2
    message = capsys.readouterr().err
    assert "leaves open what typical inputs are; give calibration inputs in a file: --inputs X.npy" in message
    np.savez(tmp_path / "x.npz", x=x, kind=np.array([2, 1, 0, 0]))
    assert main(["verify", str(tmp_path / "net.eie"), "--inputs", str(tmp_path / "x.npz")]) == 0
    assert "every result of the array equals the integer reference" in capsys.readouterr().out
