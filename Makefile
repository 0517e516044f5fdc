# `make run` and `make test` are the two commands of the README; each makes what it needs on a machine that has only
# Python 3.11 and make. What was made once is remembered by a stamp inside .venv and not made again, so a second start
# needs no network; deleting .venv forgets everything but the node's data in var/.

VENV := .venv
PY := $(VENV)/bin/python
STAMPS := $(VENV)/stamps
# Versions are pinned for this one; another may be named (make run PYTHON=/somewhere/python3.11).
PYTHON ?= python3.11
# A variable of the caller's shell must not turn an install into one outside the environment.
PIP := PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip
PIP_TOOLS_VERSION := 7.6.2

# One worker a core, each with a PostgreSQL server of its own; a file stays with one worker. `make test PARALLEL=` runs them in a row.
PARALLEL ?= -n auto --maxprocesses=8 --dist=loadfile

export PYTHONUNBUFFERED := 1
unexport PYTHONHOME PYTHONPATH

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help run federation test quick faults lint format types imports openapi bench lock demo-reset image setup clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(STAMPS)/runtime  ## set up what is missing, then a demonstration node on http://127.0.0.1:8000 (data in var/demo, kept)
	@exec $(VENV)/bin/cordon demo --serve

federation: $(STAMPS)/runtime  ## three jurisdictions on ports 8101 to 8103 that follow each other (data in var/federation, kept)
	@exec $(VENV)/bin/cordon demo --federation

test: $(STAMPS)/dev  ## set up what is missing, then the whole suite, on SQLite and PostgreSQL
	@$(PY) -m pytest $(PARALLEL)

quick: $(STAMPS)/dev  ## the part of the suite that needs neither minutes nor PostgreSQL
	@$(PY) -m pytest $(PARALLEL) -m "not slow and not postgres"

faults: $(STAMPS)/dev  ## the faults of tests/faults in their long forms too (some minutes)
	@$(PY) -m pytest tests/faults tests/cli/test_serve_memory.py -m "long or not long"

SEEDS ?= 0-999
simulate: $(STAMPS)/dev  ## random histories of a federation, SEEDS=0-999 of them (the ordinary run takes as many as fit a minute)
	@CORDON_HISTORY=$(SEEDS) $(PY) -m pytest -q -s tests/federation/test_histories.py

lint: $(STAMPS)/dev  ## ruff: rules and format
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

format: $(STAMPS)/dev  ## ruff: mend what it can and format
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

types: $(STAMPS)/dev  ## mypy, strict
	@$(PY) -m mypy

imports: $(STAMPS)/dev  ## the floors: imports run one way
	@$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

openapi: $(STAMPS)/runtime  ## write openapi/openapi.json from the code
	@$(PY) -m app.api.openapi openapi/openapi.json

bench: $(STAMPS)/bench  ## measure, each figure beside a ceiling of the same run
	@$(PY) -m benchmarks

lock: $(STAMPS)/lock  ## pin requirements/*.in anew, with hashes and without addresses (needs a package index)
	@for set in runtime dev bench; do \
	  echo "pinning requirements/$$set.txt"; \
	  $(VENV)/lock/bin/python -m piptools compile --quiet --generate-hashes --no-emit-index-url --no-emit-trusted-host \
	    --no-emit-find-links --strip-extras --output-file=requirements/$$set.txt requirements/$$set.in || exit 1; \
	done

demo-reset: $(STAMPS)/runtime  ## throw the demonstrations' data away
	@rm -rf var/demo var/federation
	@echo "var/demo and var/federation are gone; 'make run' and 'make federation' make them anew"

image:  ## the container image cordon:latest
	docker build --tag cordon:latest .

setup: $(STAMPS)/dev  ## only set up

clean:  ## remove what tools left behind; keeps .venv and var
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .bench
	@find app tests migrations benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment ------------------------------------------------------------------------------------------------

# The first of the named interpreter, python3.11 and python3 that is a complete Python 3.11. A name that exists but does
# not start (a version manager's shim) is passed over like one that is absent.
$(STAMPS)/venv:
	@if $(PY) -c 'import sys, pip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then :; else \
	  found=; \
	  for candidate in "$(PYTHON)" python3.11 python3 python; do \
	    if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then found=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "Cordon needs Python 3.11 with its venv and ensurepip modules; none of '$(PYTHON)', python3.11, python3 is one." >&2; \
	    echo "  Debian, Ubuntu:  apt install python3.11 python3.11-venv" >&2; \
	    echo "  macOS:           brew install python@3.11" >&2; \
	    echo "  elsewhere:       make $(firstword $(MAKECMDGOALS)) PYTHON=/path/to/python3.11" >&2; \
	    exit 1; \
	  fi; \
	  echo "making $(VENV) with $$found"; \
	  "$$found" -m venv --clear $(VENV) || exit 1; \
	fi
	@mkdir -p $(STAMPS)
	@touch $@

# `cordon` for the shell: works from every directory, and an `app` package lying there is not taken for ours.
define CORDON
#!/bin/sh
here=$$(CDPATH= cd -- "$$(dirname -- "$$0")/../.." && pwd)
PYTHONPATH=$$here exec "$$here/$(PY)" -P -m app.cli "$$@"
endef
export CORDON

$(STAMPS)/runtime: requirements/runtime.txt | $(STAMPS)/venv
	@echo "installing what a node needs (once)"
	@$(PIP) install --no-input --progress-bar off --require-hashes -r requirements/runtime.txt
	@printf '%s\n' "$$CORDON" > $(VENV)/bin/cordon
	@chmod 755 $(VENV)/bin/cordon
	@touch $@

$(STAMPS)/dev: requirements/dev.txt $(STAMPS)/runtime
	@echo "installing what the tests need (once)"
	@$(PIP) install --no-input --progress-bar off --require-hashes -r requirements/dev.txt
	@touch $@

$(STAMPS)/bench: requirements/bench.txt $(STAMPS)/dev
	@echo "installing what the comparisons need (once)"
	@$(PIP) install --no-input --progress-bar off --require-hashes -r requirements/bench.txt
	@touch $@

# The pinning tool lives in an environment of its own: neither the node nor the tests need it.
$(STAMPS)/lock: | $(STAMPS)/venv
	@$(PY) -m venv $(VENV)/lock
	@PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 $(VENV)/lock/bin/python -m pip install --no-input --quiet pip-tools==$(PIP_TOOLS_VERSION)
	@touch $@
