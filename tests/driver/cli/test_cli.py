"""The command line: what it computes, what it prints, and how it refuses."""

import io
import re
import subprocess
import sys

import numpy as np
import pytest

import eie
from eie.cli import main, run, verify
from eie.cli.common import read_array
from eie.contract import isa
from eie.contract.fixed_point import quantise
from eie.devices.choice import device_by_name
from eie.errors import DeviceError, MissingExtraError, PackError
from tests.driver.cli.commands import run_json


def test_info_tells_how_the_model_lies_on_the_array_asked_for(folder, capsys):
    result = run_json(capsys, "info", "net.eie", "--pes", 4, "--index-bits", 3, "--no-first-row")
    config = eie.ArrayConfig(num_pes=4, index_bits=3, first_row=False)
    packed = eie.pack(eie.load("net.eie"), config)
    assert result["array"] == config.to_dict()
    assert result["packed"]["resident"] and result["packed"]["weights_bytes"] == packed.weights.nbytes
    assert result["packed"]["tiles"] == [sum(len(row.tiles) for row in rows) for rows in packed.row_tiles]
    assert result["bytes"] == (folder / "net.eie").stat().st_size
    assert main(["info", "net.eie"]) == 0
    assert "resident" in capsys.readouterr().out


def test_a_model_too_large_for_the_array_is_said_to_travel(folder, capsys):
    small = ["--pes", "1", "--entries", "16", "--pointers", "8", "--rows", "4", "--activations", "16"]
    result = run_json(capsys, "info", "net.eie", *small)
    assert not result["packed"]["resident"] and max(result["packed"]["tiles"]) > 1
    assert main(["info", "net.eie", *small]) == 0
    assert "travel with every inference" in capsys.readouterr().out


@pytest.mark.parametrize("layers", [3, [], [1, 2], [{}, {"weight_sqnr_db": "high"}], {"a": 1}])
def test_metadata_of_any_content_can_be_shown(folder, capsys, layers):
    for metadata in ({"compression": {"layers": layers}}, {"compression": layers}):
        eie.save(eie.Model(eie.load("net.eie").layers, "odd", metadata), "odd.eie")
        assert run_json(capsys, "info", "odd.eie")["report"][0]["weight_sqnr_db"] is None
        assert main(["info", "odd.eie"]) == 0
        assert "'odd'" in capsys.readouterr().out


def test_the_paper_array_may_be_varied(folder, capsys):
    result = run_json(capsys, "info", "net.eie", "--paper", "--queue", 16)
    assert result["array"] == {**eie.ArrayConfig.paper().to_dict(), "queue_depth": 16}


def test_run_writes_the_outputs_of_the_reference(folder, capsys):
    result = run_json(capsys, "run", "net.eie", "x.npy", "-o", "y.npy", "--verify", "--pes", 8)
    model = eie.load("net.eie")
    raw = quantise(np.load("x.npy"), model.input_fraction_bits)
    expected = eie.reference(model, raw)
    assert np.array_equal(np.load("y.npy"), np.ldexp(expected.astype(np.float32), -model.output_fraction_bits))
    assert result["inputs"] == result["verified"] == 9
    assert sum(result["counters"]["work"]) > 0 and len(result["counters"]["work"]) == 8

    np.save("raw.npy", raw)
    run_json(capsys, "run", "net.eie", "raw.npy", "--raw", "-o", "y.npy")
    assert np.load("y.npy").dtype == np.int16 and np.array_equal(np.load("y.npy"), expected)


def test_one_vector_in_gives_one_vector_out(folder, capsys):
    np.savez("x1.npz", anything=np.load("x.npy")[3])
    run_json(capsys, "run", "net.eie", "x1.npz", "-o", "y1.npy")
    run_json(capsys, "run", "net.eie", "x.npy", "-o", "y.npy")
    assert np.load("y1.npy").shape == (7,) and np.array_equal(np.load("y1.npy"), np.load("y.npy")[3])


def test_a_batch_run_in_steps_equals_the_batch_run_at_once(folder, capsys, monkeypatch):
    run_json(capsys, "run", "net.eie", "x.npy", "-o", "y.npy")
    monkeypatch.setitem(run.STEPS, "emulated", 2)
    stepped = run_json(capsys, "run", "net.eie", "x.npy", "-o", "stepped.npy")
    assert np.array_equal(np.load("stepped.npy"), np.load("y.npy")) and stepped["inputs"] == 9


def test_verify_compares_the_network_and_each_layer(folder, capsys):
    result = run_json(capsys, "verify", "net.eie", "--inputs", 12, "--pes", 4)
    assert [check["outputs"] for check in result["checks"]] == [12 * 7, 12 * 20, 12 * 7]
    result = run_json(capsys, "verify", "net.eie", "--inputs", "x.npy")
    assert [check["inputs"] for check in result["checks"]] == [9, 9, 9]
    assert main(["verify", "net.eie"]) == 0
    assert capsys.readouterr().out.count("all equal") == 3


def test_random_inputs_hold_the_extremes_and_many_zeros():
    a = verify.random_activations(20, 100, np.random.default_rng(1))
    assert a.dtype == np.int16 and not a[0].any()
    assert (a[1] == 32767).all() and (a[2] == -32768).all() and set(a[3]) == {32767, -32768}
    assert np.count_nonzero(a[4]) == 1
    shares = np.count_nonzero(a[5:], axis=1) / 100
    assert shares.min() < 0.2 and shares.max() > 0.9
    assert verify.random_activations(2, 3, np.random.default_rng(1)).shape == (2, 3)


class _Faulty(eie.EmulatedDevice):
    """Has one bit wrong in every shared weight."""

    def step(self, decoded, payload, state):
        super().step(decoded, payload, state)
        if decoded.instruction is isa.CODEBOOK:
            self.machine.codebooks[decoded.values["slot"], 1:] ^= 1 << 10


@pytest.mark.parametrize("command", [["verify", "net.eie"], ["run", "net.eie", "x.npy", "-o", "y.npy", "--verify"]])
def test_a_device_that_errs_is_found_out(folder, capsys, monkeypatch, command):
    for module in (verify, run):
        monkeypatch.setattr(module, "device_by_name", lambda name, config: _Faulty(config))
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert out == "" and re.search(r"layer [01], row \d+ \(PE \d+.* the reference", err)
    assert not (folder / "y.npy").exists()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("compress missing.npz -o out.eie", "no such file"),
        ("compress net.npz -o nowhere/out.eie", "there is no folder"),
        ("compress net.npz -o out.eie --density 1.5", "density"),
        ("compress net.npz -o out.eie --density 0.1,0.2,0.3", "3 values for 2 layers"),
        ("compress net.npz -o out.eie --density fc1=0.1,fc3=0.2", "'fc1', 'fc3'; the network has 'fc1', 'fc2'"),
        ("compress net.npz -o out.eie --terms fc3=2", "terms names 'fc3'"),
        ("compress net.npz -o out.eie --headroom 0.5", "headroom"),
        ("compress net.npz -o out.eie --calibration net.npz", "exactly one is needed"),
        ("compress net.npz -o out.eie --pes 3", "power of two"),
        ("info missing.eie", "cannot be read"),
        ("info net.npz", "not an EIE model"),
        ("run net.eie missing.npy", "cannot be read"),
        ("run net.eie net.eie", "inputs are read from .npy and .npz"),
        ("run net.eie short.npy", "(at least 1, 30)"),
        ("run net.eie empty.npy", "(at least 1, 30)"),
        ("run net.eie words.npy", "real numbers"),
        ("run net.eie objects.npy", "not a readable numpy file"),
        ("run net.eie huge.npy", "not a readable numpy file"),
        ("run net.eie x.npy --raw", "must be int16"),
        ("run net.eie nan.npy", "NaN"),
        ("run net.eie x.npy -o y.txt", ".npy"),
        ("run net.eie x.npy -o nowhere/y.npy", "there is no folder"),
        ("verify net.eie --inputs 0", "at least 1"),
        ("verify net.eie --inputs -5", "at least 1"),
        ("verify net.eie --inputs missing.npy", "cannot be read"),
        ("verify net.eie --seed -1", "seed"),
        ("demo --images 0", "1 to 10000"),
        ("demo -o net.npz/out --images 1", "cannot be created"),
    ],
)
def test_a_refusal_is_one_line_on_stderr_and_exit_code_2(folder, capsys, command, says):
    np.save("short.npy", np.zeros((2, 29)))
    np.save("empty.npy", np.zeros((0, 30)))
    np.save("words.npy", np.array([["a"] * 30]))
    np.save("objects.npy", np.array([[None] * 30]), allow_pickle=True)
    np.save("nan.npy", np.full((1, 30), np.nan))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 30)})
    (folder / "huge.npy").write_bytes(header.getvalue())
    before = set(folder.iterdir())
    assert main(command.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("eie: error: ") and err.count("\n") == 1 and says in err
    assert set(folder.iterdir()) == before


def test_what_fails_leaves_an_older_file_as_it_was(folder, capsys, monkeypatch):
    (folder / "y.npy").write_bytes(b"old")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run.np, "save", full)
    assert main(["run", "net.eie", "x.npy", "-o", "y.npy"]) == 2
    assert "y.npy: cannot be written (No space left on device)" in capsys.readouterr().err
    assert (folder / "y.npy").read_bytes() == b"old" and not list(folder.glob(".*"))


def test_progress_shows_on_a_terminal_only(folder, capsys, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main(["compress", "net.npz", "-o", "out.eie"]) == 0
    shown = terminal.getvalue()
    assert "layer 2 of 2 (fc2): sharing weights" in shown
    assert shown.endswith("\r\x1b[K") and "\n" not in shown  # the line is cleared at the end


def test_the_module_runs_as_the_command_does():
    found = subprocess.run([sys.executable, "-m", "eie", "--version"], capture_output=True, text=True, check=True)
    assert found.stdout == f"eie {eie.__version__}\n"


def test_a_closed_pipe_is_no_error(folder):
    command = f"{sys.executable} -m eie info net.eie --json | head -1"
    found = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert found.stdout == "{\n" and found.stderr == ""


def test_an_npz_of_one_array_needs_no_name(tmp_path):
    np.savez(tmp_path / "one.npz", np.arange(3))
    assert read_array(tmp_path / "one.npz").tolist() == [0, 1, 2]
    np.savez(tmp_path / "none.npz")
    with pytest.raises(PackError, match="holds arrays none"):
        read_array(tmp_path / "none.npz")


# Devices by name.


def test_a_device_has_the_array_asked_for():
    config = eie.ArrayConfig(num_pes=2)
    device = device_by_name("emulated", config)
    assert isinstance(device, eie.EmulatedDevice) and device.config is config
    with pytest.raises(DeviceError, match='there is no device \'gpu\'; "emulated" and "rtl" are known'):
        device_by_name("gpu")


def test_the_rtl_device_without_its_packages_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "eie.devices.rtl.device", None)
    with pytest.raises(MissingExtraError, match=r"eie-pynq\[hardware\]"):
        device_by_name("rtl")
