"""Which Vivado builds an overlay: found, of which release, believed when."""

import pytest
from tests.hw.overlay_bench import LEFT, names, needs_tclsh, run_shell

from eie.boards.board import board
from eie_hw.overlay.build import Plan, build
from eie_hw.overlay.vivado import VivadoError, find_vivado, release

pytestmark = needs_tclsh


def test_an_older_vivado_is_refused_before_anything_is_written(command, vivado, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STUB_VERSION", "2021.2")
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--vivado", str(vivado)]) == 1
    assert "is Vivado 2021.2; PYNQ-Z2 needs 2022.1 or newer" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_script_itself_refuses_an_older_vivado(prepared, vivado):
    run = run_shell(prepared, vivado, STUB_VERSION="2021.2")
    assert run.returncode == 1
    assert "this is Vivado 2021.2; it must be 2022.1 or newer" in run.stdout
    assert names(prepared) == LEFT | {"reports.zip", "vivado.log"}


@pytest.mark.parametrize("version", ["2022.2", "2024.1.2", "2025.2"])
def test_a_newer_vivado_builds_with_a_warning(command, vivado, tmp_path, monkeypatch, capsys, version):
    monkeypatch.setenv("STUB_VERSION", version)
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--vivado", str(vivado)]) == 0
    assert f"warning: Vivado {version} is newer than 2022.1" in capsys.readouterr().err
    assert f"WARNING: this is Vivado {version}" in (tmp_path / "out" / "vivado.log").read_text()


def test_a_vivado_is_found_on_path_or_in_its_directory(vivado, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", f"{vivado.parent}:/usr/bin:/bin")
    assert find_vivado().version == "2022.1"
    assert find_vivado(str(tmp_path)).executable == vivado
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert find_vivado() is None


def test_a_vivado_given_by_a_relative_path_runs(command, vivado, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command(["--board", "pynq-z2", "-o", "out", "--vivado", "bin/vivado"]) == 0


@pytest.mark.parametrize("path", ["nothing", "plain", "."])
def test_a_path_without_a_vivado_is_refused(tmp_path, path):
    (tmp_path / "plain").write_text("no executable")
    with pytest.raises(VivadoError, match="neither an executable nor a directory"):
        find_vivado(str(tmp_path / path))


def test_an_executable_that_is_no_vivado_is_refused():
    with pytest.raises(VivadoError, match="does not tell a version"):
        find_vivado("/bin/true")


@pytest.mark.parametrize(("text", "expected"), [("2022.1", (2022, 1)), ("v2024.1.2 (64-bit)", (2024, 1))])
def test_a_release_is_year_and_number(text, expected):
    assert release(text) == expected
    assert release("2024.1") < release("2024.2") < release("2025.1")


def test_a_vivado_that_claims_success_without_results_is_not_believed(prepared, tmp_path):
    liar = tmp_path / "liar"
    liar.write_text('#!/bin/sh\necho "vivado v2022.1"\n')
    liar.chmod(0o755)
    with pytest.raises(VivadoError, match=r"reports success, but there is no .*eie-pynq-z2\.bit"):
        build(Plan(board("pynq-z2"), prepared, find_vivado(str(liar))))


def test_building_without_a_vivado_is_refused_with_the_command_for_another_machine(prepared):
    with pytest.raises(VivadoError, match=r"there is no Vivado; on a machine that has one: python .*build\.py"):
        build(Plan(board("pynq-z2"), prepared))
