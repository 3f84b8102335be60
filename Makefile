# The two commands that matter are `make train` and `make test`. Each sets everything up by itself.

PYTHON ?= python3
PIP_FLAGS ?=
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help train test faults gpu lint bench reports shipped clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

train: .venv/installed  ## train the network of configs/disc.yaml
	$(BIN)/minidl train configs/disc.yaml

test: .venv/installed  ## run all tests
	$(BIN)/python -m pytest

faults: .venv/installed  ## kill, stop, starve and cut off minidl for real, which takes about 20 minutes
	$(BIN)/python -m pytest -m long tests/faults tests/cluster

gpu: .venv/bench  ## run the tests and benchmarks that need a GPU
	$(BIN)/python -m benchmarks.gpu

lint: .venv/installed  ## check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/bench  ## measure the speed beside PyTorch, JAX and scikit-learn, which takes under 15 minutes
	$(BIN)/python -m benchmarks

reports: .venv/installed  ## train the experiments of the five reports, and write docs/reports.md
	$(BIN)/python -m benchmarks.reports

shipped: .venv/bench  ## hold the configs of the shipped tables beside scikit-learn
	$(BIN)/python -m benchmarks.shipped

clean:  ## remove the virtual environment and caches; runs are kept
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) --constraint constraints.txt --editable '.[dev]'
	touch $@

.venv/bench: .venv/installed
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) --constraint constraints.txt --editable '.[bench]'
	touch $@
