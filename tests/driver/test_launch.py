"""Ctrl-C at a command, whenever it comes: one line, exit code 130, no traceback; what it prints goes through."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

import eie

SHIPPED = Path(eie.data.__path__[0]) / "lenet-300-100.eie"
SETUP = Path(__file__).parents[2] / "setup.py"

# Ends with a signal to itself at the n-th import of a module, as Ctrl-C during the imports; 0 is behind them all.
PROGRAM = """
import builtins, os, signal, sys
at, imports = int(sys.argv.pop(1)), builtins.__import__

def counted(name, *arguments, **options):
    global at
    at -= 1
    if at == 0:
        os.kill(os.getpid(), signal.SIGINT)
    return imports(name, *arguments, **options)

from {module} import main
builtins.__import__ = counted
sys.exit(main())
"""


def heed_interrupts():
    """The tests may run in the background, where they are ignored, and so in what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(arguments, **options):
    command = [sys.executable, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, preexec_fn=heed_interrupts, **options)
    return result.returncode, result.stderr


@pytest.mark.parametrize(("module", "name"), [("eie.__main__", "eie"), ("eie_hw.__main__", "eie-hw")])
@pytest.mark.parametrize("at", [1, 2, 7, 40, 400])
def test_an_interrupt_at_any_import_ends_the_command(module, name, at):
    status, errors = run(["-c", PROGRAM.format(module=module), str(at), "--help"])
    assert (status, errors) == (130, f"{name}: interrupted\n")


@pytest.mark.parametrize("package", ["eie", "eie_hw"])
def test_an_interrupt_from_outside_ends_the_command_in_its_imports(package, tmp_path):
    """At the first import of numpy, which comes long before its last, until the process has ended, again and again."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "numpy.py").write_text(f"open({str(fifo)!r}, 'w').close()\nimport time\ntime.sleep(50)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", package, "--version" if package == "eie" else "--help"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    fifo.open().close()  # waits until the import has come there
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    name = package.replace("_", "-")
    assert (process.returncode, process.stderr.read()) == (130, f"{name}: interrupted\n")


BEHIND = """
import eie.cli, os, signal, sys, eie.__main__

def interrupted(*_):
    os.kill(os.getpid(), signal.SIGINT)

if sys.argv.pop(1) == "in the command":
    eie.cli.info.add_parser = interrupted
else:
    import atexit
    atexit.register(interrupted)
sys.argv[1:] = ["info", sys.argv[1]]
sys.exit(eie.__main__.main())
"""


@pytest.mark.parametrize("when", ["in the command", "at the end"])
def test_an_interrupt_behind_the_imports_ends_the_command(when):
    assert run(["-c", BEHIND, when, str(SHIPPED)]) == (130, "eie: interrupted\n")


def test_where_interrupts_are_ignored_they_stay_so():
    """As of a job that a script runs in the background."""
    ignored = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    status, errors = run(["-c", ignored + PROGRAM.format(module="eie.__main__"), "40", "--help"])
    assert (status, errors) == (0, "")


def shipped_as(name, folder):
    shutil.copy(SHIPPED, folder / name)
    return ["-m", "eie", "info", str(folder / name)]


def test_what_an_encoding_lacks_is_printed_escaped(tmp_path):
    command = [sys.executable, *shipped_as("größe.eie", tmp_path)]
    result = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (result.returncode, result.stderr) == (0, b"") and rb"gr\xf6\xdfe.eie" in result.stdout


@pytest.mark.parametrize("closed", ["1", "2", "1 2"])
def test_a_closed_stream_is_no_error(closed, tmp_path):
    close = "import os, sys\nfor fd in sys.argv.pop(1).split(): os.close(int(fd))\n"
    go_on = "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    arguments = ["-c", close + go_on, closed]
    assert run([*arguments, *shipped_as("a.eie", tmp_path)])[0] == 0
    assert run([*arguments, "-m", "eie", "info", str(tmp_path / "none.eie")])[0] == 2


def test_the_commands_are_installed_with_it():
    declared = re.search(r'"console_scripts": \[(.*)\]', SETUP.read_text(encoding="utf-8"))[1]
    assert declared == '"eie = eie.__main__:main", "eie-hw = eie_hw.__main__:main"'


def test_the_package_itself_imports_nothing_but_what_is_asked_for():
    program = "import sys, eie\nassert 'numpy' not in sys.modules\nprint(*(m for m in sys.modules if m[:4] == 'eie.'))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


@pytest.mark.parametrize("name", eie.__all__)
def test_each_name_of_the_package_is_there(name):
    assert name in dir(eie)
    if name != "PynqDevice":  # needs pynq
        assert getattr(eie, name).__name__ == name


def test_modules_of_the_package_are_there_and_others_are_not():
    assert eie.network.scaling.Scaling is eie.Scaling
    assert eie.__version__ == metadata.version("eie-pynq")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = eie.nothing
