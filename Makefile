# Everything here works in a fresh clone: Python 3.11+ is all that must be installed.

PYTHON ?= python3
BIN := .venv/bin
export AFDCD_STORAGE ?= $(CURDIR)/runs

.PHONY: demo test check format clean

demo: .venv/installed
	$(BIN)/python -m afdcd.tune search_spaces/quickstart.yaml

test: .venv/installed
	$(BIN)/python -m pytest

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	for space in search_spaces/*.yaml; do $(BIN)/python -m afdcd.tune --check $$space data.root=unprepared || exit 1; done

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $$($(PYTHON) --version) is too old; run make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

clean:
	rm -rf .venv runs
