"""`eie-hw` fails with a line that says why."""

from eie_hw.cli import main


def test_a_place_that_cannot_be_written_is_an_error_of_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("no folder")
    assert main(["convert", "-o", str(tmp_path / "file" / "below")]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("eie-hw: ") and errors.count("\n") == 1
