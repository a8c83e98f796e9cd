# Orbit's commands; each prepares what it needs. Python: `make run PYTHON=python3.12`. Paths are relative: the folder's name may hold anything.
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
PYTHON ?= python3
# More than the cores: the tests of processes wait a lot.
WORKERS ?= 4
ARGS ?=
IN := .venv/bin/python
PREPARE = @command -v "$(PYTHON)" >/dev/null || { echo 'orbit: "$(PYTHON)" is not found. Install Python 3.11 to 3.14, or name it: make PYTHON=...' >&2; exit 2; }; \
	"$(PYTHON)" prepare.py

.PHONY: help setup run test lint e2e bench docs lock
help:
	@echo 'make run    everything from nothing, with a demo receiver and a first cycle; Ctrl-C drains and stops'
	@echo 'make test   the whole suite on a PostgreSQL of its own      make e2e    the console in a real browser'
	@echo 'make lint   style, types, imports, templates, migrations    make bench  cycles per second, beside a baseline'
	@echo 'make setup  .venv with everything                           make lock   pin the packages anew'

setup:
	$(PREPARE) --dev
run:
	$(PREPARE) && exec $(IN) manage.py up --demo
test:
	$(PREPARE) --dev && exec $(IN) -m pytest -n $(WORKERS) --dist worksteal --ignore=tests/e2e $(ARGS)
e2e:
	$(PREPARE) --dev && exec $(IN) -m pytest tests/e2e $(ARGS)
bench:
	$(PREPARE) --dev && exec $(IN) -m benchmarks $(ARGS)
lint:
	$(PREPARE) --dev
	@$(IN) -m ruff check .
	@$(IN) -m mypy
	@.venv/bin/lint-imports
	@$(IN) -m djlint --lint --quiet templates
	@ORBIT_ENV=test $(IN) manage.py check --fail-level WARNING
	@ORBIT_ENV=test $(IN) manage.py makemigrations --check --dry-run
docs:
	$(PREPARE) && exec $(IN) -m orbit_site.documentation
lock:
	$(PREPARE) --dev
	@$(IN) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes requirements.in -o requirements.txt
	@$(IN) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes requirements-dev.in -o requirements-dev.txt
