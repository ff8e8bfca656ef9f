# `make demo` and `make test` do all the set-up on a fresh machine, and nothing twice.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DOCUMENTED := $(VENV)/.documented

# Two processes at once, of one thread each: more threads than cores make everything slower.
export OMP_NUM_THREADS ?= 1

PYTEST := $(BIN)/python -m pytest -n 2 --durations=25

.PHONY: demo test test-fast test-all lint docs performance clean

demo: $(INSTALLED)
	$(BIN)/metabench run point-robot --dataset medium \
		--method meta-dt-plus,meta-dt,prompt-dt,bc,random,teacher --preset demo --seeds 1 --workers 2 \
		--results results/demo
	$(BIN)/metabench leaderboard build --records results/demo --output results/leaderboard
	@echo "The leaderboard of this run: file://$(CURDIR)/results/leaderboard/index.html"

# Every check that a change has to pass.
test: lint
	$(PYTEST) -m "not walk"

# For the loop while one writes: tests of at most a second or two.
test-fast: $(INSTALLED)
	$(PYTEST) -m "not slow and not walk"

# Also the slow walks: the wheel in a fresh environment, the notebook, hostile plugins at every door, long trainings.
test-all: lint
	$(PYTEST)

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation as pages that open from disk. Its packages come into .venv on first use; no other target needs them.
docs: $(DOCUMENTED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "The documentation: file://$(CURDIR)/site/index.html"

performance: $(INSTALLED)
	$(BIN)/python -m pytest tests/performance -o addopts="" -q -s --import-mode=importlib

# The environment, results and caches; published records stay.
clean:
	rm -rf $(VENV) build dist results site metabench.egg-info .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache .grimp_cache

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

$(DOCUMENTED): $(INSTALLED)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@
