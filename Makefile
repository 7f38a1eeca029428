# Every target does all of its own set-up, in this folder, on a machine that has a Rust toolchain,
# a C and a C++ compiler and CPython 3.11 to 3.15 with its headers. PYTHON=... chooses the CPython.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo lab course gallery test check rust-test snapshots python-test test-cpythons conformance fuzz bench requirements clean

VENV := .venv
PY := $(VENV)/bin/python
SUITES = $(wildcard tests/python tests/engine tests/objects tests/notebooks tests/kernel tests/browser tests/docs \
           tests/conformance/test_cpython.py)
SOURCES := $(shell find src python kernel-spec build.rs Cargo.toml Cargo.lock pyproject.toml README.md \
             -type f -not -name '*.pyc')

# The first CPython that can build us and make an environment.
FIND_PYTHON = for p in python3 python3.13 python3.12 python3.11 python3.14 python3.15; do \
  $$p -c 'import ensurepip, os, sys, sysconfig, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 16) \
  or bool(sysconfig.get_config_var("Py_GIL_DISABLED")) \
  or not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' 2>/dev/null \
  && echo $$p && break; done
PYTHON ?= $(shell $(FIND_PYTHON))

say = @printf '\n\033[1m== %s\033[0m\n' $(1)

help:
	@echo 'make demo           runs notebooks/00_quickstart.ipynb in a Jupyter kernel and keeps what it shows'
	@echo 'make lab            opens it in JupyterLab, with the lessons of the course beside it'
	@echo 'make course         runs the lessons and keeps their outputs: LESSONS=notebooks/01_memory_used.ipynb'
	@echo 'make gallery        draws every kind of report, on one page to look at'
	@echo 'make test           every test there is'
	@echo 'make test-cpythons  the engine on every CPython that it serves, 3.11 to 3.15'
	@echo 'make conformance    the tests of CPython, numpy and pandas with the hooks on, valgrind, IPython 7, ipykernel 6, pandas 2, torch'
	@echo 'make fuzz           changed profiles for the reader: FUZZ_SECONDS=600 for each target'
	@echo 'make bench          the overhead, beside memray and tracemalloc: BENCH="--pairs 3 --cells fib"'
	@echo 'make snapshots      renews what the tests hold reports against'
	@echo 'make requirements   new pins for requirements/*.in'
	@echo 'make clean          removes all that the others made here'

demo: $(VENV)/.memprofile
	$(call say,'Running notebooks/00_quickstart.ipynb')
	@$(PY) notebooks/run.py notebooks/00_quickstart.ipynb build/demo

lab: $(VENV)/.memprofile
	@$(PY) notebooks/course.py handout build/lab
	@$(PY) -m jupyterlab $$([ $$(id -u) -ne 0 ] || echo --allow-root) build/lab/00_quickstart.ipynb

course: $(VENV)/.dev $(VENV)/.memprofile
	$(call say,'Running the lessons')
	@$(PY) notebooks/course.py run $(LESSONS)

gallery:
	$(call say,'Drawing every kind of report')
	@cargo run --quiet --locked --example gallery -- build/gallery
	@echo 'Open build/gallery/index.html'

test: check rust-test python-test

check: $(VENV)/.dev $(VENV)/.memprofile
	$(call say,'Format and lints')
	@cargo fmt --version >/dev/null && cargo clippy --version >/dev/null || \
	  { echo 'This Rust toolchain has no rustfmt or clippy: rustup component add rustfmt clippy' >&2; exit 1; }
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	PYO3_PYTHON=$(CURDIR)/$(PY) cargo clippy --locked --features python --lib -- -D warnings
	@# What other platforms have: make conformance measures with it.
	MEMPROFILE_FALLBACK=1 PYO3_PYTHON=$(CURDIR)/$(PY) cargo clippy --locked --features python --lib -- -D warnings
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m mypy.stubtest memprofile._native

rust-test:
	$(call say,'The Rust tests')
	cargo test --locked

snapshots:
	INSTA_UPDATE=always cargo test --locked --test rust snapshots
	@git status --short tests/rust/snapshots

python-test: $(VENV)/.dev $(VENV)/.memprofile
	@tests/browser/chromium --install
	$(call say,'The tests of Python and notebooks and in a browser')
	$(PY) -m pytest $(SUITES)

test-cpythons:
	@tests/cpythons/run

conformance: $(VENV)/.conformance $(VENV)/.memprofile $(VENV)-oldest/.memprofile $(VENV)-torch/.memprofile
	@tests/conformance/valgrind --install
	$(call say,'The tests of CPython with numpy and pandas with the hooks on')
	$(PY) -m pytest tests/conformance --durations=0
	$(call say,'The tests of notebooks with the oldest IPython and pandas that we serve')
	$(VENV)-oldest/bin/python -m pytest tests/python
	$(call say,'The tests of the kernel with ipykernel 6 in it')
	$(VENV)-oldest/bin/python -m pytest tests/kernel --ignore=tests/kernel/test_front_ends.py
	$(call say,'The tests of what tensors hold')
	$(VENV)-torch/bin/python -m pytest tests/objects/test_torch.py

# Environments of their own, with what is pinned in requirements/oldest.txt and, of 5 GB, requirements/torch.txt.
$(VENV)-oldest/.made $(VENV)-torch/.made: $(VENV)-%/.made: requirements/%.txt $(VENV)/.made
	$(call say,'Making $(VENV)-$*')
	$(PY) -m venv --clear $(VENV)-$*
	$(VENV)-$*/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r $<
	@touch $@

$(VENV)-oldest/.memprofile $(VENV)-torch/.memprofile: $(VENV)-%/.memprofile: $(VENV)-%/.made $(VENV)/.memprofile
	$(VENV)-$*/bin/python -m pip install --quiet --no-deps --force-reinstall build/wheels/*.whl
	@touch $@

FUZZ_SECONDS ?= 60
FUZZ_TARGETS := $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))

# No sanitizer: the reader has no unsafe code, and a stable compiler has none.
fuzz: build/fuzz/bin/cargo-fuzz $(VENV)/.memprofile
	$(call say,'Fuzzing for $(FUZZ_SECONDS) s a target')
	@$(PY) fuzz/seeds.py build/fuzz/seeds
	@cargo fetch --quiet --locked --manifest-path fuzz/Cargo.toml
	@for target in $(FUZZ_TARGETS); do \
	  mkdir -p build/fuzz/corpus/$$target; \
	  PATH=$(CURDIR)/build/fuzz/bin:$$PATH cargo fuzz run --sanitizer none --target-dir build/fuzz/target \
	    $$target build/fuzz/corpus/$$target build/fuzz/seeds \
	    -- -max_total_time=$(FUZZ_SECONDS) -max_len=16000 -timeout=120 -verbosity=0 -print_final_stats=1; \
	done

build/fuzz/bin/cargo-fuzz:
	$(call say,'Installing cargo-fuzz')
	cargo install --quiet --locked --version 0.13.2 --root build/fuzz cargo-fuzz

bench: $(VENV)/.bench $(VENV)/.memprofile
	@$(PY) benches/run.py $(BENCH)
	$(call say,'Round trips through the kernels')
	@$(PY) benches/roundtrip.py

# The wheel is built and installed as a user's is: the tests see what a user gets.
$(VENV)/.memprofile: $(VENV)/.demo $(SOURCES)
	@command -v cargo >/dev/null || { echo 'Building needs a Rust toolchain with cargo: see https://rustup.rs' >&2; exit 1; }
	$(call say,'Building the wheel')
	rm -rf build/wheels
	$(PY) -m maturin build --release --locked --compatibility linux --interpreter $(PY) --out build/wheels
	$(PY) -m pip install --quiet --no-deps --force-reinstall build/wheels/*.whl
	@touch $@

$(VENV)/.made:
	@test -n '$(PYTHON)' || { echo 'No CPython 3.11 to 3.15 with headers and venv was found. Install one (on Debian: apt-get install python3-dev python3-venv) or name it: make demo PYTHON=/path/to/python3' >&2; exit 1; }
	$(call say,'Making $(VENV) with $(PYTHON)')
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.demo $(VENV)/.dev $(VENV)/.bench $(VENV)/.conformance: $(VENV)/.%: requirements/%.txt $(VENV)/.made
	$(call say,'Installing $<')
	$(PY) -m pip install --disable-pip-version-check --no-input --require-hashes -r $< | { grep -v 'already satisfied' || true; }
	@touch $@

requirements: $(VENV)/.made
	$(PY) -m pip install --quiet --disable-pip-version-check uv
	for set in bench dev demo conformance oldest torch; do \
	  pins=$$([[ $$set == @(bench|oldest) ]] || echo '-c requirements/bench.txt'); \
	  $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-annotate --custom-compile-command 'make requirements' \
	    $$pins requirements/$$set.in -o requirements/$$set.txt; \
	done

clean:
	rm -rf build target fuzz/artifacts $(VENV) $(VENV)-oldest $(VENV)-torch
	@echo 'Kept: the Debian root of make test-cpythons. tests/cpythons/root --remove deletes it.'
