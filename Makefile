# Everything starts here. Each command makes what it needs, once: the virtual environment in .venv
# from requirements.lock, and for the tests a Chromium where the machine has none.
# Settings: PYTHON=python3.12 (which Python makes the environment), WORKERS=2 (tests in parallel),
# TESTS="tests/settings -k revert" (what `make test` runs), CHAOS="--mails 1000 --kills 20 --drops 20"
# (how much `make chaos` does; `--help` lists the rest).

VENV := .venv
ENVIRONMENT := $(VENV)/.made-from-the-lock
WORKERS ?= 2
TESTS ?=
CHAOS ?=

.DEFAULT_GOAL := help
.PHONY: help demo run test check chaos

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' Makefile

demo: $(ENVIRONMENT) ## Show the portal at work: sample organizations, real mail, a mail catcher
	@$(VENV)/bin/portal demo

run: $(ENVIRONMENT) ## Start an empty portal; prints a link for setting it up
	@$(VENV)/bin/portal up

test: $(ENVIRONMENT) ## Run the tests, on SQLite and on a real PostgreSQL
	@sh tools/chromium.sh
	@$(VENV)/bin/pytest -n $(WORKERS) --dist loadgroup $(TESTS)

check: $(ENVIRONMENT) ## Check format, lint, types, templates and tests: all that a change must pass
	@sh tools/chromium.sh
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/djlint --quiet --lint templates
	$(VENV)/bin/pytest -n $(WORKERS) --dist loadgroup

chaos: $(ENVIRONMENT) ## Kill workers and drop connections under 10,000 mails; check every promise
	@$(VENV)/bin/python -m tests.chaos $(CHAOS)

$(ENVIRONMENT): requirements.lock pyproject.toml tools/environment.sh
	@PYTHON="$(PYTHON)" sh tools/environment.sh $(VENV)
	@touch $@
