# `make` alone lists the targets. Everything a target needs beyond Debian, make and Python 3.11 is installed by `setup`.
SHELL := /bin/bash
PYTHON ?= $(firstword $(shell command -v python3.11 python3))
BIN := .venv/bin
UV := $(BIN)/uv pip
PIN_UV := $(shell sed -n 's/^\(uv==[0-9.]*\).*/\1/p' requirements.txt)

.DEFAULT_GOAL := help
.PHONY: help setup tools demo up down status test lint format bench lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready ## Install what the project needs into .venv

.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || scripts/debian-packages python3-venv
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(PIN_UV)'
	@$(UV) sync --quiet --python $(BIN)/python requirements.txt
	@$(UV) install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

tools: ## Install what only the tests need: Debian's kubectl, and busybox as one more shell
	@command -v kubectl >/dev/null || scripts/debian-packages kubernetes-client
	@command -v busybox >/dev/null || scripts/debian-packages busybox

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

lint: setup ## Check style, types and formatting; mends nothing
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup ## Format the code
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: setup ## Measure speed; prints a table and keeps the figures in bench/results/
	@$(BIN)/python -m bench

lock: setup ## Make requirements.txt anew from requirements.in
	@$(UV) compile --quiet --no-header --python-version 3.11 --upgrade requirements.in -o requirements.txt

clean: down ## Stop the stack and remove everything that was made
	rm -rf .trainyard .venv
