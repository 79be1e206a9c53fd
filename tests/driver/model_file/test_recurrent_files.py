"""Recurrent layers in the model file, alone and in graphs: kept to the bit; what is none is refused."""

from dataclasses import replace

import numpy as np
import pytest

import eie
from eie.cli import main
from eie.errors import ModelFileError, PackError
from eie.model_file.container import describe, load_chain
from eie.model_file.fields import Writer
from eie.network.cells import CELLS
from tests.driver.model_file.forging import forge
from tests.driver.network.test_recurrent import floats

pytestmark = pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")


def model_of(kind, seed=0):
    rng = np.random.default_rng(seed)
    x = 100 * rng.standard_normal((2, 8, 6)).astype(np.float32)
    model = eie.compress(floats(kind, 6, 10, rng, size=0.1).layer, 0.5, x, name="keeps", terms=2)
    return eie.RecurrentModel(kind, model.layers, model.input_fraction_bits, model.name, model.metadata), x


@pytest.mark.parametrize("huffman", [True, False])
@pytest.mark.parametrize("kind", CELLS)
def test_a_file_keeps_a_recurrent_layer(kind, huffman, tmp_path):
    model, x = model_of(kind)
    assert eie.save(model, tmp_path / "r.eie", huffman) == (tmp_path / "r.eie").stat().st_size
    loaded = eie.load(tmp_path / "r.eie")
    assert loaded == model and hash(loaded) == hash(model)
    assert loaded.metadata["compression"]["density"] == 0.5
    assert loaded != eie.RecurrentModel(kind, model.layers, model.input_fraction_bits + 1, "keeps", model.metadata)
    described = describe(tmp_path / "r.eie")
    assert (described["version"], described["cell"]) == (5, kind)
    assert described["input_fraction_bits"] == model.input_fraction_bits < 10, "inputs up to some hundred"
    with eie.Accelerator("emulated") as accelerator:
        accelerator.load(tmp_path / "r.eie")
        y = accelerator.run(x, verify=True)
        assert np.array_equal(y, accelerator.run(x, model=model))


def test_what_takes_chains_says_that_it_is_none(tmp_path):
    eie.save(model_of("gru")[0], tmp_path / "r.eie")
    with pytest.raises(ModelFileError, match="holds a recurrent layer, which this does not take"):
        load_chain(tmp_path / "r.eie")


def test_cells_that_are_none_and_gates_that_do_not_fit_are_refused(tmp_path):
    model, _ = model_of("lstm")
    path = tmp_path / "r.eie"
    eie.save(model, path)
    body = path.read_bytes()[13:]
    end = len(cell_text("lstm")) + len(number(model.input_fraction_bits))
    for text, match in (("rnn", "'rnn' of a recurrent model is not one of"), ("gru", "gate 'n' has")):
        forge(path, body[:-end] + cell_text(text) + number(model.input_fraction_bits), version=5)
        with pytest.raises(ModelFileError, match=match):
            eie.load(path)
    forge(path, body[:-end] + cell_text("lstm") + b"\xff\x0f", version=5)
    with pytest.raises(ModelFileError, match="input fraction bits is 2047"):
        eie.load(path)
    swapped = (*model.layers[1:], model.layers[0])
    with pytest.raises(eie.EieError, match="gate 'f' has"):
        eie.RecurrentModel("lstm", swapped)
    narrow = replace(model.layers[0], output_fraction_bits=5)
    with pytest.raises(eie.EieError, match="gate 'i' has"):
        eie.RecurrentModel("lstm", (narrow, *model.layers[1:]))


def cell_text(text):
    body = Writer()
    body.text("cell", text)
    return bytes(body.data)


def number(bits):
    body = Writer()
    body.number("bits", bits << 1 if bits >= 0 else (-bits << 1) - 1, 1 << 20)
    return bytes(body.data)


def test_the_commands_take_a_recurrent_layer(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model, x = model_of("gru, reset before")
    eie.save(model, "r.eie")
    np.save("x.npy", x)
    np.save("one.npy", x[0])
    np.save("flat.npy", x[0, 0])
    assert main(["info", "r.eie"]) == 0
    shown = capsys.readouterr().out
    assert "recurrent layer, gru, reset before: 6 inputs, 10 outputs a time step" in shown
    assert "bytes a time step" in shown and "gru/n" in shown
    assert main(["run", "r.eie", "x.npy", "--verify", "-o", "y.npy"]) == 0
    assert "16 time steps" in capsys.readouterr().out
    assert np.array_equal(np.load("y.npy").shape, (2, 8, 10))
    assert main(["run", "r.eie", "one.npy", "-o", "y1.npy"]) == 0
    assert np.array_equal(np.load("y1.npy"), np.load("y.npy")[0])
    assert main(["verify", "r.eie", "--inputs", "3"]) == 0
    assert "every result of the array equals the integer reference" in capsys.readouterr().out
    assert main(["verify", "r.eie", "--inputs", "x.npy"]) == 0
    assert main(["estimate", "r.eie", "--data", "one.npy"]) == 0
    assert "Cycles a time step in a batch of 8, in 1 transfer" in capsys.readouterr().out
    for wrong, text in (
        (["run", "r.eie", "flat.npy"], "takes (T, 6) or (B, T, 6)"),
        (["run", "r.eie", "x.npy", "--raw"], "leave --raw out"),
        (["inspect", "r.eie"], "eie info shows its layers"),
    ):
        assert main(wrong) == 2
        assert text in capsys.readouterr().err


def test_the_reference_takes_one_sequence_or_several():
    model, _ = model_of("lstm")
    x = np.random.default_rng(1).integers(-999, 999, (2, 5, 6)).astype(np.int16)
    both = eie.reference(model, x)
    assert both.shape == (2, 5, 10) and both.dtype == np.int16
    assert np.array_equal(eie.reference(model, x[1]), both[1])
    with pytest.raises(PackError, match="raw activations are float64"):
        eie.reference(model, x.astype(float))
