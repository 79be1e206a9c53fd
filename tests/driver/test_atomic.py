"""Outputs replace nothing that they must not: no input, no link, no pipe, no device, no mode."""

import os
import stat

import pytest

from eie.atomic import replacing, require_output
from eie.errors import EieError


def write(path, text):
    with replacing(path) as partial:
        partial.write_text(text)


def test_a_link_is_followed_and_stays(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"
    (tmp_path / "dangling").symlink_to("made")
    write(tmp_path / "dangling", "new")
    assert (tmp_path / "dangling").is_symlink() and (tmp_path / "made").read_text() == "new"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_a_file_keeps_its_mode(tmp_path, mode):
    (tmp_path / "f").write_text("old")
    (tmp_path / "f").chmod(mode)
    write(tmp_path / "f", "new")
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == mode and (tmp_path / "f").read_text() == "new"


def test_what_is_no_regular_file_stays_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(os.devnull)
    for name in ("pipe", "folder", "link"):
        for use in (lambda path: write(path, "x"), require_output):
            with pytest.raises(EieError, match=f"{name}: is .*not a regular file"):
                use(tmp_path / name)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode) and stat.S_ISCHR(os.stat(os.devnull).st_mode)
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "folder", "link"}


def test_an_input_is_no_output_under_any_of_its_names(tmp_path):
    (tmp_path / "in").write_text("input")
    (tmp_path / "soft").symlink_to("in")
    os.link(tmp_path / "in", tmp_path / "hard")
    for name in ("in", "soft", "hard", "../" + tmp_path.name + "/in"):
        with pytest.raises(EieError, match="is also the input"):
            require_output(tmp_path / name, None, tmp_path / "in")
    require_output(tmp_path / "other", tmp_path / "in", tmp_path / "missing")


def test_an_ending_is_asked_for(tmp_path):
    with pytest.raises(EieError, match=r"its ending is '\.npz'; it is written as \.eie"):
        require_output(tmp_path / "x.npz", endings=(".eie",))
