# `make` alone lists the targets. Everything a target needs beyond Debian, make and Python 3.11 is installed by `setup`.
SHELL := /bin/bash
PYTHON ?= $(firstword $(shell command -v python3.11 python3))
BIN := .venv/bin
UV := $(BIN)/uv pip
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
PIN_UV := $(shell sed -n 's/^\(uv==[0-9.]*\).*/\1/p' requirements.txt)

# Hundreds of processes of Python start here: each would compile all that it imports again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup wheel tools demo up down status test pictures reference fuzz test-cluster test-learners test-faults lint audit-dependencies format bench lock image pin-images compose-env quotas clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready ## Install what the project needs into .venv, and fix what is no longer as the lock says
	@damaged=$$($(PYTHON) scripts/check-environment .venv requirements.txt trainyard-client) || { \
		echo "Mending in .venv:" $$damaged; \
		$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv; \
		$(BIN)/uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --force-reinstall '$(PIN_UV)'; \
		$(UV) sync --quiet --python $(BIN)/python $$(printf -- '--reinstall-package %s ' $$damaged) requirements.txt && \
		$(UV) install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable . && touch .venv/ready; }
	@$(BIN)/python -m trainyard.local.training.prefix
	@$(MAKE) -s --no-print-directory $(PACKAGES)/.package-lock.json

# Script and style of the pages, from npm. npm writes that file last. Without npm to be had pages do without, and say so.
PACKAGES := include/trainyard/web/node_modules
$(PACKAGES)/.package-lock.json: include/trainyard/web/package.json include/trainyard/web/package-lock.json
	@command -v npm >/dev/null || scripts/debian-packages npm || true
	@cd include/trainyard/web && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null && touch node_modules/.package-lock.json || \
		echo "The packages of the pages were not installed: curves and /v3/docs are blank until \`make setup\` can install them." >&2

.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || scripts/debian-packages python3-venv
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(PIN_UV)'
	@$(UV) sync --quiet --python $(BIN)/python requirements.txt
	@$(UV) install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

wheel: setup ## Build the wheel of the command line and the Python API into dist/; it installs without Airflow
	@mkdir -p dist && $(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir dist . && ls dist/trainyard_client-$(VERSION)-*.whl

tools: .venv/swiftcloud/ready .venv/mlflow/ready ## Install what only the tests need: kubectl, busybox, a browser, Open MPI; apart, Swift with Keystone and MLflow
	@command -v kubectl >/dev/null || scripts/debian-packages kubernetes-client
	@command -v busybox >/dev/null || scripts/debian-packages busybox
	@command -v chromium >/dev/null || scripts/debian-packages chromium
	@command -v mpirun >/dev/null || scripts/debian-packages openmpi-bin

# Environments that stand apart, since what is in them wants other versions of what we need.
APART := .venv/swiftcloud/ready .venv/mlflow/ready .venv/fuzz/ready .venv/bench/ready .venv/advisories/ready
.venv/swiftcloud/ready: tests/swiftcloud/requirements.txt
.venv/mlflow/ready: tests/mlflowserver/requirements.txt
.venv/fuzz/ready: tests/fuzz/requirements.txt
.venv/bench/ready: bench/requirements.txt
.venv/advisories/ready: scripts/advisories/requirements.txt
$(APART): | .venv/ready
	@test -x $(@D)/bin/python || $(PYTHON) -m venv --without-pip $(@D)
	@$(UV) sync --quiet --python $(@D)/bin/python $<
	@touch $@

# The build of torch for processors, from a folder of wheels that pip is told of, else from PyTorch's own index.
.venv/learners/ready: tests/learners/requirements.txt | .venv/ready
	@test -x $(@D)/bin/python || $(PYTHON) -m venv --without-pip $(@D)
	@UV_FIND_LINKS="$$PIP_FIND_LINKS" $(UV) sync --quiet --python $(@D)/bin/python $< 2>/dev/null || \
		$(UV) sync --quiet --torch-backend cpu --python $(@D)/bin/python $<
	@touch $@

demo: setup ## Start the one-machine stack, train the digits example, show the trained model
	@$(BIN)/trainyard up
	@$(BIN)/python -m trainyard.local.demo

up: setup ## Start the one-machine stack
	@$(BIN)/trainyard up

down: ## Stop the one-machine stack; its state stays in .trainyard/
	@test ! -x $(BIN)/trainyard || $(BIN)/trainyard down

status: setup ## Say what of the stack runs, and where
	@$(BIN)/trainyard status

test: setup tools ## Run all tests
	@$(BIN)/python -m pytest -n 4 --dist loadgroup

# Only what this command line says: nobody's cluster is to be tested because a shell happens to name it.
SAID = $(foreach name,KUBECONFIG WORKSPACE NAMESPACE IMAGE,$(if $(filter command%,$(origin $(name))),CLUSTER_$(name)='$($(name))'))
test-cluster: setup ## Train on KUBECONFIG=… WORKSPACE=… [NAMESPACE=… IMAGE=…], or on a local cluster: docs/test-cluster.md
	@$(SAID) $(BIN)/python -m pytest tests/cluster -n 0 -vv --durations=5

test-learners: setup tools .venv/learners/ready ## Train on several learners with PyTorch and mpi4py, which it installs apart (0.8 GB)
	@$(BIN)/python -m pytest tests/integration/test_learner_programs.py -n 0 -vv --durations=5

# One seed for all of a run of make; SEED itself stays empty, since `test-faults` has seeds of another form.
NEW_SEED = $(eval NEW_SEED := $(shell od -An -N4 -tx4 /dev/urandom | tr -d ' '))$(NEW_SEED)
MANIFESTS ?= 10000
ZIPS ?= 500
REQUESTS ?= 20
SECONDS ?= 60
fuzz: $(if $(filter atheris,$(ENGINE)),.venv/fuzz/ready,setup) ## Submit hostile input: SEED MANIFESTS ZIPS REQUESTS; or ENGINE=atheris SECONDS
ifeq ($(ENGINE),atheris)
	@PYTHONPATH=tests:include .venv/fuzz/bin/python -m fuzz.guided .fuzz/corpus -artifact_prefix=.fuzz/ -max_total_time=$(SECONDS) -max_len=4096
else
	@PYTHONPATH=tests $(BIN)/python -m fuzz --seed $(or $(SEED),$(NEW_SEED)) --manifests $(MANIFESTS) --zips $(ZIPS)
	@test $(REQUESTS) = 0 || FUZZ_SEED=$(or $(SEED),$(NEW_SEED)) FUZZ_EXAMPLES=$(REQUESTS) $(BIN)/python -m pytest -n 0 tests/dags/test_fuzzed_api.py
endif

FAULTS ?= 200
test-faults: setup tools ## Do FAULTS=200 faults at random to a stack under load, or to a search with SEARCH=1; the same again with SEED=N, some kinds with ONLY=…
	@PYTHONPATH=tests:tests/e2e $(BIN)/python -m $(if $(SEARCH),faults.search,faults) --faults $(FAULTS) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))

lint: setup ## Check style, types, formatting and known advisories; fixes nothing
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(call ADVISORIES,--offline-ok)

# Without PyPI pip-audit cannot be installed either, which the check reports as it does an index without advisories.
ADVISORIES = $(MAKE) --no-print-directory .venv/advisories/ready >/dev/null 2>&1; $(BIN)/python scripts/advisories/check.py $(1)
audit-dependencies: setup ## Compare the locked dependencies with the known advisories; fails where those cannot be had
	@$(call ADVISORIES)

reference: setup ## Write docs/reference from the code
	@$(BIN)/python scripts/reference.py docs/reference

pictures: docs/pictures/architecture.svg ## Draw the pictures of the docs from their text
docs/pictures/%.svg: docs/pictures/%.dot
	@command -v dot >/dev/null || scripts/debian-packages graphviz
	@dot -Tsvg $< > $@.part && mv $@.part $@

format: setup ## Format the code
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: setup .venv/bench/ready ## Measure speed, PART="start list drops" or all; prints a table and keeps the figures in bench/results/
	@PYTHONPATH=tests $(BIN)/python -m bench $(PART)

lock: setup ## Write requirements.txt from requirements.in
	@for folder in . include/trainyard/local/training tests/swiftcloud tests/mlflowserver tests/fuzz bench scripts/advisories; do (cd $$folder && $(CURDIR)/$(UV) compile --quiet --no-header \
		--python-version 3.11 --upgrade requirements.in -o requirements.txt) || exit 1; done
	@cd tests/learners && for cpu in "" "--torch-backend cpu"; do UV_FIND_LINKS="$$PIP_FIND_LINKS" $(CURDIR)/$(UV) compile --quiet --no-header $$cpu \
		--python-version 3.11 --upgrade requirements.in -o requirements.txt 2>/dev/null && break; done
	@cd deploy/image && ../../$(UV) compile --quiet --no-header --python-version 3.11 --upgrade \
		--python-platform x86_64-manylinux_2_28 --generate-hashes --no-build requirements.in -o requirements.txt

image: ## Build the image trainyard:VERSION of all of Airflow's processes; needs Docker
	docker build -t trainyard:$(VERSION) .

IMAGES := Dockerfile docker-compose.yaml deploy/compose/gpu-plugin.yaml deploy/compose/k3s-gpu.Dockerfile include/config/frameworks.yaml
pin-images: ## Write the registry's digest behind each image's tag; CHECK=1 lists what has none. Needs Docker with buildx
	@$(PYTHON) deploy/image/pin.py $(if $(CHECK),--check) $(IMAGES)

CLUSTER ?= cpu
compose-env: ## Write .env with new secrets for docker-compose.yaml, CLUSTER=cpu or gpu; keeps one that is there
	@$(PYTHON) deploy/compose/make_env.py .env $(CLUSTER)

quotas: setup ## Write QUOTAS=quotas.yaml as what a Kubernetes cluster counts, into deploy/kubernetes/quotas
	@$(BIN)/python deploy/kubernetes/quotas/make_quotas.py $(QUOTAS) >.accounts.yaml
	@mv .accounts.yaml deploy/kubernetes/quotas/accounts.yaml

clean: down ## Stop the stack and remove everything that was made
	rm -rf .trainyard .venv $(PACKAGES)
