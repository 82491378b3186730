# `make` prints the targets. Needs Python 3.11 or newer with pip and venv; everything else it installs.

MEDIA ?=
PORT ?= 8080
DATA ?= var
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

VENV := .venv
BIN := $(VENV)/bin
UV := UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv
UV_VERSION := 0.13.8
PACKAGES := -e . -e services/scheduler -e services/cpu_worker -e services/gpu_worker -e services/gateway
PROJECTS := pyproject.toml $(wildcard services/*/pyproject.toml)
SOURCES := src services bench tests docs
SERVICES := cpu_worker gateway gpu_worker scheduler
COMPILE := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-header --no-annotate
PROTOS := $(wildcard protos/callsheet/v1/*.proto)
PROTOC := $(BIN)/python -m grpc_tools.protoc -Iprotos --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy \
	--plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc

.DEFAULT_GOAL := help
.PHONY: help run test check bench proto verify format lock docs clean

help: ## print the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

run: $(VENV)/local.stamp ## scan MEDIA (or a sample library) and serve it: make run [MEDIA=/path] [PORT=8080] [DATA=var]
	@exec $(BIN)/callsheet up $(if $(MEDIA),--media "$(MEDIA)") --port "$(PORT)" --data "$(DATA)"

test: $(VENV)/dev.stamp ## run all tests, in parallel
	$(BIN)/python -m pytest -n logical --dist worksteal -rs -q

check: $(VENV)/dev.stamp ## format, lint, types, import contracts, protos, SQL, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	$(BIN)/squawk services/scheduler/src/callsheet_scheduler/store/migrations/*.sql
	@$(MAKE) --no-print-directory verify

bench: $(VENV)/dev.stamp ## measure the queue on this machine
	$(BIN)/python -m bench.queue

proto: $(VENV)/dev.stamp ## generate the stubs from the protos
	$(PROTOC) --python_out=src --grpc_python_out=src --mypy_out=src --mypy_grpc_out=src $(PROTOS)

verify: $(VENV)/dev.stamp ## compare generated files with what would be generated
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(PROTOC) --python_out=$$folder --grpc_python_out=$$folder --mypy_out=$$folder \
		--mypy_grpc_out=$$folder $(PROTOS) 2>/dev/null && \
	for file in $$folder/callsheet/v1/*; do \
		cmp -s $$file src/callsheet/v1/$$(basename $$file) || { \
			echo "src/callsheet/v1/$$(basename $$file) is out of date: run make proto"; exit 1; }; \
	done
	$(BIN)/python docs/generate.py --check

docs: $(VENV)/dev.stamp ## generate the reference documents from the code
	$(BIN)/python docs/generate.py

format: $(VENV)/dev.stamp ## format the code
	$(BIN)/ruff check -q --fix-only .
	$(BIN)/ruff format .

lock: $(VENV)/uv.stamp ## resolve the requirements again
	$(COMPILE) requirements/local.in -o requirements/local.txt
	$(COMPILE) requirements/dev.in -o requirements/dev.txt

clean: ## remove what was built; media data in DATA stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/uv.stamp: Makefile
	@test -n "$(PYTHON)" || { echo "Callsheet needs Python 3.11 or newer; none was found. Set PYTHON=/path/to/python3."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "$(PYTHON) has no venv module: install it (on Debian: python3-venv), or set PYTHON=/path/to/python3."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(VENV)/local.stamp: $(VENV)/uv.stamp requirements/local.txt $(PROJECTS)
	@echo "Installing what Callsheet needs into $(VENV) ..."
	@test -e $(VENV)/dev.stamp || $(UV) pip install -q --require-hashes -r requirements/local.txt
	@$(UV) pip install -q --no-deps --no-build-isolation $(PACKAGES)
	@touch $@

$(VENV)/dev.stamp: $(VENV)/uv.stamp requirements/dev.txt $(PROJECTS)
	@echo "Installing what checks and tests need into $(VENV) ..."
	@$(UV) pip install -q --require-hashes -r requirements/dev.txt
	@$(UV) pip install -q --no-deps --no-build-isolation $(PACKAGES)
	@touch $@ $(VENV)/local.stamp
