# `make` lists the targets. A new user needs two of them: `make demo` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
unexport PYTHONHOME PYTHONPATH

bin := .venv/bin
set_up = python=$$(PYTHON="$(PYTHON)" scripts/find-python.sh) && "$$python" -m scripts.setup

.PHONY: help setup environment tools engines browser verifiers demo test fuzz harness test-harness check bench lint format types image image-check lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

setup: ## make .venv, see that a container engine answers, build the images that blueprints pin
	@$(set_up)

environment tools engines browser verifiers:
	@$(set_up) $@

demo: setup ## launch blueprints/digits-svm, show, verify, report and reproduce its result
	@scripts/demo.sh

test: setup tools engines browser verifiers lint types ## lint, types and every test but those of the harnesses
	$(bin)/python -m pytest -m "not harness"

fuzz: environment ## fuzz every reader of foreign bytes with atheris, SECONDS=60 each
	$(bin)/python -m pip install --quiet --require-hashes --no-deps --requirement requirements/fuzz.txt
	$(bin)/python -m tests.fuzz.run $(or $(SECONDS),60)

harness: setup ## build the image of 1.4 GB that lm-eval, Inspect and torch.compile run in
	@$(set_up) harness

test-harness: harness ## launch lm-eval, Inspect and torch.compile for real; hold our figures against theirs
	$(bin)/python -m pytest -m harness

check: environment lint types ## format, lint, types and the fast tests; needs no engine
	$(bin)/python -m pytest -m "not engine and not image and not slow and not browser"

bench: setup ## measure launch, start-up and verify against their yardsticks
	$(bin)/python -m scripts.bench
	$(bin)/python -m scripts.bench_verify
	$(bin)/python -m scripts.bench_ledger

lint: environment ## see that ruff has nothing to say
	$(bin)/ruff format --quiet --check .
	$(bin)/ruff check --quiet .

format: environment ## let ruff rewrite the sources
	$(bin)/ruff format .
	$(bin)/ruff check --fix .

types: environment ## see that mypy has nothing to say
	$(bin)/mypy --no-error-summary

image: environment ## build every recipe under images/ anew, the large one too
	for recipe in images/*/recipe.toml; do $(bin)/evalctl image build "$$(dirname "$$recipe")"; done

image-check: environment ## build every recipe twice, elsewhere; compare with the layouts and what blueprints pin
	@failed=0; for recipe in images/*/recipe.toml; do \
	    folder=$$(dirname "$$recipe"); \
	    pins=$$(grep -l "$$folder/layout@sha256:" blueprints/*/blueprint.toml | sed 's/^/--blueprint /' || true); \
	    $(bin)/evalctl image check "$$folder" $$pins || failed=1; \
	done; exit $$failed

lock: ## relock requirements/; `make lock ARGUMENTS=--upgrade` moves every pin
	@python=$$(PYTHON="$(PYTHON)" scripts/find-python.sh) && "$$python" -m scripts.lock $(ARGUMENTS)

clean: ## remove what the targets made, except .venv and what engines keep
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache dist images/*/layout
	if [ -d build ]; then find build -mindepth 1 -maxdepth 1 ! -name 'engine*' -exec rm -rf {} +; fi
	find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
