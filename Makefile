# Two commands do all the set-up on a fresh machine: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

.PHONY: help demo test lint types pytest gpu-test bench format clean

help:  ## What can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mps_experiments needs Python 3.11 or newer; try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(READY)  ## Run experiment=quickstart: MPS off and on with a GPU, else the same pipeline on the CPU
	$(BIN)/python -m mps_experiments experiment=quickstart

test: lint types pytest  ## Everything that CI runs

lint: $(READY)  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## mypy --strict on src, tests and benchmarks
	$(BIN)/mypy

pytest: $(READY)  ## The tests; those marked gpu skip where there is no GPU
	$(BIN)/pytest -n 2 --dist loadfile --durations=25

gpu-test: $(READY)  ## Only the tests that need a GPU with MPS
	$(BIN)/pytest -m gpu

bench: $(READY)  ## Overhead per cell by phase, the timed loop, one worker against a bare script, a large report, recommend
	$(BIN)/python benchmarks/timed_loop.py
	$(BIN)/python benchmarks/cell_overhead.py
	$(BIN)/python benchmarks/bare_script.py
	$(BIN)/python benchmarks/report_speed.py
	PYTHONPATH=. $(BIN)/python benchmarks/recommend_speed.py

format: $(READY)  ## Rewrite files the way lint wants them
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Remove the virtual environment and caches, never outputs/
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
