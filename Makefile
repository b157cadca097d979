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

test: lint
	$(BIN)/python -m pytest -m "not slow"

lint: $(VENV)/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy app.py unit train

clean:
	rm -rf $(VENV)

# Without an NVIDIA card, first try PyTorch's small CPU-only build (200 MB instead of 3 GB). Where its index does not
# answer, the next line takes the usual build, which runs on a CPU just as well.
$(VENV)/app.done: requirements.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and 'Python 3.10 or newer is needed: make PYTHON=python3.11')"
	$(PYTHON) -m venv $(VENV)
	command -v nvidia-smi >/dev/null || $(PIP) --retries 0 --timeout 5 \
		--index-url https://download.pytorch.org/whl/cpu $$(grep '^torch' requirements.txt) 2>/dev/null || true
	$(PIP) -r requirements.txt
	touch $@

$(VENV)/test.done: $(VENV)/app.done train/requirements.txt tests/requirements.txt
	$(PIP) -r train/requirements.txt -r tests/requirements.txt
	touch $@
