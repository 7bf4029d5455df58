# The five things people do here. `make setup` says what it installs; everything else needs nothing before it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PY := .venv/bin/python

help:            ## what there is to do
	@grep -hE '^[a-z-]+: .*##' Makefile | sed -E 's/:.*##/\t/' | sort

setup: .venv/.done viewer/dist/.done   ## install everything into .venv and build the patient's page

.venv/.done: requirements-dev.txt pyproject.toml image/packages-dev.txt
	@tests/setup.sh
	@touch $@

viewer/dist/.done: .venv/.done $(shell find viewer -path viewer/node_modules -prune -o -path viewer/dist -prune -o -type f -print 2>/dev/null)
	@echo "Building the patient's page (npm ci, vite build)"
	@cd viewer && npm ci --no-fund --no-audit --loglevel=error && npm run --silent build
	@touch $@

demo: setup      ## vault, box and virtual printer on this machine; ONCE=1 verifies and exits
	@$(PY) -m tests.system.demo $(if $(ONCE),--once,)

test: setup      ## every test that CI runs
	@cd viewer && npm test --silent
	@$(PY) -m pytest -q -m "not long and not alone" -n 2 --dist loadfile
	@$(PY) -m pytest -q -m "not long and alone"

test-long: setup ## the long ones as well
	@$(PY) -m pytest -q --timeout 3600

check: setup     ## format, lint, types, import contracts, page's types, units
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache
	@cd viewer && npm run --silent check
	@tests/check_units.sh

bench: setup     ## receivers side by side, in ratios
	@$(PY) -m tests.bench.receivers

image: setup     ## a bootable disk of the box (root; minutes)
	@$(MAKE) -C image image

image-boot: setup ## boot that disk in QEMU and look inside (root; minutes)
	@$(MAKE) -C image image-boot

lock:            ## write the lock files anew
	@.venv/bin/uv pip compile -q --universal --generate-hashes --no-annotate --no-header --python-version 3.11 pyproject.toml -o requirements.txt
	@.venv/bin/uv pip compile -q --universal --generate-hashes --no-annotate --no-header --python-version 3.11 --extra dev pyproject.toml -o requirements-dev.txt

.PHONY: help setup demo test test-long check bench image image-boot lock
