"""MLPerf Tiny's autoencoder with its own weights: the error of a clip, by which it tells anomalies, stays."""

from pathlib import Path

import numpy as np
import pytest

import eie

AD = Path(__file__).parents[4] / "shared" / "data" / "anomaly_detection" / "ad01_float.npz"
LAYERS = 10

pytestmark = pytest.mark.skipif(not AD.is_file(), reason=f"{AD} is not there")


@pytest.fixture(scope="module")
def clip():
    """Every five frames of the clip's spectrogram as one vector, and the layers' weights and biases."""
    with np.load(AD) as arrays:
        frames = arrays["spectrogram"].astype(np.float32)
        parts = [(arrays[f"weight{i}"], arrays[f"bias{i}"]) for i in range(LAYERS)]
    return np.stack([frames[i : i + 5].ravel() for i in range(len(frames) - 4)]), parts


def error(x, y):
    """Return the clip's reconstruction error."""
    return float(np.mean((x - y) ** 2))


def write_npz(path, parts):
    arrays = {
        f"{name}{i}": array
        for i, pair in enumerate(parts)
        for name, array in zip(("weight", "bias"), pair, strict=True)
    }
    np.savez(path, **arrays)


def write_onnx(path, parts):
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, value = [], [], "x"
    for i, (weight, bias) in enumerate(parts):
        constants += [numpy_helper.from_array(weight, f"w{i}"), numpy_helper.from_array(bias, f"b{i}")]
        last = i == len(parts) - 1
        nodes.append(helper.make_node("Gemm", [value, f"w{i}", f"b{i}"], ["y" if last else f"g{i}"], transB=1))
        if not last:
            nodes.append(helper.make_node("Relu", [f"g{i}"], [f"r{i}"]))
        value = f"r{i}"
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 640])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 640])]
    graph = helper.make_graph(nodes, "ad", inputs, outputs, constants)
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    )


def test_at_density_1_the_clip_s_error_is_within_a_hundredth_of_the_float_network_s(clip, tmp_path):
    pytest.importorskip("onnx")
    x, parts = clip
    y = x
    for i, (weight, bias) in enumerate(parts):
        y = y @ weight.T + bias
        y = np.maximum(y, 0) if i < len(parts) - 1 else y
    wanted = error(x, y)
    write_onnx(tmp_path / "ad.onnx", parts)
    write_npz(tmp_path / "ad.npz", parts)
    models = [eie.compress(tmp_path / name, 1.0, x) for name in ("ad.npz", "ad.onnx")]
    with eie.Accelerator(eie.EmulatedDevice()) as accelerator:
        outputs = [accelerator.run(x, verify=True, model=model) for model in models]
    assert np.array_equal(*outputs), "both files hold one network"
    assert error(x, outputs[0]) == pytest.approx(wanted, rel=0.01)
