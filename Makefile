# Scorehouse's one vocabulary: CI, the README and people call the same verbs. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
UV := .uv/bin/uv
BIN := .venv/bin
env ?= local
STACK := .venv/bin/python -m stack --env $(env)
HOST := .venv/bin/python -m stack.host $(env)
export USE_CASE DATA CUSTOMER_ID
# Empty is unset: Python keeps its byte code, where an environment that forbids it has every process compile its imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo emulator init_aws test run_tests lint format unit integration system bench bench-monitor bench-shadow bench-stream bench-search bench-drift quality get-data lock clean dashboards check-dashboards \
  up down addresses secrets setup-model-registry apply-model-train-flow apply-prediction-reporting report setup-model-serve start-serve stop-serve deploy check rollback deployments promote score-batch applications bench-batch reset_all erase compose-test

help:  ## this list
	@awk -F ':.*## ' '/^[a-z_-]+:.*## / {printf "  \033[1m%-26s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- the environment -------------------------------------------------------------------------------------------------
$(UV): requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 13) else "Python 3.11 or 3.12 is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.11 …")'
	@$(PYTHON) -m venv .uv && .uv/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $(UV)

.venv/.ready: $(UV) requirements/dev.txt pyproject.toml
	@echo "making the environment in .venv (260 packages; seconds when they are cached, minutes when not)"
	@$(UV) venv -q --allow-existing --python $(PYTHON) .venv
	@$(UV) pip sync -q --python .venv --require-hashes requirements/dev.txt
	@$(UV) pip install -q --python .venv --no-deps --no-build-isolation -e .
	@touch .venv/.ready

.emulator/.ready: $(UV) requirements/emulator.txt
	@$(UV) venv -q --allow-existing --python $(PYTHON) .emulator
	@$(UV) pip sync -q --python .emulator --require-hashes requirements/emulator.txt
	@touch .emulator/.ready

lock: $(UV)  ## make requirements/*.txt anew from pyproject.toml
	@$(UV) pip compile -q --universal --generate-hashes --no-header --python-version 3.11 --group dev pyproject.toml -o requirements/dev.txt
	@for g in web stream lambda web_service simulation monitor training mlflow prefect; do \
	  $(UV) pip compile -q --universal --generate-hashes --no-header --python-version 3.11 --group $$g -c requirements/dev.txt pyproject.toml -o requirements/$$g.txt; done
	@echo 'ministack>=1.5.33,<2' | $(UV) pip compile -q --universal --generate-hashes --no-header --python-version 3.11 - -o requirements/emulator.txt

clean:  ## remove the environment and what tools left behind (not var/)
	@rm -rf .venv .uv .emulator .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# --- without Docker --------------------------------------------------------------------------------------------------
demo: .venv/.ready .emulator/.ready  ## everything without Docker: train, deploy, score, watch (USE_CASE=…, DATA=… to choose)
	@$(BIN)/python -m demo

get-data: .venv/.ready  ## fetch the use case's real table from its publisher into data/ (USE_CASE=…)
	@$(BIN)/python -m model_orchestration.get_data

emulator: .emulator/.ready  ## Kinesis, S3 and Lambda on port 4566, without Docker
	@BIND_HOST=127.0.0.1 GATEWAY_PORT=4566 .emulator/bin/ministack

init_aws: .venv/.ready  ## create bucket and streams and upload the training table (env=local: the emulator; env=cloud: AWS)
	@$(BIN)/python -m stack.host $(env) model_orchestration.init_aws

# --- with Docker: env=local (an AWS emulator) or env=cloud (AWS itself); settings are in .env.local and .env.cloud -------
up: .venv/.ready  ## everything with Docker, in order: registry, training, serving; ends with a table of addresses
	@$(STACK) up

down: .venv/.ready  ## stop everything; models, predictions and images stay
	@$(STACK) down

addresses: .venv/.ready  ## where everything is, and what each page shows
	@$(STACK) addresses

secrets: .venv/.ready  ## make the passwords that are missing, into .secrets.env (every start does it)
	@$(STACK) secrets

setup-model-registry: .venv/.ready  ## MLflow, Prefect and its worker, the AWS emulator, the report server
	@$(STACK) registry

apply-model-train-flow: .venv/.ready  ## schedule the training every TRAINING_INTERVAL_MINUTES, and start one now
	@$(STACK) train-flow

apply-prediction-reporting: .venv/.ready  ## schedule reports every REPORT_TIME_WINDOW_MINUTES and daily, and make one now
	@$(STACK) report-flow

report: .venv/.ready  ## without Docker: report on the last minutes=180 (until=2026-11-21T12:00) of DATA_FOLDER=… now
	@$(BIN)/python -m reporting $(minutes) $(if $(until),--until $(until))

setup-model-serve: .venv/.ready  ## build and start scorers, store, monitor, Prometheus; deploy RUN_ID if it is set
	@$(STACK) setup-serve

start-serve: .venv/.ready  ## start serving, and deploy the run that RUN_ID names
	@$(STACK) start-serve

deploy: .venv/.ready  ## deploy RUN_ID to doors that run already, in containers or not; waits until all of them serve it
	@$(HOST) server.deploy

check: .venv/.ready  ## ask the HTTP scorer for one prediction
	@$(HOST) server.check

rollback: .venv/.ready  ## return to the run that served before; again: a step further back (WHY=… for the history)
	@$(HOST) server.rollback

score-batch: .venv/.ready  ## score a day's applications: DATE=2026-11-20 (yesterday if not given) of BATCH_FOLDER=…, by the run that serves
	@$(HOST) model_orchestration.batch $(DATE)

applications: .venv/.ready  ## make a day's applications from the use case's sample, to try score-batch with (DATE=… ROWS=1200)
	@$(HOST) model_orchestration.batch.sample $(DATE) $(if $(DATE),$(ROWS))

promote: .venv/.ready  ## compare the newest run (or run=…) with the champion on held-out rows; promote it if it wins
	@$(HOST) model_orchestration.promote $(run)

deployments: .venv/.ready  ## what served when, who or what changed it, and why
	@$(HOST) server.deployments

stop-serve: .venv/.ready  ## stop serving; what was answered stays
	@$(STACK) stop-serve

erase: .venv/.ready  ## remove a customer's predictions and outcomes for good: CUSTOMER_ID=… (without Docker: DATA_FOLDER=… as well)
	@$(if $(DATA_FOLDER),$(BIN)/python -m server.erase "$$CUSTOMER_ID",$(STACK) erase --customer "$$CUSTOMER_ID")

reset_all: .venv/.ready  ## remove containers, volumes, images and secrets of the stack; asks first unless yes=1
	@$(STACK) --yes "$(yes)" reset

dashboards: .venv/.ready  ## check the dashboards exported from Grafana against its types, and format them
	@$(BIN)/python -m monitoring.grafana.format

check-dashboards: .venv/.ready  ## check that every query of dashboards and rules finds data in PROMETHEUS (http://127.0.0.1:9091)
	@$(BIN)/python -m monitoring.check_dashboards $(PROMETHEUS)

# --- tests -----------------------------------------------------------------------------------------------------------
# What failed against real servers is run once more, alone and aloud: a pause of the machine passes then, no defect does.
tested = @$(BIN)/pytest -q $(1) || { [ $$? = 1 ] || exit 1; \
  echo "once more, only what failed:"; $(BIN)/pytest -q -x --lf --lfnf none $(1); }

test: lint unit integration system  ## lint, types, import contracts, and all tests
run_tests: test  ## the same

lint: .venv/.ready  ## ruff, mypy --strict, import contracts
	@$(BIN)/ruff format --check -q . && $(BIN)/ruff check -q .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/.ready  ## put the code in order
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .

unit: .venv/.ready  ## unit tests: no network, seconds
	@OMP_NUM_THREADS=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTEST_DEBUG_TEMPROOT=$(or $(wildcard /dev/shm),/tmp) $(BIN)/pytest -q tests/unit

integration: .venv/.ready .emulator/.ready  ## one adapter against its real server
	$(call tested,tests/integration)

system: .venv/.ready .emulator/.ready  ## the whole product, from outside
	$(call tested,tests/system -m "not compose")

# --- benchmarks: side by side with what they are compared to; they take minutes and a quiet machine --------------------
bench: .venv/.ready  ## /predict beside servers that answer a constant, and four peers (needs wrk)
	@$(BIN)/python -m benchmarks.http

bench-stream: .venv/.ready .emulator/.ready  ## the stream scorer beside a bare loop of reads and puts
	@$(BIN)/python -m benchmarks.stream

bench-monitor: .venv/.ready .emulator/.ready  ## what the monitor costs the HTTP scorer at its limit (needs wrk)
	@$(BIN)/python -m benchmarks.monitor

bench-shadow: .venv/.ready .emulator/.ready  ## what a challenger in shadow costs the caller
	@$(BIN)/python -m benchmarks.shadow

bench-search: .venv/.ready  ## the search beside a plain loop, and what logging a trial costs
	@$(BIN)/python -m benchmarks.search

bench-batch: .venv/.ready  ## ten million applications in one process, its memory, and a Dask cluster of two beside it
	@$(BIN)/python -m benchmarks.batch

bench-drift: .venv/.ready  ## the drift rule on a real churn table (DATA=…)
	@$(BIN)/python -m benchmarks.drift_rule $(DATA)

quality: .venv/.ready  ## a use case's promised quality over several splits (USE_CASE=… DATA=…)
	@$(BIN)/python -m benchmarks.quality

compose-test: .venv/.ready  ## the composed stack, brought up for real beside what runs already (needs a container engine; on 127.0.0.2)
	$(call tested,tests/system/composed -m compose)
