# `make demo` and `make test` do all their set-up by themselves; `make help` lists the rest.
MAKEFLAGS += --no-print-directory
VENV := .venv
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

.PHONY: help demo test setup bench bench-quorum faults fuzz agree tokens lint fmt lock clean python
help:
	@echo 'make demo            rehearse a ceremony on a real UKI, full screen'
	@echo '    AUTO=1           answer from a script, then list the outputs'
	@echo '    IMAGE=FILE       rehearse with another UKI'
	@echo '    DIR=FOLDER       in this folder (otherwise a new one under rehearsal/)'
	@echo 'make test            format, lint, types, import layers and tests, on the installed wheel'
	@echo 'make setup           only the set-up of the demo: .venv/bin/uki-ceremony'
	@echo 'make bench           signing measured against its peers, about three minutes'
	@echo 'make faults          every fault at every write of a ceremony, about ten minutes'
	@echo 'make bench-quorum    the quorum measured against its peers, about two minutes'
	@echo 'make bench-replay    replay of a large image, a long transcript, a thousand ceremonies'
	@echo 'make bench-auditing  replay and the stand-alone auditor beside sha256sum'
	@echo 'make fuzz            generated images, an hour for each machine (MINUTES=N)'
	@echo 'make agree           every mutated bundle through replay and the stand-alone auditor'
	@echo 'make tokens          the virtual card pulled at every command, about five minutes'
	@echo 'make lint | fmt      the checks without the tests | write the formatting'
	@echo 'make lock            write requirements/*.lock anew (needs uv)'
	@echo 'make clean           remove .venv and caches; rehearsals stay'

demo: setup
	@sh scripts/demo.sh '$(DIR)' '$(IMAGE)' '$(AUTO)'

test: checks
	cd $(VENV) && bin/python -I -m pytest -n auto -c ../pyproject.toml --rootdir .. ../tests

lint: checks

setup: python
	@$(PYTHON) scripts/bootstrap.py demo

bench: setup
	$(VENV)/bin/python bench/signing.py --output docs/benchmarks/signing.md

faults: tools
	cd $(VENV) && UKI_CEREMONY_FAULTS=1 bin/python -I -m pytest -s -n 0 -c ../pyproject.toml \
	    --rootdir .. ../tests/durability

bench-quorum: setup
	$(VENV)/bin/python bench/quorum --output docs/benchmarks/quorum.md

.PHONY: bench-replay
bench-replay: setup
	$(VENV)/bin/python bench/replay.py --output docs/benchmarks/replay.md

.PHONY: bench-auditing
bench-auditing: setup
	$(VENV)/bin/python bench/auditing.py --output docs/benchmarks/auditing.md

fuzz: tools
	cd $(VENV) && UKI_CEREMONY_FUZZ_MINUTES=$(or $(MINUTES),60) bin/python -I -m pytest -n auto \
	    -c ../pyproject.toml --rootdir .. ../tests/pe/test_generated.py
	cd $(VENV) && UKI_CEREMONY_EVERY_BYTE=1 UKI_CEREMONY_RUNS=5000 bin/python -I -m pytest -n auto \
	    -c ../pyproject.toml --rootdir .. ../tests/transcripts/test_every_byte.py \
	    ../tests/transcripts/test_runs.py

agree: tools
	cd $(VENV) && UKI_CEREMONY_MUTATIONS=all bin/python -I -m pytest -n auto \
	    -c ../pyproject.toml --rootdir .. ../tests/auditor/test_agreement.py

.PHONY: checks tools
tools: python
	@$(PYTHON) scripts/bootstrap.py test

tokens: tools
	cd $(VENV) && UKI_CEREMONY_TOKENS=every bin/python -I -m pytest -c ../pyproject.toml \
	    --rootdir .. ../tests/tokens ../tests/hsm/test_bad_input.py

checks: tools
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

fmt: tools
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

lock:
	scripts/lock.sh

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

python:
	@test -n '$(PYTHON)' || { echo 'set-up: stopped, no Python 3.11 or newer on the PATH;' \
	    'run: sudo apt-get install python3, or: make PYTHON=/path/to/python3' >&2; exit 3; }
