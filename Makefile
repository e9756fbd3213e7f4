# Everything here works in a fresh clone: Python 3.11+ is all that must be installed.

PYTHON ?= python3
BIN := .venv/bin
export AFDCD_STORAGE ?= $(CURDIR)/runs

.PHONY: demo test check format lock clean

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

.venv/installed: requirements.lock pyproject.toml setup.py install.py install_errors.py
	@$(PYTHON) install.py

lock:  # OPTIONS=--upgrade takes the newest versions
	@$(PYTHON) install.py lock $(OPTIONS)

clean:
	rm -rf .venv build *.egg-info runs
