# Two commands do it all: `make demo` shows a cluster, `make test` proves the program. Both set up what they need.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
SUDO := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=BOOTSTRAP_MIRROR,XDG_CACHE_HOME,CI,GOTOOLCHAIN)
STAMP := $(VENV)/.installed
PYTHON ?= python3
DEMO ?= kubeadm

.PHONY: help demo demo-shell demo-down test unit lint sandbox-tests setup system-packages bench clean

help: ## what can be asked for
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: system-packages $(STAMP) ## the virtual environment and the system packages

system-packages:
	@tools/system-packages

$(STAMP): pyproject.toml
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip --quiet --disable-pip-version-check install --upgrade pip
	@$(BIN)/pip --quiet --disable-pip-version-check install --editable '.[dev]'
	@touch $@

demo: setup ## a verified Kubernetes on throw-away hosts on this machine (DEMO=k3s: with k3s)
	@$(SUDO) env PATH="$(CURDIR)/$(BIN):$$PATH" DEMO=$(DEMO) tools/demo up

demo-shell: ## a shell among the demo's hosts
	@$(SUDO) env PATH="$(CURDIR)/$(BIN):$$PATH" DEMO=$(DEMO) tools/demo shell

demo-down: ## end the demo, leave nothing
	@$(SUDO) env PATH="$(CURDIR)/$(BIN):$$PATH" DEMO=$(DEMO) tools/demo down

unit: $(STAMP) ## the tests that need neither root nor hosts
	@$(BIN)/pytest -q -n auto -m 'not sandbox' --ignore=tests/sandbox_hosts --ignore=tests/cluster

lint: $(STAMP) ## style, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test: setup ## everything that must hold: lint, unit, real hosts
	@tools/test

bench: setup ## speed, as ratios in one run
	@$(SUDO) env PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python benchmarks/run.py

clean: ## the virtual environment and caches of the tools
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
