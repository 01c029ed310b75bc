# Every target makes the virtual environment it needs; `make help` lists them.
PYTHON ?= python3
PYTHON313 ?= python3.13
VENV ?= .venv
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
JOBS ?= $(shell echo $$(( $(CORES) < 4 ? $(CORES) : 4 )))
BIN = $(VENV)/bin
MAKEFLAGS += --no-print-directory
# JOBS test processes share the machine: two threads each still run what is parallel in parallel.
LIMITS = NUMBA_NUM_THREADS=2 OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 MPLBACKEND=Agg

.DEFAULT_GOAL := help
.PHONY: help demo test test-latest lint format type docs bench faults fuzz clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

demo: $(VENV)/.installed  ## run the tutorial and a 50,000-cell pipeline; figures and files in demo_output/
	@$(BIN)/python examples/demo.py $(DEMO_ARGS)

test: $(VENV)/.installed  ## run the test suite, doctests included
	@$(LIMITS) $(BIN)/python -m pytest -n $(JOBS) $(PYTEST_ARGS)

test-latest:  ## run the test suite on Python 3.13 too, if there is one
	@if $(PYTHON313) -c "" 2>/dev/null; then $(MAKE) test VENV=.venv-latest PYTHON="$(PYTHON313)"; \
	else echo "test-latest: no working $(PYTHON313) on this machine, nothing run"; fi

lint: $(VENV)/.installed  ## ruff: rules and formatting
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

format: $(VENV)/.installed  ## let ruff format the code and fix what it can
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

type: $(VENV)/.installed  ## mypy, strict, on the package
	@$(BIN)/mypy

docs: $(VENV)/.installed  ## run every docstring and README example, check every link inside the docs
	@$(LIMITS) $(BIN)/python -m pytest lazyomics tests/test_readme.py tests/test_links.py

bench: $(VENV)/.installed  ## run all benchmarks beside their peers, about an hour; BENCH_ARGS="--only pipeline"
	@$(BIN)/python -m compileall -q lazyomics  # as pip does with the packages of the peers
	@$(BIN)/python -m tests.bench $(BENCH_ARGS)

faults: $(VENV)/.installed  ## kill and interrupt processes, cut the power at every step of a save, many times
	@$(BIN)/python -m tests.faults.kill_saves $(FAULTS_ARGS)
	@$(BIN)/python -m tests.faults.interrupt_work
	@$(BIN)/python -m tests.faults.interrupt_everywhere --every 10
	@$(BIN)/python -m tests.faults.read_while_saving
	@$(BIN)/python -m tests.faults.rewrite_x
	@LAZYOMICS_HISTORIES=1000 $(BIN)/python -m pytest -qs tests/state
	@LAZYOMICS_TORN_CRASHES=40 LAZYOMICS_OPENS=1000 $(BIN)/python -m pytest -qs tests/io/transaction tests/processes

fuzz: $(VENV)/.installed  ## 20,000 damaged files, 100,000 histories beside anndata; FUZZ_ARGS="--seed 7 --inputs 0 --histories 500"
	@$(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

clean:  ## remove the virtual environments, caches and demo output
	@rm -rf .venv .venv-latest build dist demo_output bench_output .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/pip
	@echo "installing lazyomics and its tools into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("lazyomics needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 || $(PYTHON) -m virtualenv --quiet --clear $(VENV) 2>/dev/null \
	|| { echo "$(PYTHON) cannot make virtual environments. On Debian or Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
