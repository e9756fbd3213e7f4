# Everything here works in a fresh clone: Python 3.11+ is all that must be installed.

PYTHON ?= python3
BIN := .venv/bin
export AFDCD_STORAGE ?= $(CURDIR)/runs
# Dozens of processes import the same thousands of modules: compiled once, whatever the shell says.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test test-slow test-all test-hosts test-cluster check format lock clean

demo: .venv/installed
	$(BIN)/python -m afdcd.tune search_spaces/quickstart.yaml

# Two processes; which tests share one, and which come first: tests/conftest.py.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder --durations=15

test: .venv/installed
	$(PYTEST) -m "not slow and not cluster"

test-slow: .venv/installed
	$(PYTEST) -m "slow and not cluster"

test-all: test test-slow

# What of the next fits in six minutes: `ray up` and a Slurm job on hosts in network namespaces, as root.
test-hosts: .venv/installed
	$(BIN)/python -m pytest --durations=15 -rs -o faulthandler_timeout=3700 tests/cluster/test_ray_up.py tests/cluster/test_slurm_job.py

# Images, docker/compose.yaml, the pods of cluster/jobs, several hosts: as root, with podman; an hour.
test-cluster: .venv/installed
	$(BIN)/python -m pytest --durations=15 -rs -o faulthandler_timeout=3700 tests/cluster

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	for space in $(filter-out %/custom.yaml,$(wildcard search_spaces/*.yaml)); do $(BIN)/python -m afdcd.tune --check $$space data.root=unprepared --cluster 8xH200 || exit 1; done

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python -m tests.variables

.venv/installed: requirements.lock pyproject.toml setup.py install.py install_errors.py
	@$(PYTHON) install.py

lock:  # OPTIONS=--upgrade takes the newest versions
	@$(PYTHON) install.py lock $(OPTIONS)

clean:
	rm -rf .venv build *.egg-info runs
