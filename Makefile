# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
#
# `make train` and `make test` do everything on a fresh machine.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCK := requirements/lock.txt
WORKDIR ?= runs/digits
PIP_FLAGS := --quiet --disable-pip-version-check
# One worker a core; a file's tests stay together, for what they share.
WORKERS ?= -n auto --dist=loadfile
# Handed on to pytest, as in: make test PYTEST_ARGS="-k multiplier"
PYTEST_ARGS ?=

.PHONY: help venv train test test-fast test-slow check format lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) \
	  | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

venv: $(STAMP) ## make .venv from the lock and install the project into it

$(STAMP): $(LOCK) setup.py geco_tf/version.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "The locked versions need Python 3.11 or newer; got" \
	    "$$($(PYTHON) --version 2>&1). Name one: make PYTHON=python3.11 …"; \
	  exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (about two minutes the first time) …"
	@$(BIN)/python -m pip install $(PIP_FLAGS) -r $(LOCK)
	@$(BIN)/python -m pip install $(PIP_FLAGS) --no-deps --no-build-isolation -e .
	@touch $@

train: venv ## train VAE+NVP by GECO on the embedded digits
	$(BIN)/python -m launch.train --preset=digits --workdir=$(WORKDIR)

test: venv ## run every test but the slow ones
	$(BIN)/python -m pytest $(WORKERS) $(PYTEST_ARGS)

test-fast: venv ## run what needs under two minutes
	$(BIN)/python -m pytest $(WORKERS) -m "not slow and not real_data" $(PYTEST_ARGS)

test-slow: venv ## run the slow tests alone
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

check: venv ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: venv ## mend what lint and formatting can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A fresh environment, so that nothing installed by hand slips into the lock.
lock: ## resolve the newest allowed versions into requirements/lock.txt
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install $(PIP_FLAGS) --upgrade setuptools
	build/lock/bin/python -m pip install $(PIP_FLAGS) --no-build-isolation \
	  -e '.[dev]'
	{ echo "# Made by: make lock. What CI installs; Python 3.11 or newer."; \
	  build/lock/bin/python -m pip freeze --all \
	    --exclude pip --exclude geco_tf; } > build/lock.txt
	mv build/lock.txt $(LOCK)
	rm -rf build/lock

clean: ## remove the environment, builds and caches; runs are kept
	rm -rf $(VENV) build dist *.egg-info
	rm -rf .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
