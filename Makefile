# Two commands: make demo, make test. Both make .venv first if it is not there.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# No telemetry, no server, no network at run time.
export DO_NOT_TRACK := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export MLFLOW_DISABLE_TELEMETRY := true
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup demo test lint docs bench-maps pretrain clean help

help:  ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(STAMP)  ## Make .venv with the camvib command in it

# torch first and alone: the CPU build serves, and no CUDA package comes with it.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "camvib needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing PyTorch for CPU …"
	$(BIN)/pip install -qq -c constraints.txt torch
	@echo "Installing camvib and what it needs: a few minutes, once …"
	$(BIN)/pip install -qq -c constraints.txt -e '.[test]'
	touch $(STAMP)

demo: $(STAMP)  ## Simulate, train, register, diagnose, report (about 3 minutes)
	CAMVIB_HOME=$(CURDIR)/camvib-demo/home $(BIN)/camvib demo --out camvib-demo

# A file's tests stay together: they share what was trained for them. Threads of each would fight for the same cores.
test: $(STAMP)  ## Run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

lint: $(STAMP)  ## ruff, mypy, import contracts
	$(BIN)/ruff check camvib pipelines tests docs/tutorial/digits
	$(BIN)/ruff format --check camvib pipelines tests docs/tutorial/digits
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)  ## Write the API reference, from the docstrings, to build/api
	$(BIN)/pdoc --docformat numpy --output-directory build/api camvib '!camvib.cli' '!camvib.pipelines' '!camvib.registry.pyfunc'

bench-maps: $(STAMP)  ## Train the map networks and score their maps against simulated truth (an hour)
	$(BIN)/python tests/benchmarks/bench_maps.py

pretrain: $(STAMP)  ## Make the change network that ships with camvib again, from its seeds (hours)
	$(BIN)/python -m camvib.learning.pretrain --out camvib/networks/weights

clean:  ## Remove what make made
	rm -rf .venv build *.egg-info camvib-demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
