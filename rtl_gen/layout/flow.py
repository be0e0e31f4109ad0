"""Place and route a block with qflow's tools, and check and time what comes of it.

Netlist to layout: `blifFanout` adds buffers, of the clock too; GrayWolf places; qrouter routes.
Then Magic checks the rules of the layout and extracts its netlist, and OpenSTA reads the wires.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from gscn.errors import InputError
from gscn.rtl_gen.layout.block import Block
from gscn.rtl_gen.layout.parasitics import both_edges
from gscn.rtl_gen.liberty import DEFAULT_LIBERTY
from gscn.system.supervision import run_supervised

TECHNOLOGY = DEFAULT_LIBERTY.parent
"""Cells, their LEF, and rules of Magic, where Debian's `qflow-tech-osu018` puts them."""
NAME = TECHNOLOGY.name
RULES = "SCN6M_SUBM.10.tech"
"""Rules that Magic checks."""
SCRIPTS, PROGRAMS = Path("/usr/lib/qflow/scripts"), Path("/usr/lib/qflow/bin")
"""Where Debian's `qflow` puts its parts."""
PACKAGES = ("qflow", "qflow-tech-osu018", "graywolf", "qrouter", "magic", "opensta", "tcsh")
"""Debian's packages that the flow needs."""

TOP = "block"
"""Name of every block in the flow."""
DENSITY = 0.65
"""Part of the rows that is cells; the rest lets wires through."""
FANOUT = 16
"""Most inputs at one output."""
SEED = 12345
"""Of GrayWolf, as the technology's parameters have it; others place differently."""
_ROUNDS = 20
_SEED = re.compile(r"^(\*random\.seed\s*:\s*)\d+", re.MULTILINE)
_CHANGED = re.compile(r"^Number of gates changed: (\d+)", re.MULTILINE)
_BUFFERS = ("BUFX2", "CLKBUF1")
"""Of nets, and of the clock."""
_ROUTE = f"""\
proc lost {{}} {{
  write_delays {TOP}_route.rc
  set found {{}}
  set file [open {TOP}_route.rc]
  while {{[gets $file line] >= 0}} {{
    set pins [llength [lsort -unique [regexp -all -inline {{[^ ]+/[^ ]+}} $line]]]
    if {{[string match *ERROR* $line] || $pins <= [lindex $line 3]}} {{
      lappend found [lindex $line 0]
    }}
  }}
  close $file
  return $found
}}
set failed [stage1]
for {{set mask 10}} {{$failed > 0 && $mask <= 100}} {{incr mask 10}} {{
  set failed [stage2 mask $mask effort 10]
}}
for {{set effort 20}} {{$failed > 0 && $effort <= 100}} {{incr effort 20}} {{
  set failed [stage2 mask none effort $effort]
}}
cleanup all
for {{set round 0}} {{$round < 5 && [llength [set nets [lost]]] > 0}} {{incr round}} {{
  puts "again: $nets"
  foreach net $nets {{
    if {{[stage3 mask none route $net] > 0}} {{ stage2 mask none effort 50 }}
  }}
  cleanup all
}}
write_def {TOP}_route.def
write_delays {TOP}_route.rc
quit
"""
"""As `qrouter::standard_route`, without its rounds that route every net once more, which take twice
as long as the routing.

A net in which qrouter has gone round in a circle has wires twice, pins that its tree does not have,
and ends of wires that break the rules of layout: these are routed again. Written once, as routes
are gone when they are written."""
_VIOLATIONS = re.compile(r"^violations (\d+)$", re.MULTILINE)

_MAGIC = """\
drc off
lef read {lef}
def read {top}.def
load {top}
drc on
select top cell
expand
drc check
drc catchup
puts stdout "violations [drc list count total]"
extract no all
extract all
ext2spice lvs
ext2spice {top}
quit -noprompt
"""

logger = logging.getLogger(__name__)


class NotRoutedError(InputError):
    """qrouter has ended with an error, as it does now and then: a matter of the placement."""


def missing() -> list[str]:
    """Return what the flow needs and is not there: programs and files."""
    programs = ("tcsh", "graywolf", "qrouter", "magic", "sta")
    files = (
        *(SCRIPTS / "placement.sh", SCRIPTS / "router.sh", PROGRAMS / "blifFanout"),
        *(DEFAULT_LIBERTY, TECHNOLOGY / f"{NAME}_stdcells.lef", TECHNOLOGY / RULES),
    )
    return [name for name in programs if shutil.which(name) is None] + [
        str(path) for path in files if not path.is_file()
    ]


def check_flow() -> None:
    """Raise `InputError`, which says what to install, unless all tools are there."""
    if gone := missing():
        raise InputError(
            f"place and route needs {', '.join(gone)}: install Debian's {', '.join(PACKAGES)}"
        )


def flow_versions() -> dict[str, str]:
    """Return the versions of the tools, as Debian counts them; none where it does not."""
    if shutil.which("dpkg-query") is None:
        return {}
    command = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n", *PACKAGES]
    done = run_supervised(command, cwd=Path.cwd())
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if " " in line.strip())


def call(command: Sequence[str], directory: Path) -> str:
    """Run a tool and return what it wrote.

    Raises
    ------
    InputError
        It ends with an error.
    """
    done = run_supervised(command, cwd=directory)
    if done.returncode != 0:
        last = (done.stdout + done.stderr).strip().rpartition("\n")[2]
        raise InputError(f"{Path(command[0]).name} must end well, but ended with {last!r}")
    return done.stdout + done.stderr


def lay_out(block: Block, directory: Path, density: float = DENSITY, seed: int = SEED) -> None:
    """Buffer, place and route a block.

    Parameters
    ----------
    block
        The block.
    directory
        An empty folder; afterwards `layout/` has the DEF, and the wires' resistances and
        capacitances.
    density
        Part of the rows that is to be cells, above 0 and at most 1.
    seed
        Of the placement.

    Raises
    ------
    NotRoutedError
        The router ends with an error.
    InputError
        A tool is missing, or ends with an error.
    """
    if not 0 < density <= 1:
        raise InputError(f"density must be above 0 and at most 1, not {density}")
    check_flow()
    for folder in ("source", "synthesis", "layout", "log", "technology"):
        (directory / folder).mkdir()
    _write_settings(directory, density, seed)
    _buffer(block, directory / "synthesis")
    arguments = (str(directory), TOP)
    logger.info("placing %d cells", len(block.gates))
    call([str(SCRIPTS / "placement.sh"), "-k", "-d", *arguments], directory)
    logger.info("routing %d cells", len(block.gates))
    try:
        call([str(SCRIPTS / "router.sh"), *arguments], directory)
    except InputError as error:
        raise NotRoutedError(str(error)) from error


def _write_settings(directory: Path, density: float, seed: int) -> None:
    """Write what qflow's scripts take: paths, options, and cells whose wires have two edges."""
    technology = directory / "technology"
    for path in TECHNOLOGY.iterdir():
        if path.is_file():
            shutil.copy(path, technology)
    lef = technology / f"{NAME}_stdcells.lef"
    lef.write_text(both_edges(lef.read_text(encoding="utf-8")), encoding="utf-8")
    parameters = (technology / f"{NAME}.par").read_text(encoding="utf-8")
    (directory / "layout" / f"{TOP}.par").write_text(with_seed(parameters, seed), encoding="utf-8")
    paths = {
        "projectpath": directory,
        "techdir": technology,
        "sourcedir": directory / "source",
        "synthdir": directory / "synthesis",
        "layoutdir": directory / "layout",
        "techname": NAME,
        "scriptdir": SCRIPTS,
        "bindir": PROGRAMS,
        "logdir": directory / "log",
    }
    lines = [f"set {name}={value}" for name, value in paths.items()]
    (directory / "qflow_vars.sh").write_text("\n".join([*lines, ""]), encoding="utf-8")
    (directory / "project_vars.sh").write_text(f"set initial_density={density}\n", encoding="utf-8")
    (directory / "synthesis" / f"{TOP}_powerground").write_text(
        'set vddnet="vdd"\nset gndnet="gnd"\n', encoding="utf-8"
    )
    (directory / "layout" / f"{TOP}.cfg2").write_text(_ROUTE, encoding="utf-8")
    (directory / "log" / "synth.log").touch()


def with_seed(parameters: str, seed: int) -> str:
    """Return GrayWolf's parameters with another seed.

    Raises
    ------
    InputError
        They have none.
    """
    found, count = _SEED.subn(rf"\g<1>{seed}", parameters)
    if count != 1:
        raise InputError(f"parameters of GrayWolf must have one random.seed, not {count}")
    return found


def _buffer(block: Block, directory: Path) -> None:
    """Add buffers where outputs drive more than they should, until nothing is left to be done."""
    before, after = directory / "before.blif", directory / f"{TOP}.blif"
    after.write_text(block.blif(TOP), encoding="utf-8")
    (directory / "power.txt").write_text("gnd\nvdd\n", encoding="utf-8")
    for _ in range(_ROUNDS):
        after.replace(before)
        command = [
            str(PROGRAMS / "blifFanout"),
            *("-F", str(FANOUT), "-l", "100", "-c", "20"),
            *("-I", "power.txt", "-s", "nullstring", "-p", str(DEFAULT_LIBERTY)),
            *("-b", ",".join(_BUFFERS), "-i", "A,A", "-o", "Y,Y"),
            *(before.name, after.name),
        ]
        done = run_supervised(command, cwd=directory)
        # Its status is the number of gates that it has changed.
        changed = _CHANGED.search(done.stdout + done.stderr)
        if changed is None or not after.is_file():
            raise InputError(f"blifFanout must add buffers, but ended with {done.returncode}")
        if changed[1] == "0":
            return
    raise InputError(f"blifFanout must come to an end in {_ROUNDS} rounds")


def check_layout(directory: Path) -> tuple[int, str]:
    """Return how often a routed block violates the rules of layout, and its netlist as SPICE.

    Parameters
    ----------
    directory
        What `lay_out` was given.

    Raises
    ------
    InputError
        Magic is missing or does not do what it should.
    """
    layout, technology = directory / "layout", directory / "technology"
    (layout / "check.tcl").write_text(
        _MAGIC.format(lef=technology / f"{NAME}_stdcells.lef", top=TOP), encoding="utf-8"
    )
    log = call(
        [
            *("magic", "-dnull", "-noconsole", "-rcfile", str(technology / f"{NAME}.magicrc")),
            *("-T", str(technology / RULES), "check.tcl"),
        ],
        layout,
    )
    found = _VIOLATIONS.search(log)
    spice = layout / f"{TOP}.spice"
    if found is None or not spice.is_file():
        raise InputError("Magic must check and extract the layout, which it has not")
    return int(found[1]), spice.read_text(encoding="utf-8")
