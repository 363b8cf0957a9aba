# Everything is installed into .venv, and nowhere else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test bench check clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target what; do \
	    printf '  make %-6s %s\n' "$$target" "$$what"; done

demo: $(INSTALLED) ## Run a real cohort on a real Airflow and the emulator; DEMO_EXIT=1 ends it by itself
	@$(BIN)/python -m tests.system.demo

test: $(INSTALLED) ## Run all tests but the benchmarks
	@echo "Running the tests ..."
	@$(BIN)/python -m pytest --numprocesses auto --dist loadgroup

bench: $(INSTALLED) ## Measure what the package costs, beside what a user would do instead
	@$(BIN)/python -m tests.benchmarks

check: $(INSTALLED) ## Check format, lint and types, and that the built wheel works by itself
	@echo "Checking the format ..."
	@$(BIN)/ruff format --check .
	@echo "Linting ..."
	@$(BIN)/ruff check .
	@echo "Checking the types ..."
	@$(BIN)/mypy
	@.ci/check-wheel

clean: ## Remove what the other targets have made
	rm -rf $(VENV) .venv-awscli .bench .demo build dist .coverage .mypy_cache .pytest_cache .ruff_cache

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    found=$$($(PYTHON) -c 'import sys; print("is %d.%d.%d" % sys.version_info[:3])' 2>/dev/null); \
	    echo "Python 3.11 or newer is needed, and $(PYTHON) $${found:-does not run}; choose another:" \
	        "make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -qq --disable-pip-version-check --constraint constraints.txt uv
	@echo "Installing Airflow, the provider and its tools into $(VENV), as pinned by constraints.txt ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --constraint constraints.txt \
	    --editable '.[emulator]' --group dev
	@touch $@
