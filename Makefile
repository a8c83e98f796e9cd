# Orbit's commands; each prepares what it needs. Another Python: `make run PYTHON=python3.12`.
# Paths are relative, so that the folder may have any name.
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
PYTHON ?= python3
# More than the cores: tests of processes wait a lot.
WORKERS ?= 4
ARGS ?=
IN := .venv/bin/python
PREPARE = @command -v "$(PYTHON)" >/dev/null || { echo 'orbit: "$(PYTHON)" is not found. Install Python 3.11 to 3.14, or name it: make PYTHON=...' >&2; exit 2; }; \
	"$(PYTHON)" prepare.py

.PHONY: help setup run test lint e2e fuzz chaos bench upgrade docs lock screenshots
help:
	@echo 'make run    set up and start everything, with a demo receiver and a first cycle; Ctrl-C drains and stops'
	@echo 'make test   the whole suite on a PostgreSQL of its own      make e2e    the console in a real browser'
	@echo 'make lint   style, types, imports, templates, migrations    make bench  cycles and deliveries per second, beside a baseline'
	@echo 'make chaos  kills of every kind, then an audit of the rows (ten minutes; ARGS="--list", "--only NAME", "--seed N", "--minutes N")'
	@echo 'make upgrade  back up, install packages, migrate and check a new release'
	@echo 'make screenshots  docs/images from a bad night in a real browser'
	@echo 'make fuzz   fuzz the API from its own document (ARGS="--examples 1000")'
	@echo 'make setup  .venv with everything                           make lock   pin the packages again'

setup:
	$(PREPARE) --dev
run:
	$(PREPARE) && exec $(IN) manage.py up --demo
test:
	$(PREPARE) --dev && $(SUITE) --durations 20 --ignore=tests/e2e $(ARGS) && { [ -n '$(ARGS)' ] || $(TWO_DATABASES); }
# Tests of telemetry, and of what it is told, again, with a database of its own.
SUITE := $(IN) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
TWO_DATABASES := $(SUITE) -p tests.support.two_databases -m 'not one_database' tests/telemetry tests/advisory/signals \
	tests/orbit/conductor/test_projection.py tests/orbit/housekeeping
e2e:
	$(PREPARE) --dev && exec $(IN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/e2e $(ARGS)
# Many requests for each operation of the API; `make test` sends a few.
fuzz:
	$(PREPARE) --dev && exec $(IN) -m pytest -n $(WORKERS) tests/contract/test_fuzz.py tests/contract/test_every_route.py --timeout 3600 --examples 200 $(ARGS)
# Run it alone: it measures recovery times.
chaos:
	$(PREPARE) --dev && exec $(IN) -m tests.chaos $(ARGS)
# `make bench deliveries` measures that part alone.
PARTS := cycles latency idle audit claim backlog telemetry advice conductor console triggers scale deliveries
bench:
	$(PREPARE) --dev && exec $(IN) -m benchmarks $(filter $(PARTS),$(MAKECMDGOALS)) $(ARGS)
ifneq ($(filter bench,$(MAKECMDGOALS)),)
.PHONY: $(PARTS)
$(PARTS): bench
	@:
endif
lint:
	$(PREPARE) --dev
	@$(IN) -m ruff format --check --quiet .
	@$(IN) -m ruff check .
	@$(IN) -m mypy
	@.venv/bin/lint-imports
	@$(IN) -m djlint --lint --quiet templates
	@ORBIT_ENV=test $(IN) manage.py check --fail-level WARNING
	@ORBIT_ENV=test $(IN) manage.py makemigrations --check --dry-run
	@$(IN) -m tests.house.limits
# Nothing before `migrate` changes the database. If the release can't start with the old packages, it
# gets its own before the backup.
NO_BACKUP := orbit: no backup was made, so nothing was changed. Fix the error above and run it again; \
	if there is no Orbit yet, run make run or manage.py migrate.
NO_PACKAGES := orbit: the packages are not complete; the database was not changed. Run it again, or check out the old release and run make setup.
NOT_MIGRATED := orbit: not migrated. Each migration is applied whole or not at all: fix the error above and run it again, \
	or go back as docs/operations.md says ("Going back").
NOT_CLEAN := orbit: the database is at this release, but the check failed. Fix that before you restart anything.
DEPLOYED := from orbit_site.settings import environment as e; print("--deploy" if e.PRODUCTION else "")
upgrade:
	@$(IN) manage.py help backup >/dev/null 2>&1 || "$(PYTHON)" prepare.py
	@mkdir -p -m 700 var/backups && $(IN) manage.py backup var/backups || { echo '$(NO_BACKUP)' >&2; exit 1; }
	@"$(PYTHON)" prepare.py || { echo '$(NO_PACKAGES)' >&2; exit 1; }
	@$(IN) manage.py migrate --skip-checks || { echo '$(NOT_MIGRATED)' >&2; exit 1; }
	@$(IN) manage.py migrate --check --skip-checks && $(IN) manage.py check $$($(IN) -c '$(DEPLOYED)') || { echo '$(NOT_CLEAN)' >&2; exit 1; }
	@echo 'upgraded. Restart web and clusters one after another; until then they run the old release.'
docs:
	$(PREPARE) && exec env DJANGO_SETTINGS_MODULE=orbit_site.settings $(IN) -c 'import django; django.setup(); from orbit_site import documentation; documentation.main()'
screenshots:
	$(PREPARE) --dev && exec env ORBIT_ENV=test $(IN) -m tests.screenshots $(ARGS)
lock:
	$(PREPARE) --dev
	@$(IN) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes requirements.in -o requirements.txt
	@$(IN) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes requirements-otel.in -o requirements-otel.txt
	@$(IN) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes requirements-dev.in -o requirements-dev.txt
