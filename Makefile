# `make venv` once (also done on demand), then `make test`, `make demo`, or `.venv/bin/gscn --help`.

VENV ?= .venv
PYTHON ?= python3
PIP_FLAGS ?=
# Files are begun in the order of tests/conftest.py, not by their numbers of tests.
PYTEST_FLAGS ?= -n 2 --dist loadfile --no-loadscope-reorder

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MERMAID_VERSION := 11.16.0
MERMAID := build/mermaid/mermaid.min.js

.PHONY: help venv check-tools lint lint-verilog format test test-slow test-icarus bench docs \
	docs-render docs-check docs-stale docs-site calibration report report-check prove prove-docs synth layout soc demo clean

help:
	@echo "targets: venv lint lint-verilog format test test-slow test-icarus bench docs docs-render docs-check docs-stale docs-site calibration report report-check prove prove-docs synth layout soc demo clean"

venv: $(STAMP)

check-tools:
	@PYTHON="$(PYTHON)" sh .ci/check-tools

# The stamp is younger than pyproject.toml exactly if the environment has what that file asks for.
$(STAMP): pyproject.toml | check-tools
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) -e ".[dev]"
	@touch $@

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Waivers and their reasons: rtl_gen/lint.vlt.
lint-verilog: venv
	$(BIN)/python -m pytest tests/rtl_gen/test_lint.py

format: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: venv
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

test-slow: venv
	$(BIN)/python -m pytest $(PYTEST_FLAGS) -m slow

# A second simulator, Icarus Verilog; without it the tests say that they are skipped.
test-icarus: venv
	$(BIN)/python -m pytest tests/rtl_gen/test_icarus.py

# The closed form, fitted anew: what the file has of today's driver and array is not measured again.
calibration: venv
	$(BIN)/python -m gscn.perf.estimate.calibration --samples benchmarks/calibration

bench: venv
	$(BIN)/python -m benchmarks

# All generated pages of docs/ again, or `PAGE=NAME` alone. docs/results/README.md says how long each takes;
# those of training and timing take hours and an idle machine. `area` needs what `synth` needs.
docs: venv
	$(BIN)/python -m benchmarks.docs $(PAGE)

# Pages from their JSON, and quoted figures into texts: seconds.
docs-render: venv
	$(BIN)/python -m benchmarks.docs --render

# Which pages are not what their JSON says, and which JSON is older than what it follows from.
docs-check: venv
	$(BIN)/python -m benchmarks.docs --check

# Lets pages say by themselves what changed since their figures were made.
docs-stale: venv
	$(BIN)/python -m benchmarks.docs --stale

# Pages and docstrings as a site in build/site; strict, so that a wrong link or docstring ends it.
docs-site: venv $(MERMAID)
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

# What draws the pictures. The site has it if npm is there to fetch it; without, pages load it from
# the net when they are looked at.
$(MERMAID):
	@mkdir -p $(@D)
	@if command -v npm >/dev/null && npm pack --silent --pack-destination $(@D) \
		mermaid@$(MERMAID_VERSION) >/dev/null; then \
		tar -xzf $(@D)/mermaid-$(MERMAID_VERSION).tgz -C $(@D) --strip-components 2 \
			package/dist/mermaid.min.js && rm $(@D)/mermaid-$(MERMAID_VERSION).tgz; \
	else echo "docs-site: no npm, so that pages load mermaid from the net"; fi

report: venv
	$(BIN)/gscn report

# In Debian's chromium; without it the tests say that they are skipped. Screenshots, and the page as
# it is printed, are then in build/report-check.
report-check: venv
	$(BIN)/python -m pytest tests/perf/report/test_build.py

# Needs Debian's qflow-tech-osu018 besides.
synth: venv
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) -e ".[synth]"
	$(BIN)/python -m benchmarks.docs area

# Needs Debian's qflow, qflow-tech-osu018, graywolf, qrouter, magic, opensta and tcsh besides.
layout: venv
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) -e ".[synth]"
	$(BIN)/python -m benchmarks.docs layout

prove: venv
	$(BIN)/python -m formal.run

prove-docs: venv
	$(BIN)/python -m formal.run --docs docs/results/proofs.md

# Needs Debian's gcc-riscv64-unknown-elf besides, and says so before it installs or builds anything.
# `SOC_FLAGS=--array` takes the array alone in place of the machine.
soc:
	@command -v riscv64-unknown-elf-gcc >/dev/null || { echo "missing: riscv64-unknown-elf-gcc, which \
	compiles the firmware (Debian: apt-get install gcc-riscv64-unknown-elf)" >&2; exit 1; }
	@$(MAKE) --no-print-directory venv
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) -e ".[soc]"
	$(BIN)/python -m soc.run $(SOC_FLAGS)

demo: venv
	$(BIN)/gscn demo

clean:
	rm -rf build .pytest_cache .ruff_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +
