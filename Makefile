# Every target makes the virtual environment it needs; `make help` lists them.
PYTHON ?= python3
PYTHON311 ?= python3.11
PYTHON313 ?= python3.13
VENV ?= .venv
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
JOBS ?= $(shell echo $$(( $(CORES) < 4 ? $(CORES) : 4 )))
BIN = $(VENV)/bin
MAKEFLAGS += --no-print-directory
# JOBS test processes share the machine: two threads each still run what is parallel in parallel.
LIMITS = NUMBA_NUM_THREADS=2 OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 MPLBACKEND=Agg
EXTRA ?= dev
# Time for the tests of `make check`, beside half a minute for mypy and as long to collect the tests.
CHECK_SECONDS ?= 60

PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
ifdef RESOLUTION  # of uv: pip has none but the newest
INSTALL = $(PIP) uv && $(BIN)/uv pip install --quiet --python $(BIN)/python --resolution $(RESOLUTION) --editable '.[all,test]'
else
INSTALL = $(PIP) --editable '.[$(EXTRA)]'
endif

.DEFAULT_GOAL := help
.PHONY: help demo check test test-latest test-oldest coverage lint format type examples docs html bench faults fuzz \
        release clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

demo: $(VENV)/.installed  ## run the tutorial and a 50,000-cell pipeline; figures and files in demo_output/
	@$(BIN)/python examples/demo.py $(DEMO_ARGS)

check: $(VENV)/.installed  ## lint, types and the tests nearest to what changed, in two minutes; CHECK_ARGS="--since HEAD~3"
	@$(MAKE) lint type
	@$(LIMITS) $(BIN)/python -m tests.affected --seconds $(CHECK_SECONDS) -n $(JOBS) $(CHECK_ARGS)

test: $(VENV)/.installed  ## run the test suite, doctests included
	@$(LIMITS) $(BIN)/python -m pytest -n $(JOBS) $(PYTEST_ARGS)

test-latest:  ## run the test suite on Python 3.13 too, if there is one
	@if $(PYTHON313) -c "" 2>/dev/null; then $(MAKE) test VENV=.venv-latest PYTHON="$(PYTHON313)"; \
	else echo "test-latest: no working $(PYTHON313) on this machine, nothing run"; fi

test-oldest:  ## run the test suite on Python 3.11 with the oldest dependencies that pyproject.toml allows
	@$(MAKE) test VENV=.venv-oldest PYTHON="$(PYTHON311)" RESOLUTION=lowest-direct

coverage: $(VENV)/.installed  ## list what the suite leaves out, hold the floor; of a part: COVERED=tests/pp
	@$(LIMITS) $(BIN)/python -m pytest -q -n $(JOBS) -m "not slow" --cov --cov-report=term-missing \
	$(if $(COVERED),--cov-fail-under=0 $(COVERED))

lint: $(VENV)/.installed  ## ruff: rules and formatting
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

format: $(VENV)/.installed  ## let ruff format the code and fix what it can
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

type: $(VENV)/.installed  ## mypy, strict, on the package
	@$(BIN)/mypy

examples: $(VENV)/.installed  ## run every docstring and README example, check every link inside the docs
	@$(LIMITS) $(BIN)/python -m pytest lazyomics tests/test_readme.py tests/test_links.py

docs:  ## run the examples and build the site in build/site; warnings are errors
	@$(MAKE) examples html VENV=.venv-docs EXTRA=docs

html: $(VENV)/.installed
	@$(LIMITS) $(BIN)/python -m sphinx -W --keep-going --quiet -b html docs build/site $(DOCS_ARGS)
	@echo "the site is in build/site/index.html"

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

release: $(VENV)/.installed  ## build wheel and sdist in dist/, check them, and try the wheel in an environment of its own
	@rm -rf dist build/wheel
	@$(BIN)/python -m build --quiet && $(BIN)/python -m twine check --strict dist/*
	@$(BIN)/python -m venv build/wheel && build/wheel/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	@cd build/wheel && bin/python -P ../../tests/smoke.py

clean:  ## remove the virtual environments, caches and demo output
	@rm -rf .venv .venv-latest .venv-oldest .venv-docs build dist docs/generated demo_output bench_output
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/pip
	@echo "installing lazyomics and its tools into $(VENV)"
	@$(PIP) --upgrade pip
	@$(INSTALL)
	@touch $@

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("lazyomics needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 || $(PYTHON) -m virtualenv --quiet --clear $(VENV) 2>/dev/null \
	|| { echo "$(PYTHON) cannot make virtual environments. On Debian or Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
