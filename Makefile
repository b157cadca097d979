# make demo   set up, then serve the app on http://127.0.0.1:7860 with the shipped weights
# make test   set up, then lint, check types and run the tests
#
# Everything is installed into .venv, once. PYTHON chooses the interpreter (3.10 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint clean

demo: $(VENV)/app.done
	$(BIN)/python app.py

# WORKERS tests at a time, of one thread each: two cores are what it is meant for.
WORKERS := 2
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

lint: $(VENV)/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy app.py unit train

clean:
	rm -rf $(VENV)

# Without an NVIDIA card, take PyTorch's small CPU-only build (200 MB instead of 3 GB). Where its index does not answer,
# the line after it takes the usual build, which runs on a CPU just as well.
CPU_INDEX := https://download.pytorch.org/whl/cpu
export PROBE := import urllib.request; urllib.request.urlopen("$(CPU_INDEX)/torch/", timeout=5)

$(VENV)/app.done: requirements.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and 'Python 3.10 or newer is needed: make PYTHON=python3.11')"
	$(PYTHON) -m venv $(VENV)
	if ! command -v nvidia-smi >/dev/null && $(BIN)/python -c "$$PROBE" 2>/dev/null; then \
		$(PIP) --index-url $(CPU_INDEX) $$(grep '^torch' requirements.txt); fi
	$(PIP) -r requirements.txt
	touch $@

$(VENV)/test.done: $(VENV)/app.done train/requirements.txt tests/requirements.txt
	$(PIP) -r train/requirements.txt -r tests/requirements.txt
	touch $@
