# make demo   a fresh machine to a talking face: installs into .venv, runs the four nodes
# make test   lint, types, import rules, tests
# make venv   only the installation

PYTHON ?= python3
BIN := .venv/bin
# Named first and by itself: left to the other requirements, pip may take a build of several GB
# for GPUs that are not there. The package itself takes any torch >= 2.2.
TORCH ?= torch==2.13.0
# Processes that tests run in; files go to whoever is free, slow ones not last.
WORKERS ?= 2
# Nodes, browsers and sound run in real time: what a busy machine upset is tried once more, and
# the summary counts it.
RERUNS ?= 1

.PHONY: venv dev demo test lint format clean

venv: .venv/.ready
dev: .venv/.dev

# Without --no-compile the folder is 50 MB larger; Python compiles what it uses, when it does.
.venv/.ready: setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-compile --editable '.[ros,demo]'
	touch $@

.venv/.dev: .venv/.ready
	$(BIN)/pip install --quiet '$(TORCH)'
	$(BIN)/pip install --quiet --editable '.[ros,demo,dev]'
	touch $@

demo: venv
	$(BIN)/llia demo

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --reruns $(RERUNS)

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build install log out
