# Everything a person does with this repository. `make` prints the targets.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/sh

MEDIA ?=
PORT ?= 8080
METRICS_PORT ?= 0
DATA ?= var
TESTS ?= tests
WORKERS ?= logical
ROUNDS ?= 20
SEED ?=

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
PACKAGES := . services/scheduler services/cpu_worker services/gpu_worker services/gateway services/immich_agent
WEB := services/gateway/web
SERVICES := scheduler cpu_worker gpu_worker gateway immich_agent
PROJECTS := $(patsubst %,%/pyproject.toml,$(PACKAGES))
PROTOS := $(wildcard protos/callsheet/v1/*.proto protos/externalscaler/*.proto)
MIGRATIONS := services/scheduler/src/callsheet_scheduler/store/migrations
GATES := check-format check-lint check-types-mypy check-types-pyright check-imports check-protos check-sql check-page verify

export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
# Behind a proxy that signs for itself only the machine's own certificates will do.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem /etc/pki/tls/certs/ca-bundle.crt),)
export UV_SYSTEM_CERTS := 1
endif
export MEDIA PORT DATA METRICS_PORT

.PHONY: help
help: ## Print this.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: $(VENV)/local.stamp ## Start everything here: make run [MEDIA=/path] [PORT=8080] [DATA=var] [METRICS_PORT=9100]; Ctrl-C ends it.
	@$(BIN)/python $(WEB)/build.py --optional
	@set -- up --port "$$PORT" --data "$$DATA" --metrics-port "$$METRICS_PORT"; \
	if [ -n "$$MEDIA" ]; then set -- "$$@" --media "$$MEDIA"; fi; \
	exec $(BIN)/callsheet "$$@"

.PHONY: page
page: $(VENV)/local.stamp ## Build the page that the gateway serves; what is built already stays.
	@$(BIN)/python $(WEB)/build.py

.PHONY: test
test: $(VENV)/dev.stamp ## Run all tests in parallel: make test [TESTS=tests/unit] [WORKERS=logical].
	@$(BIN)/python $(WEB)/build.py --optional
	@$(BIN)/pytest -q -rs --durations 40 --durations-min 3 -n $(WORKERS) --dist worksteal $(TESTS)

.PHONY: nemesis
nemesis: $(VENV)/dev.stamp ## Strike real processes and judge what they did: make nemesis [ROUNDS=20] [SEED=n].
	@$(BIN)/python -m tests.nemesis --rounds "$(ROUNDS)" $(if $(SEED),--seed "$(SEED)")

.PHONY: test/simulation
test/simulation: $(VENV)/dev.stamp ## Break the simulated system: make test/simulation [SEEDS=0:4000].
	@SIMULATION_SEEDS="$(or $(SEEDS),0:4000)" $(BIN)/pytest -q -n $(WORKERS) --dist worksteal tests/simulation

.PHONY: test/gpus
test/gpus: $(VENV)/dev.stamp ## Rounds of chance with GPU workers on a real database: make test/gpus [GPU_ROUNDS=1000] [SEED=n].
	@GPU_ROUNDS="$(or $(GPU_ROUNDS),1000)" GPU_SEED="$(or $(SEED),1)" $(BIN)/pytest -q -s tests/integration/test_gpu_rounds.py

.PHONY: test/api
test/api: $(VENV)/dev.stamp ## Try every endpoint by chance, against its description and with hostile bytes: make test/api [API_EXAMPLES=50].
	@API_EXAMPLES="$(or $(API_EXAMPLES),50)" $(BIN)/pytest -q tests/integration/test_hostile_requests.py

.PHONY: test/kills
test/kills: $(VENV)/dev.stamp ## Kill workers at random instants of every job type: make test/kills [KILL_ROUNDS=100] [SEED=n] [KILL_TYPES="scan validate"].
	@KILL_ROUNDS="$(or $(KILL_ROUNDS),100)" KILL_SEED="$(SEED)" KILL_TYPES="$(KILL_TYPES)" $(BIN)/pytest -q -s --log-cli-level=info tests/integration/test_killed_at_random.py

.PHONY: test/deploy
test/deploy: $(VENV)/dev.stamp ## Build the images, bring up docker-compose.yml, play deploy/k8s: needs root, podman, buildah, runc, debootstrap.
	@tests/deploy/trial.sh

.PHONY: test/alerts
test/alerts: $(VENV)/dev.stamp ## Bring about what each alert is for, and see a real Prometheus fire it: needs Debian's prometheus, takes 10 minutes.
	@$(BIN)/python -m tests.deploy.alerts_trial

.PHONY: wheels
wheels: $(VENV)/dev.stamp ## Build the wheels and sdists of every package into build/wheels, the page among them.
	@$(BIN)/python $(WEB)/build.py
	@rm -rf build/wheels && for package in $(PACKAGES); do \
		(cd "$$package" && "$(CURDIR)/$(BIN)/hatchling" build -t wheel -t sdist -d "$(CURDIR)/build/wheels") || exit; \
	done

.PHONY: test/wheels
test/wheels: wheels ## Install the wheels into an empty environment, bring all up there and scan a folder.
	@tests/deploy/wheels_trial.sh build/wheels

.PHONY: sbom
sbom: $(VENV)/uv.stamp ## Say by CycloneDX what the locks hold, build/sbom.
	@mkdir -p build/sbom && for service in local $(SERVICES); do \
		$(UV) tool run --from cyclonedx-bom==7.5.0 cyclonedx-py requirements "requirements/$$service.txt" \
			--output-reproducible --output-file "build/sbom/$$service.cdx.json" || exit; \
	done

.PHONY: check
check: $(VENV)/dev.stamp ## Format, lint, types, import contracts, protos, SQL, generated files.
	@$(MAKE) --no-print-directory --keep-going --output-sync=target -j2 $(GATES)
	@echo 'All checks passed.'

.PHONY: bench
bench: $(VENV)/dev.stamp ## Measure the queue.
	@$(BIN)/python -m bench.queue

.PHONY: bench/peers
bench/peers: $(VENV)/dev.stamp ## Measure the queue beside graphile-worker (needs Node) and pgqueuer.
	@$(BIN)/python -m bench.peers

.PHONY: bench/media
bench/media: $(VENV)/dev.stamp ## Measure a check, a thumbnail and a re-encode beside ffprobe and ffmpeg.
	@$(BIN)/python -m bench.media

.PHONY: bench/gateway
bench/gateway: $(VENV)/dev.stamp ## Measure REST beside gRPC, with 1,000,000 jobs of history, and with 1,000 who listen.
	@$(BIN)/python -m bench.gateway

.PHONY: bench/chunks
bench/chunks: $(VENV)/dev.stamp ## Measure a long video on two workers of one core each beside one.
	@$(BIN)/python -m bench.chunks

.PHONY: bench/immich
bench/immich: $(VENV)/dev.stamp ## Drain a simulated Immich server by its daemon's algorithm and by our policy.
	@$(BIN)/python -m bench.immich

.PHONY: bench/cache
bench/cache: $(VENV)/dev.stamp ## Measure cache building beside a plain script, vipsthumbnail and ffmpegthumbnailer.
	@$(BIN)/python -m bench.cache

.PHONY: format
format: $(VENV)/dev.stamp ## Write code and protos in their form.
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .
	@$(BIN)/buf format --write
	@$(BIN)/python $(WEB)/build.py --format

.PHONY: proto
proto: $(VENV)/dev.stamp ## Write the stubs of the protos, src/callsheet/v1.
	@$(call generate,src)

.PHONY: docs
docs: $(VENV)/dev.stamp ## Write docs/reference from the code.
	@$(BIN)/python -m docs.generate

.PHONY: verify
verify: $(VENV)/dev.stamp ## See that what is generated is what would be generated.
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && $(call generate,"$$folder") && \
	for made in "$$folder"/callsheet/v1/*; do \
		cmp "$$made" "src/callsheet/v1/$${made##*/}" || { echo 'Stubs and protos differ: run `make proto`.'; exit 1; }; \
	done
	@$(BIN)/python -m docs.generate --check

.PHONY: lock
lock: $(VENV)/uv.stamp ## Choose the newest versions again, requirements/*.txt.
	@$(call compile,--upgrade requirements/uv.in,uv)
	@$(call compile,--upgrade requirements/node.in,node)
	@$(call compile,--upgrade --all-extras $(PROJECTS) requirements/build.in requirements/dev.in,dev)
	@$(call compile,--constraint requirements/dev.txt --all-extras $(PROJECTS) requirements/build.in,local)
	@$(call compile,--constraint requirements/dev.txt services/gpu_worker/pyproject.toml requirements/build.in requirements/cuda.in,gpu_worker_cuda)
	@$(foreach service,$(SERVICES),$(call compile,--constraint requirements/dev.txt services/$(service)/pyproject.toml requirements/build.in,$(service)) &&) true

.PHONY: clean
clean: ## Remove what was installed and cached; keeps DATA.
	@rm -rf $(VENV) .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@rm -rf $(WEB)/node_modules services/gateway/src/callsheet_gateway/page
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: $(filter check-%,$(GATES))
check-format: $(VENV)/dev.stamp
	@$(BIN)/ruff format --check .
check-lint: $(VENV)/dev.stamp
	@$(BIN)/ruff check .
check-types-mypy: $(VENV)/dev.stamp
	@$(BIN)/mypy
check-types-pyright: $(VENV)/dev.stamp
	@$(BIN)/basedpyright --level error
check-imports: $(VENV)/dev.stamp
	@$(BIN)/lint-imports
check-protos: $(VENV)/dev.stamp
	@$(BIN)/buf lint && $(BIN)/buf format --diff --exit-code
check-sql: $(VENV)/dev.stamp
	@$(BIN)/squawk $(MIGRATIONS)/*.sql
check-page: $(VENV)/dev.stamp
	@$(BIN)/python $(WEB)/build.py --check

# Stubs of all protos below a folder; those of KEDA's contract lie beside ours.
generate = $(BIN)/python -m grpc_tools.protoc -Icallsheet/v1=protos/externalscaler -Iprotos \
	--plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
	--python_out=$(1) --grpc_python_out=$(1) --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) $(PROTOS)

# A lock: every platform, hashes, no addresses.
compile = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --no-emit-package callsheet $(patsubst %,--no-emit-package callsheet_%,$(SERVICES)) \
	--custom-compile-command 'make lock' $(1) --output-file requirements/$(2).txt

# What is installed: each stamp is as old as the installation that it stands for.
$(VENV)/uv.stamp: requirements/uv.txt
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { $(make-venv); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/uv.txt
	@touch $@

$(VENV)/local.stamp: $(VENV)/uv.stamp requirements/local.txt $(PROJECTS)
	@echo 'Installing what Callsheet needs into $(VENV) ...'
	@$(call install,local)
	@touch $@

$(VENV)/dev.stamp: $(VENV)/uv.stamp requirements/dev.txt $(PROJECTS)
	@echo 'Installing what checks and tests need into $(VENV) ...'
	@$(call install,dev)
	@touch $@ $(VENV)/local.stamp

# The first Python that will do, or one sentence about what is missing.
make-venv = for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		bare="$$python"; \
		"$$python" -c 'import ensurepip, venv' 2>/dev/null || continue; \
		exec "$$python" -m venv --clear $(VENV); \
	done; \
	if [ -n "$$bare" ]; then echo "$$bare has no venv module: install it (on Debian the package python3-venv)." >&2; \
	else echo 'Callsheet needs Python 3.11 or newer and found none: install it, or name it with PYTHON=/path/to/python3.' >&2; fi; \
	exit 1

install = $(UV) pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements/$(1).txt && \
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(patsubst %,--editable %,$(PACKAGES))
