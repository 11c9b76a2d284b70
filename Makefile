# Everything runs in one virtual environment made from hashed requirements; nothing outside this folder is changed.
SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := $(CURDIR)/.venv
RUN := $(VENV)/bin
# The stamp is newer than the requirements exactly when the environment holds them.
READY := $(VENV)/.ready

export PYTHONPATH := $(CURDIR)
# Each task is a process, which would compile the project's modules again.
unexport PYTHONDONTWRITEBYTECODE
export PYTHON
export IMAGES

TYPED := include dags plugins demo bench
WEB := include/gallery/web
# Node comes with the environment, so that the machine needs none.
NPM := PATH="$(RUN):$$PATH" npm --prefix $(WEB)
WEB_SOURCES := $(shell find $(WEB)/src -type f) $(wildcard $(WEB)/*.json $(WEB)/*.html $(WEB)/*.ts)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): requirements-dev.txt scripts/venv
	@echo "Making the virtual environment (once; about a minute)"
	@scripts/venv "$(VENV)" requirements-dev.txt
	@touch $@

.PHONY: venv
venv: $(READY) ## make the virtual environment

.PHONY: demo
demo: $(READY) $(WEB)/dist/index.html ## start everything, import sample images (or IMAGES=path), print the result
	@$(RUN)/python -m demo run

.PHONY: up
up: $(READY) $(WEB)/dist/index.html ## start local AWS and Airflow, import nothing
	@$(RUN)/python -m demo up

.PHONY: down
down: ## end what make demo or make up started
	@if [ -e "$(READY)" ]; then $(RUN)/python -m demo down; else echo "Nothing was started."; fi

$(WEB)/node_modules/.package-lock.json: $(READY) $(WEB)/package-lock.json
	@echo "Installing the gallery's packages (once; half a minute)"
	@$(NPM) ci --no-audit --no-fund --loglevel error
	@touch $@

$(WEB)/dist/index.html: $(WEB)/node_modules/.package-lock.json $(WEB_SOURCES)
	@$(NPM) run --silent build -- --logLevel warn
	@touch $@

.PHONY: web
web: $(WEB)/dist/index.html ## build the gallery's pages

.PHONY: messages
messages: $(WEB)/node_modules/.package-lock.json ## write the TypeScript types of include/gallery/messages.py
	@$(RUN)/python -m include.gallery.messages | $(NPM) run --silent messages > $(WEB)/src/api/messages.ts.new
	@mv $(WEB)/src/api/messages.ts.new $(WEB)/src/api/messages.ts

.PHONY: aws
aws: $(READY) ## run local AWS (S3 and the Rekognition dataset service) in the foreground
	@exec $(RUN)/python -m include.local_aws

.PHONY: test
test: $(READY) $(WEB)/dist/index.html ## run every test, in two lanes; ARGS="tests/refreshes -n 0" runs some, in one
	@$(if $(ARGS),,$(NPM) run --silent test)
	@$(RUN)/pytest -n 2 $(ARGS)

.PHONY: pictures
pictures: $(READY) $(WEB)/dist/index.html ## take the pictures in docs/images again, with the end-to-end tests
	@PICTURES="$(CURDIR)/docs/images" $(RUN)/pytest tests/e2e $(ARGS)

.PHONY: test-compose
test-compose: $(READY) ## bring docker-compose.yaml up with a Docker engine, and import
	@$(RUN)/pytest -m docker tests/deploy $(ARGS)

.PHONY: test-install
test-install: $(READY) ## install requirements.txt by plain pip into an empty environment
	@scripts/plain_install "$(RUN)/python" requirements.txt

.PHONY: chaos
chaos: $(READY) ## play random histories of imports against a model (SECONDS=3600, SEED=… to replay one)
	@$(RUN)/python -m tests.chaos --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) \
		$(if $(ONLY),--only $(ONLY)) $(if $(WITHOUT),--without $(WITHOUT)) $(if $(KINDS),--kinds $(KINDS))

.PHONY: lint
lint: $(READY) $(WEB)/node_modules/.package-lock.json ## check format, lint rules and the direction of imports
	@$(RUN)/ruff format --check .
	@$(RUN)/ruff check .
	@$(RUN)/lint-imports
	@$(NPM) run --silent lint

.PHONY: format
format: $(READY) $(WEB)/node_modules/.package-lock.json ## format the code
	@$(RUN)/ruff format .
	@$(RUN)/ruff check --fix .
	@$(NPM) run --silent format

.PHONY: schema
schema: $(READY) ## write include/datasets/dataset.schema.json, which editors check dataset files with
	@$(RUN)/python -m include.pipelines.dataset_schema

.PHONY: types
types: $(READY) $(WEB)/node_modules/.package-lock.json ## check the types
	@$(RUN)/mypy $(TYPED)
	@$(NPM) run --silent types

.PHONY: bench
bench: $(READY) ## measure, in under two minutes
	@$(RUN)/python -m bench

.PHONY: bench-full
bench-full: $(READY) ## measure at full size, memory up to 3,000,000 keys included
	@$(RUN)/python -m bench --full

.PHONY: bench-gate
bench-gate: $(READY) ## fail when a ratio of CPU times is below its gate
	@$(RUN)/python -m bench --gate

.PHONY: lock
lock: $(READY) ## recompile requirements.txt and requirements-dev.txt (UPGRADE=1 takes newer releases)
	@scripts/lock "$(RUN)/uv" $(if $(UPGRADE),--upgrade)
