# The commands of this project; CI calls `make check` and `make test` and nothing else.
# On a fresh machine: python3 (3.11 or later), make, and root or sudo. The rest installs itself (scripts/setup.py).

.DEFAULT_GOAL := help
.PHONY: help setup dev browser demo check format generate test bench clean

BIN := .venv/bin

help: ## Say what there is to call
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what is missing; leaves .venv/bin/staffetta
	@python3 scripts/setup.py run

dev:
	@python3 scripts/setup.py dev

browser:
	@python3 scripts/setup.py test

demo: setup ## 25 invented debtors from spreadsheet to registered and sent notices; results in demo/
	@$(BIN)/python scripts/demo.py

check: dev ## Everything that needs no server: format, lint, types, import walls, generated files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	.tools/bin/uv lock --check --quiet
	$(BIN)/python scripts/generate.py --check

format: dev ## Format and mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

generate: dev ## Write the generated files anew (docs/, the table in README.md)
	$(BIN)/python scripts/generate.py

test: browser ## All tests; one of them: .venv/bin/pytest tests/unit/test_ids.py
	$(BIN)/pytest -n auto --dist worksteal

bench: ## Seconds and megabytes of the main job; records/s over RabbitMQ and PostgreSQL, beside Celery, Dramatiq, FastStream
	@python3 scripts/setup.py bench
	$(BIN)/python -m tests.bench job
	$(BIN)/python -m tests.bench relay

clean: ## Remove what was installed and cached here; demo/ stays
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build
