"""Every source has a test file of its name in the same room of tests/, or a reason."""

from __future__ import annotations

import functools
from pathlib import Path

from tests.test_structure import ROOT, imports, module_of, sources

PASSES = "a launch needs all of it: results are compared with torch's, whatever the layer"
INPUT = "cycles/cluster/test_cluster_input.py"
EVERY_CYCLE = "what it does is seen in every cycle there, and equals the hardware"
TIME = "its cycles are part of counters that equal the Verilog's, list by list"
UNIT_TIME = "cycles and bytes of whole passes equal the Verilog's there"
PROOFS = "every claim of its checker holds there, and fails on a planted fault"
RIVALS = "its cycles are held to publications and public simulators there"
READERS = "all that it reads is compared with the emulator's walk there"
OUTPUTS = "all bytes that a pass writes are compared there"
LANES = "every result of a lane is compared with the emulator's there"
WHOLE = "every output of whole passes is compared with the emulator's there"
NETWORK = "its parameters, products and layers are compared with published ones there"
LISTS = "every kind of record is run, waited for and found bad there"
STEPS = "every tensor, strip and state of whole steps is compared there"
RECORDS = "records and states go through it there, at several widths of ports"
PROGRAM = "its errors and all that it sends are compared with the emulator's checks there"
COVERED_BY = {
    "benchmarks/coverage_waivers.py": ("benchmarks/test_coverage.py", "waivers match points there"),
    "benchmarks/coverage_machine.py": ("benchmarks/test_coverage.py", "waivers match points there"),
    "gscn/version.py": ("rtl_gen/test_heading.py", "what is generated names it there"),
    "rtl_gen/modules.py": ("rtl_gen/test_internal_ports.py", "modules are told apart by it there"),
    "rtl_gen/interfaces.py": ("rtl_gen/test_heading.py", "every port is listed by interface there"),
    "gscn/counters.py": ("cosim/test_counters.py", "each counter by its name is there"),
    "gscn/register.py": ("gscn/test_registers.py", "every register is one, in both maps there"),
    "gscn/list_registers.py": ("gscn/test_registers.py", "offsets and bits of each are there"),
    "hw/cluster/results.py": ("hw/cluster/test_summing.py", "sums become results there"),
    "hw/cluster/walk.py": ("hw/cluster/test_summing.py", "every tile is walked there"),
    "hw/cluster/worker_cluster.py": ("cosim/test_launch.py", "it only joins its parts"),
    "hw/dense/dense_pe.py": ("hw/dense/test_dense_array.py", "every sum of its array is there"),
    "hw/dense/layouts.py": ("hw/dense/test_dense_array.py", "both are driven and read there"),
    "hw/ram.py": ("rtl_gen/test_rams.py", "its module is compared with what takes its place there"),
    "hw/encode/lane.py": ("hw/encode/test_combiner.py", LANES),
    "hw/encode/lane_rounding.py": ("hw/encode/test_combiner.py", LANES),
    "hw/encode/lane_top.py": ("hw/encode/test_combiner.py", LANES),
    "hw/encode/dense_writer.py": ("hw/encode/test_outputs.py", OUTPUTS),
    "hw/encode/line_gatherer.py": ("hw/encode/test_outputs.py", OUTPUTS),
    "hw/encode/line_writer.py": ("hw/encode/test_outputs.py", OUTPUTS),
    "hw/encode/run_writer.py": ("hw/encode/test_outputs.py", OUTPUTS),
    "hw/encode/strip_writer.py": ("hw/encode/test_outputs.py", OUTPUTS),
    "hw/encode/layouts.py": ("hw/encode/test_combiner.py", "coefficients are taken apart there"),
    "hw/encode/integer_lane.py": ("hw/encode/test_integer_lanes.py", WHOLE),
    "hw/encode/integer_combiner.py": ("hw/encode/test_integer_lanes.py", WHOLE),
    "hw/encode/integer_judge.py": ("hw/encode/test_integer_lanes.py", WHOLE),
    "hw/encode/integer_sums.py": ("hw/encode/test_integer_lanes.py", WHOLE),
    "hw/encode/integer_reader.py": ("hw/encode/test_inputs.py", READERS),
    "hw/encode/integer_writer.py": ("hw/encode/test_outputs.py", OUTPUTS),
    "hw/encode/lane_outputs.py": ("hw/encode/test_lanes.py", WHOLE),
    "hw/encode/maxima.py": ("hw/encode/test_lanes.py", WHOLE),
    "hw/encode/segment_sums.py": ("hw/encode/test_lanes.py", WHOLE),
    "hw/encode/segments.py": ("hw/encode/test_lanes.py", WHOLE),
    "hw/encode/sum_rounding.py": ("hw/encode/test_lanes.py", WHOLE),
    "hw/encode/tally.py": ("hw/encode/test_lanes.py", WHOLE),
    "hw/encode/loop_walk.py": ("hw/encode/test_walk_addresses.py", "every vector is reached there"),
    "hw/encode/line_reader.py": ("hw/encode/test_inputs.py", READERS),
    "hw/encode/mask_reader.py": ("hw/encode/test_inputs.py", READERS),
    "hw/encode/record.py": ("hw/encode/test_front.py", RECORDS),
    "hw/encode/record_checks.py": ("hw/encode/test_record_machine.py", PROGRAM),
    "hw/encode/record_code.py": ("hw/encode/test_record_machine.py", PROGRAM),
    "hw/encode/record_pairs.py": ("hw/encode/test_record_machine.py", PROGRAM),
    "hw/encode/record_program.py": ("hw/encode/test_record_machine.py", PROGRAM),
    "hw/encode/record_ranges.py": ("hw/encode/test_record_machine.py", PROGRAM),
    "hw/encode/rows.py": ("hw/encode/test_inputs.py", READERS),
    "hw/encode/tensor_reader.py": ("hw/encode/test_inputs.py", READERS),
    "hw/checks.py": ("hw/core/test_pass_checker.py", "bad addresses are there"),
    "hw/core/array.py": ("cosim/test_launch.py", "it only joins its parts"),
    "hw/core/field_checks.py": ("hw/core/test_pass_checker.py", "errors of both kinds are there"),
    "hw/core/gangs.py": ("hw/core/test_cutter.py", "whose state it is"),
    "hw/core/control_runner.py": ("hw/core/test_list_sequencer.py", LISTS),
    "hw/core/list_queue.py": ("hw/core/test_list_sequencer.py", LISTS),
    "hw/core/list_walk.py": ("hw/core/test_list_sequencer.py", LISTS),
    "hw/core/tiles.py": ("hw/core/test_cutter.py", "every tile becomes jobs there"),
    "driver/sources.py": ("driver/test_image.py", "all that it writes is compiled and run there"),
    "driver/list_image.py": ("driver/test_image.py", "lists are run wherever they lie there"),
    "command/image.py": ("driver/test_image.py", "what it writes is run there"),
    "soc/compiling.py": ("soc/test_run.py", "its words are read, and run, there"),
    "soc/step_files.py": ("soc/test_step_image.py", "every byte and access is read there"),
    "soc/hardware.py": ("soc/test_run.py", "firmware reaches all of it there"),
    "soc/simulated.py": ("soc/test_run.py", "it is built and run there"),
    "rtl_gen/array_verilog.py": ("cosim/test_launch.py", "its Verilog is simulated there"),
    "golden/training/progress.py": ("golden/training/test_training.py", "what each step says"),
    "gscn/graph.py": ("golden/networks/test_tracing.py", "nodes of each kind are there"),
    "gscn/pass_errors.py": ("hw/core/test_pass_checker.py", "codes are compared there"),
    "gscn/passes.py": ("hw/core/test_pass_checker.py", "every field is changed there"),
    "system/errors.py": ("command/test_main.py", "statuses of each error are there"),
    "system/pickled.py": ("golden/data/test_cifar.py", "damaged and hostile pickles are there"),
    "system/supervisor.py": ("system/test_supervision.py", "it is the other half of supervision"),
    "gscn/__main__.py": ("command/test_main.py", "it only runs `gscn.command`"),
    "gscn/errors.py": ("command/test_main.py", "it only names `system.errors`"),
    "gscn/port.py": ("rtl_gen/test_packaging.py", "names of one and of several ports are there"),
    "hw/input_layouts.py": ("hw/cluster/test_vectors.py", "items are taken apart there"),
    "hw/cluster/placer.py": ("hw/cluster/test_streamer.py", "each word and mark is compared there"),
    "gscn/operands.py": ("lowering/test_pass_image.py", "what it refuses is there as well"),
    "emulator/arithmetic.py": ("emulator/test_passes.py", "sums are compared with a law there"),
    "emulator/pass_pieces.py": ("emulator/test_passes.py", "strips of every format are read there"),
    "emulator/pass_sums.py": ("emulator/test_passes.py", "sums are compared with the law there"),
    "emulator/pass_words.py": ("emulator/test_passes.py", "words of both modes are run there"),
    "emulator/encode_arithmetic.py": ("emulator/test_encode.py", "values equal the oracle's there"),
    "emulator/encode_checks.py": ("emulator/test_encode.py", "each code has its bad fields there"),
    "emulator/encode_walk.py": ("emulator/test_encode.py", "walks equal the law's there"),
    "benchmarks/encode_layers.py": (
        "benchmarks/test_encode_cost.py",
        "its layers are there",
    ),
    "emulator/list_records.py": ("emulator/test_lists.py", "records of each kind are there"),
    "gscn/step.py": ("golden/oracle/test_step.py", STEPS),
    "cosim/step_differences.py": (
        "command/test_whole_step.py",
        "a wrong weight is named there, and right ones are not",
    ),
    "golden/training/whole_training.py": (
        "command/test_whole_step.py",
        "options, batches, and what goes back to torch are there",
    ),
    "golden/oracle/step_host.py": ("golden/oracle/test_step.py", STEPS),
    "golden/oracle/step_values.py": ("golden/oracle/test_step.py", STEPS),
    "golden/oracle/step_windows.py": ("lowering/step/test_pools.py", "they equal torch's there"),
    "lowering/step/convolutions.py": ("golden/oracle/test_step.py", STEPS),
    "lowering/step/host.py": ("golden/oracle/test_step.py", STEPS),
    "lowering/step/layers.py": ("lowering/step/test_network.py", "each kind of layer is there"),
    "lowering/step/lists.py": ("golden/oracle/test_step.py", STEPS),
    "lowering/step/masks.py": ("golden/oracle/test_step.py", STEPS),
    "lowering/step/memory.py": ("golden/oracle/test_step.py", STEPS),
    "lowering/step/names.py": ("lowering/step/test_network.py", "what operations name is there"),
    "lowering/step/order.py": ("emulator/test_lists.py", "no wait can be left out there"),
    "lowering/step/plans.py": ("golden/oracle/test_step.py", STEPS),
    "lowering/step/records.py": ("golden/oracle/test_step.py", STEPS),
    "lowering/step/streams.py": ("golden/oracle/test_step.py", STEPS),
    "cycles/state.py": ("cycles/test_passes.py", "it only lays state out"),
    "cycles/descriptors.py": ("cycles/cluster/test_cluster_input.py", "passes and jobs are there"),
    "cycles/cluster/dealer.py": (INPUT, EVERY_CYCLE),
    "cycles/cluster/jobs.py": (INPUT, EVERY_CYCLE),
    "cycles/cluster/marks.py": (INPUT, EVERY_CYCLE),
    "cycles/cluster/offsets.py": (INPUT, EVERY_CYCLE),
    "cycles/cluster/placer.py": (INPUT, EVERY_CYCLE),
    "cycles/cluster/portions.py": (INPUT, EVERY_CYCLE),
    "cycles/cluster/streamer.py": (INPUT, EVERY_CYCLE),
    "cycles/cluster/strip_walk.py": (INPUT, EVERY_CYCLE),
    "cycles/cluster/vectors.py": (INPUT, EVERY_CYCLE),
    "cycles/cluster/window.py": (INPUT, EVERY_CYCLE),
    **{
        f"cycles/encode/{name}.py": ("cycles/encode/test_unit.py", UNIT_TIME)
        for name in (
            "fields",
            "gatherer",
            "lanes",
            "line_writer",
            "new_unit",
            "packer",
            "pipeline",
            "queues",
            "readers",
            "segments",
            "state",
            "strip_reader",
            "transposer",
            "walk",
        )
    },
    "cycles/port/channel.py": (INPUT, EVERY_CYCLE),
    "cycles/port/pieces.py": (INPUT, EVERY_CYCLE),
    "cycles/cluster/worker_cluster.py": ("cycles/test_passes.py", TIME),
    "cycles/core/array.py": ("cycles/test_passes.py", TIME),
    "cycles/core/pass_sequencer.py": ("cycles/test_passes.py", TIME),
    "cycles/core/tiles.py": ("cycles/core/test_cutter.py", "its tiles are in the jobs there"),
    "golden/data/loading.py": ("golden/training/test_training.py", "recipes load by it"),
    "golden/methods/backends.py": (
        "cosim/devices/test_backends.py",
        "its backends are there",
    ),
    "golden/methods/interception.py": (
        "golden/methods/test_forwards.py",
        "layers of all kinds",
    ),
    "golden/methods/layers.py": ("golden/methods/test_attached.py", "what they hold is there"),
    "golden/methods/options.py": ("golden/methods/test_conversion.py", "legal and illegal options"),
    "golden/methods/passes.py": ("golden/methods/test_forwards.py", "gradients equal torch's"),
    "golden/methods/state.py": ("golden/methods/test_attached.py", "casts and copies are there"),
    "golden/methods/watching.py": ("golden/methods/test_coverage.py", "bypassed layers are there"),
    "golden/networks/called.py": ("perf/workload/test_models.py", "modules are called by it there"),
    "golden/networks/dense.py": ("golden/networks/test_catalogue.py", NETWORK),
    "golden/networks/residual.py": ("golden/networks/test_catalogue.py", NETWORK),
    "golden/networks/transformer.py": ("golden/networks/test_catalogue.py", NETWORK),
    "golden/networks/vgg.py": ("golden/networks/test_catalogue.py", NETWORK),
    "golden/networks/wide.py": ("golden/networks/test_catalogue.py", NETWORK),
    "golden/oracle/im2col.py": (
        "golden/oracle/test_float_conv.py",
        "its sums are there",
    ),
    "perf/workload/onnx_graph.py": ("perf/workload/test_onnx_file.py", "graphs are walked there"),
    "perf/estimate/pass_cost.py": ("perf/estimate/test_modes.py", "every mode measures by it"),
    "perf/estimate/result.py": ("perf/estimate/test_training_step.py", "what an estimate returns"),
    "perf/rivals/dense.py": ("perf/rivals/test_bounds.py", "nobody is slower than it there"),
    "perf/rivals/ideal.py": ("perf/rivals/test_bounds.py", "nobody is faster than it there"),
    "perf/rivals/geometry.py": (
        "perf/rivals/test_cartesian.py",
        "products are counted by it there",
    ),
    "perf/rivals/mapping.py": ("perf/rivals/test_scnn.py", RIVALS),
    "perf/rivals/outer_products.py": ("perf/rivals/test_scnn.py", RIVALS),
    "cosim/chrome_trace.py": ("cosim/devices/test_backends.py", "a timeline is read back there"),
    "cosim/closing.py": ("cosim/devices/test_device.py", "devices are closed by it"),
    "cosim/errors.py": ("cosim/devices/test_device.py", "each of them is raised there"),
    "cosim/process.py": ("cosim/devices/test_device.py", "processes that die are there"),
    "cosim/progress.py": ("cosim/devices/test_backends.py", "its sums are worked out there"),
    "cosim/quiet_cluster.py": ("cosim/test_distributed.py", "who can use it is there"),
    "cosim/saved.py": ("cosim/test_layer.py", "results are saved and read back there"),
    "cosim/simulation.py": ("cosim/inside/test_testbench.py", "settings reach a simulator there"),
    "cosim/builds/toolchain.py": ("cosim/builds/test_simulator.py", "compilers change there"),
    "cosim/devices/pool.py": ("cosim/devices/test_device.py", "several devices are there"),
    "hw/core/machine.py": ("cosim/test_lists.py", "runs whole steps on its Verilog"),
    "cosim/inside/device_testbench.py": ("cosim/test_counters.py", "its checks are there"),
    "command/__main__.py": ("command/test_outputs.py", "the command is started by it there"),
    "command/compare.py": ("command/test_cosim.py", "saved results are compared there"),
    "command/demo.py": ("command/test_interrupts.py", "it is run, and interrupted, there"),
    "command/estimate_text.py": ("command/test_estimate.py", "its tables are read there"),
    "command/generate.py": ("command/test_outputs.py", "its set of files is there"),
    "command/options.py": ("command/test_outputs.py", "options of outputs are there"),
    "command/pass_inputs.py": ("command/test_cosim.py", "passes are chosen by it there"),
    "command/result.py": ("command/test_main.py", "results are printed there"),
    "command/standard_files.py": ("command/test_outputs.py", "closed and full outputs are there"),
    "command/training_run.py": ("command/test_train.py", "a run is all of it"),
    "formal/fifo.py": ("formal/test_proofs.py", PROOFS),
    "formal/odometer.py": ("formal/test_proofs.py", PROOFS),
    "formal/cluster/marks.py": ("formal/test_proofs.py", PROOFS),
    "formal/cluster/offsets.py": ("formal/test_proofs.py", PROOFS),
    "formal/cluster/results.py": ("formal/test_proofs.py", PROOFS),
    "formal/cluster/strip_walk.py": ("formal/test_proofs.py", PROOFS),
    "formal/cluster/summing.py": ("formal/test_proofs.py", PROOFS),
    "formal/cluster/window.py": ("formal/test_proofs.py", PROOFS),
    "formal/cluster/walk.py": ("formal/test_proofs.py", PROOFS),
    "formal/cluster_subjects.py": ("formal/test_catalog.py", "every size is looked at there"),
    "formal/core/cutter.py": ("formal/test_proofs.py", PROOFS),
    "formal/core/pass_sequencer.py": ("formal/test_proofs.py", PROOFS),
    "formal/pe/ranges.py": ("formal/test_proofs.py", PROOFS),
    "formal/pe/ring.py": ("formal/test_proofs.py", PROOFS),
    "formal/pe/sums.py": ("formal/test_proofs.py", PROOFS),
    "formal/host/axi.py": ("formal/test_proofs.py", PROOFS),
    "formal/host/axi_ends.py": ("formal/test_proofs.py", PROOFS),
    "formal/host/axil.py": ("formal/test_proofs.py", PROOFS),
    "formal/host/control.py": ("formal/test_proofs.py", PROOFS),
    "formal/port/arbiter.py": ("formal/test_proofs.py", PROOFS),
    "formal/port/pieces.py": ("formal/test_proofs.py", PROOFS),
    "formal/port/result_writer.py": ("formal/test_proofs.py", PROOFS),
    "formal/port/turns.py": ("formal/test_proofs.py", PROOFS),
    "formal/port/write_merger.py": ("formal/test_proofs.py", PROOFS),
    "formal/encode/line_gatherer.py": ("formal/test_proofs.py", PROOFS),
    "formal/encode/line_writer.py": ("formal/test_proofs.py", PROOFS),
    "formal/core/list_queue.py": ("formal/test_proofs.py", PROOFS),
    "formal/core/list_sequencer.py": ("formal/test_proofs.py", PROOFS),
    "formal/encode/dense_writer.py": ("formal/test_proofs.py", PROOFS),
    "formal/encode/front.py": ("formal/test_proofs.py", PROOFS),
    "formal/encode/outputs.py": ("formal/test_proofs.py", PROOFS),
    "formal/encode/strip_writer.py": ("formal/test_proofs.py", PROOFS),
    "formal/encode/unit.py": ("formal/test_proofs.py", PROOFS),
    "formal/stand_ins.py": ("formal/test_checker.py", "checkers use them"),
    "formal/subject.py": ("formal/test_catalog.py", "every size is looked at there"),
    "formal/unit_subjects.py": ("formal/test_catalog.py", "every size is looked at there"),
    "benchmarks/__main__.py": ("benchmarks/test_layers.py", "it prints what is measured there"),
    "benchmarks/encode_passes.py": ("benchmarks/test_encode_cost.py", "they are added up there"),
    "benchmarks/architecture_preload.py": (
        "benchmarks/test_architectures.py",
        "processes begin with it there",
    ),
    "benchmarks/architecture_trial.py": (
        "benchmarks/test_architectures.py",
        "architectures are tried there",
    ),
    "benchmarks/architectures_text.py": (
        "benchmarks/test_architectures.py",
        "its text is part of the page",
    ),
    "benchmarks/gate_energy_text.py": ("benchmarks/test_gate_energy.py", "what it says is there"),
    "perf/estimate/pe_logic.py": ("perf/estimate/test_energy.py", "each energy of it is there"),
    "benchmarks/pages.py": ("benchmarks/test_docs.py", "pages are made and checked there"),
    "benchmarks/performance.py": ("benchmarks/test_docs.py", "one of the pages there"),
    "benchmarks/recorded.py": ("benchmarks/test_rtl.py", "its rows are measured there"),
    "benchmarks/rivals_points.py": ("perf/rivals/test_calibration.py", "its points are met there"),
    "benchmarks/rivals_text.py": ("benchmarks/test_rivals.py", "its text is part of the page"),
}
"""Of sources without a test file of their name: the one that covers it, and why that is enough."""

FILES = [path.relative_to(ROOT).as_posix() for path in sources() if path.name != "__init__.py"]


def mirrored(source: str) -> Path:
    """Return the test file of a source's name."""
    folder, _, name = source.rpartition("/")
    return ROOT / "tests" / folder / f"test_{name}"


@functools.cache
def files_by_name() -> dict[str, Path]:
    """Return the file of each module, of sources and of tests."""
    names = {module_of(path): path for path in sources()}
    for path in (ROOT / "tests").rglob("*.py"):
        names[".".join(path.relative_to(ROOT).with_suffix("").parts)] = path
    return names


@functools.cache
def imported(path: Path) -> set[Path]:
    """Return the files that a file imports."""
    # Subcommands are imported by name.
    found = set(path.parent.glob("*.py")) if path == ROOT / "command" / "main.py" else set()
    for target, _, _ in imports(path.read_text(encoding="utf-8")):
        parts = target.split(".")
        # A package's face hands names of its files on.
        names = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
        found |= {files_by_name()[name] for name in names if name in files_by_name()}
    return found


def reached_from(start: Path) -> set[Path]:
    """Return the files that a test file imports, and those that they import."""
    seen, waiting = {start}, [start]
    while waiting:
        new = imported(waiting.pop()) - seen
        seen |= new
        waiting += new
    return seen


def wrong_listing(source: str, test: str, reason: str) -> list[str]:
    """Return what is wrong with an entry of `COVERED_BY`."""
    path, wrong = ROOT / "tests" / test, []
    if source not in FILES:
        wrong.append(f"{source} is no source")
    if not reason:
        wrong.append(f"{source} must have a reason")
    if not path.is_file() or "\ndef test_" not in path.read_text(encoding="utf-8"):
        return [*wrong, f"{test} must have a test"]
    # These run in processes of their own.
    own = ("system/supervisor.py", "gscn/__main__.py", "command/__main__.py")
    alone = source in (*own, "benchmarks/architecture_preload.py")
    if not alone and ROOT / source not in reached_from(path):
        wrong.append(f"{test} must come to {source}")
    return wrong


def test_every_source_has_its_tests():
    has_own = {source for source in FILES if mirrored(source).is_file()}
    missing = [source for source in FILES if source not in has_own | COVERED_BY.keys()]
    assert missing == [], "each must have a test file of its name, or a reason in COVERED_BY"
    twice = [source for source in COVERED_BY if source in has_own]
    assert twice == [], "each has a test file of its own and needs no reason"


def test_what_is_listed_is_there_and_comes_to_the_source():
    wrong = [what for source, entry in COVERED_BY.items() for what in wrong_listing(source, *entry)]
    assert wrong == []


def test_a_wrong_listing_is_seen():
    assert wrong_listing("gscn/conv.py", "gscn/test_conv.py", "as an example") == []
    for entry, message in [
        (("gscn/gone.py", "gscn/test_conv.py", "one"), "gscn/gone.py is no source"),
        (("gscn/conv.py", "gscn/test_conv.py", ""), "must have a reason"),
        (("gscn/conv.py", "gscn/test_gone.py", "one"), "must have a test"),
        (("gscn/conv.py", "drawings.py", "one"), "must have a test"),
        (("hw/pe/ring.py", "gscn/test_conv.py", "one"), "must come to hw/pe/ring.py"),
    ]:
        assert any(message in what for what in wrong_listing(*entry)), entry
