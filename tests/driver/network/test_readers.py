"""Networks are read from lists and array files, and anything that does not fit is refused by name."""

import io
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

from eie.errors import MissingExtraError, NetworkError
from eie.network.model import Dense
from eie.network.readers import read_network

RNG = np.random.default_rng(0)


def matrix(rows, columns):
    return RNG.standard_normal((rows, columns)).astype(np.float32)


def vector(rows):
    return RNG.standard_normal(rows).astype(np.float32)


def saved(path, arrays):
    """Write arrays by the path's ending."""
    save_file(arrays, path) if path.suffix == ".safetensors" else np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
@pytest.mark.parametrize(
    ("weight", "bias"),
    [
        ("fc{}.weight", "fc{}.bias"),
        ("weight{}", "bias{}"),
        ("W{}", "b{}"),
        ("fc{}/weights", "fc{}/biases"),
        ("net.{}_w", "net.{}_b"),
        ("weight_{}", "bias_{}"),
    ],
)
def test_weights_and_biases_are_paired_by_name(tmp_path, ending, weight, bias):
    arrays = {weight.format(1): matrix(4, 3), bias.format(1): vector(4), weight.format(2): matrix(2, 4)}
    first, second = read_network(saved(tmp_path / f"net{ending}", arrays))
    assert np.array_equal(first.weight, arrays[weight.format(1)])
    assert np.array_equal(first.bias, arrays[bias.format(1)])
    assert np.array_equal(second.weight, arrays[weight.format(2)])
    assert second.bias is None
    assert (first.activation, second.activation) == ("relu", None)


def test_activations_of_array_files_are_parameters(tmp_path):
    path = saved(tmp_path / "net.npz", {"weight0": matrix(3, 3), "weight1": matrix(3, 3), "weight2": matrix(3, 3)})
    layers = read_network(path, hidden_activation=None, last_activation="relu")
    assert [layer.activation for layer in layers] == [None, None, "relu"]


def test_npz_layers_come_in_the_order_of_the_file(tmp_path):
    arrays = {"out.bias": vector(3), "in.weight": matrix(3, 3), "in.bias": vector(3), "out.weight": matrix(3, 3)}
    assert [layer.name for layer in read_network(saved(tmp_path / "net.npz", arrays))] == ["in", "out"]


def test_safetensors_layers_come_in_natural_order(tmp_path):
    arrays = {f"fc{i}.weight": matrix(3, 3) for i in (10, 9, 1)}
    layers = read_network(saved(tmp_path / "net.safetensors", arrays))
    assert [layer.name for layer in layers] == ["fc1", "fc9", "fc10"]


def names_in_order(path, shapes, **options):
    """Save layers of given shapes in the order of their names turned round, and read their order."""
    arrays = {f"{name}.weight": matrix(*shapes[name]) for name in sorted(shapes, reverse=True)}
    return [layer.name for layer in read_network(saved(path / "net.safetensors", arrays), **options)]


AUTOENCODER = {"decoder.0": (8, 3), "decoder.2": (20, 8), "encoder.0": (8, 20), "encoder.2": (3, 8)}


@pytest.mark.parametrize(
    ("shapes", "order"),
    [
        (dict.fromkeys(("fc", "fc2", "fc3"), (3, 3)), ["fc", "fc2", "fc3"]),
        (dict.fromkeys(("layer1.0", "layer1.10", "layer2.0"), (3, 3)), ["layer1.0", "layer1.10", "layer2.0"]),
        ({"head": (3, 7), "fc1": (9, 5), "fc2": (7, 9)}, ["fc1", "fc2", "head"]),
        ({"a": (4, 3), "b": (3, 5), "c": (6, 4)}, ["b", "a", "c"]),
    ],
)
def test_the_order_follows_from_numbers_in_names_or_else_from_the_shapes(tmp_path, shapes, order):
    assert names_in_order(tmp_path, shapes) == order


@pytest.mark.parametrize("shapes", [AUTOENCODER, {"a": (3, 3), "b": (3, 3)}, {"fc1": (3, 3), "fc01": (3, 3)}])
def test_where_another_order_chains_too_the_caller_must_say_which(tmp_path, shapes):
    with pytest.raises(NetworkError, match=r"more than one order.*layers=\[\.\.\.\].*--layers a,b,c"):
        names_in_order(tmp_path, shapes)


def test_layers_may_be_put_in_order_by_name(tmp_path):
    wanted = ["encoder.0", "encoder.2", "decoder.0", "decoder.2"]
    assert names_in_order(tmp_path, AUTOENCODER, layers=wanted) == wanted
    path = saved(tmp_path / "net.npz", {"in.weight": matrix(3, 3), "out.weight": matrix(3, 3)})
    assert [layer.name for layer in read_network(path, layers=["out", "in"])] == ["out", "in"]
    for wrong in (["in"], ["in", "out", "out"], "in,out", ["in", "on"]):
        with pytest.raises(NetworkError, match="must name each of its layers once: in, out"):
            read_network(path, layers=wrong)


def test_bfloat16_of_safetensors_is_read(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_tensors

    weight = torch.tensor(matrix(4, 3)).bfloat16()
    save_tensors({"fc.weight": weight, "fc.bias": torch.zeros(4)}, tmp_path / "net.safetensors")
    (layer,) = read_network(tmp_path / "net.safetensors")
    assert np.array_equal(layer.weight, weight.float().numpy())


@pytest.mark.parametrize("name", ["fc.weight", "mean"])
def test_an_array_that_is_refused_takes_no_memory(tmp_path, name):
    shape = (1, 1 << 29)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with (
        zipfile.ZipFile(tmp_path / "net.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(f"{name}.npy", "w", force_zip64=True) as file,
    ):
        file.write(header.getvalue())
        for _ in range(2048):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(NetworkError, match=name.partition(".")[0]):
            read_network(tmp_path / "net.npz")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"fc.weight": matrix(3, 3), "running_mean": vector(3)}, "'running_mean'"),
        ({"fc.weight": np.zeros((3, 3, 1, 1), np.float32)}, r"'fc'.*\(3, 3, 1, 1\)"),
        ({"fc.weight": matrix(3, 3), "fc.bias": vector(4)}, r"'fc'.*\(4,\)"),
        ({"fc.weight": matrix(3, 3), "out.bias": vector(3)}, "'out' has a bias but no weight"),
        ({"fc.weight": matrix(3, 3), "fc.w": matrix(3, 3)}, "second weight of layer 'fc'"),
        ({"fc1.weight": matrix(3, 5), "fc2.weight": matrix(5, 4)}, "3 outputs.*takes 4"),
        ({"fc.weight": np.full((3, 3), np.nan, np.float32)}, "'fc'.*NaN"),
        ({"fc.weight": np.full((3, 3), 1e300)}, "'fc'.*infinity"),
        ({"fc.weight": np.ones((3, 3), bool)}, "'fc.weight' is (bool|BOOL)"),
        ({"fc.weight": np.ones((0, 3), np.float32)}, r"'fc'.*\(0, 3\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(tmp_path, ending, arrays, message):
    with pytest.raises(NetworkError, match=message):
        read_network(saved(tmp_path / f"net{ending}", arrays))


def test_an_empty_file_has_no_layers(tmp_path):
    with pytest.raises(NetworkError, match="no layers"):
        read_network(saved(tmp_path / "net.npz", {}))


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_damaged_files_are_refused_at_any_length(tmp_path, ending):
    path = saved(tmp_path / f"net{ending}", {"fc.weight": matrix(20, 30), "fc.bias": vector(20)})
    whole = path.read_bytes()
    for length in [0, 1, 7, 8, 60, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(NetworkError, match=f"net{ending}"):
            read_network(path)


def test_flipped_bytes_of_npz_are_noticed(tmp_path):
    path = saved(tmp_path / "net.npz", {"fc.weight": matrix(20, 30)})
    whole = bytearray(path.read_bytes())
    for position in range(40, len(whole) - 200, 97):
        damaged = whole.copy()
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(NetworkError):
            read_network(path)


def test_npz_never_unpickles(tmp_path):
    np.savez(tmp_path / "net.npz", **{"fc.weight": np.array([object()], object)})
    with pytest.raises(NetworkError, match="is object; it must hold real numbers"):
        read_network(tmp_path / "net.npz")


def test_missing_and_unknown_files_are_refused(tmp_path):
    with pytest.raises(NetworkError, match="no such file"):
        read_network(tmp_path / "none.npz")
    (tmp_path / "net.pt").write_bytes(b"x")
    with pytest.raises(NetworkError, match=r"'\.pt'"):
        read_network(tmp_path / "net.pt")


def test_lists_of_other_things_are_refused():
    with pytest.raises(NetworkError, match=r"layer 1 .* ndarray"):
        read_network([Dense(matrix(2, 2)), matrix(2, 2)])
    with pytest.raises(NetworkError, match="int"):
        read_network(3)
    with pytest.raises(NetworkError, match="no layers"):
        read_network([])
    with pytest.raises(NetworkError, match=r"2 outputs.*takes 3"):
        read_network([Dense(matrix(2, 2)), Dense(matrix(2, 3))])


def test_a_single_layer_is_a_network():
    layer = Dense(matrix(2, 2))
    assert read_network(layer) == [layer]


@pytest.mark.parametrize(("module", "ending"), [("safetensors", "safetensors"), ("onnx", "onnx")])
def test_a_missing_package_names_its_extra(tmp_path, monkeypatch, module, ending):
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / f"net.{ending}").write_bytes(b"x")
    with pytest.raises(MissingExtraError, match=rf"eie-pynq\[{module}\]"):
        read_network(tmp_path / f"net.{ending}")
