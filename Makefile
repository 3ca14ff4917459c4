# Everything that is done to this project, by name. `make` lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT := out
DATA ?= data
SEEDS ?= 0,1,2

.DEFAULT_GOAL := help
.PHONY: help demo programs test cases slow check bench docs lock clean

help:  ## List the targets.
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/.user: pyproject.toml
	@echo "==> Setting up $(VENV) (a few minutes the first time: PyTorch is large)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tocsin needs Python 3.11 or newer")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.developer: $(VENV)/.user
	@echo "==> Installing what the checks, the tests and the benchmarks need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,bench,platform,series,text,image]'
	@touch $@

demo: $(VENV)/.user  ## Set up, then find and explain anomalies in real data, and watch a service that breaks.
	@$(BIN)/python examples/demo.py $(OUT)
	@echo && $(BIN)/python examples/live.py $(OUT)

# Debian's packages of the programs that the tests start, each with a program that shows it is there.
PROGRAMS := chromium=chromium redis-server=redis-server mosquitto=mosquitto postgresql=pg_ctl \
	rsyslog=rsyslogd logrotate=logrotate prometheus=prometheus

programs:
	@export PATH="$$PATH:/usr/sbin:$$(echo /usr/lib/postgresql/*/bin)"; missing=""; \
	for each in $(PROGRAMS); do \
		command -v "$${each#*=}" >/dev/null || missing="$$missing $${each%=*}"; done; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "==> Installing what the tests start:$$missing"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else echo "==> Not there, so their tests are skipped:$$missing"; fi

test: $(VENV)/.developer programs  ## Set up, then run all tests but the slow ones.
	@echo "==> Running the tests"
	@OMP_NUM_THREADS=1 TOCSIN_CACHE=off $(BIN)/python -m pytest -n 2 -m "not slow"

cases: $(VENV)/.developer  ## Try each kind of fault that people met; one line per kind.
	@OMP_NUM_THREADS=1 TOCSIN_CACHE=off $(BIN)/python -m pytest -n 2 --no-header --tb=short tests/cases

slow: $(VENV)/.developer programs  ## Run the slow tests.
	@$(BIN)/python -m pytest -m slow

check: $(VENV)/.developer  ## Lint, format, types, layers, documentation tests.
	@echo "==> Linting" && $(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "==> Checking types" && $(BIN)/mypy
	@echo "==> Checking layers" && $(BIN)/lint-imports --cache-dir .import_linter_cache
	@echo "==> Testing the documentation" && $(BIN)/python -m pytest --doctest-modules --doctest-glob='*.md' src README.md docs CONTRIBUTING.md

bench: $(VENV)/.developer  ## Measure against PyOD; DATA=folder of NAME.npz files with X and y.
	@$(BIN)/python benchmarks/tables.py --data $(DATA) --seeds $(SEEDS) --json $(OUT)/tables.json

docs: $(VENV)/.developer  ## Write docs/settings.md from the settings' fields.
	@$(BIN)/python -c 'from pathlib import Path; from tocsin.cli.parts import settings_page; \
		from tocsin.files import write_atomically; \
		write_atomically(Path("docs/settings.md"), settings_page())'

lock: $(VENV)/.developer  ## Write requirements.lock: a version of all dependencies, with hashes.
	@$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-annotate --custom-compile-command 'make lock' --quiet \
		--output-file requirements.lock $(UPGRADE)

clean:  ## Remove what the other targets made.
	rm -rf $(VENV) $(OUT) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
