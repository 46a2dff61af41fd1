# Two commands do everything on a fresh machine: `make quickstart` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart test torture matrix lint wheel tables benchmark docs clean

quickstart: $(VENV)/.usable
	$(BIN)/python -m keras_gssl.recipes.quickstart

test: $(VENV)/.installed lint wheel
	$(BIN)/python -m pytest -n 2 --dist worksteal

# What takes too long for every change: damaged files, kills, a full disk, 100,000 files as strangers leave them.
torture: $(VENV)/.installed
	$(BIN)/python -m tests.damage
	$(BIN)/python -m tests.fuzz 100000
	$(BIN)/python -m tests.kills 50
	$(BIN)/python -m tests.long_run 500
	$(BIN)/python -m pytest -m torture

# Every Python that is to be had, with the oldest and the newest TensorFlow and Keras, into docs/versions.md.
matrix:
	$(PYTHON) -m tests.matrix

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The package as its users get it: built, installed into an empty environment, and used outside of the repository.
wheel: $(VENV)/.installed
	PYTHON=$(PYTHON) tests/try_wheel.sh

# What users of the package need; its tests need as much again.
$(VENV)/.usable: setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[export,explain]'
	@# Beside a clone, which has the package's name, Python would take the clone's folder for the package.
	@echo "$(CURDIR)" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/keras_gssl_checkout.pth"
	touch $@

$(VENV)/.installed: $(VENV)/.usable
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

# The tables of docs/results.md, from the files in recipes/results.
tables: $(VENV)/.installed
	$(BIN)/python -m keras_gssl.recipes.tables recipes/table1.toml --report --into docs/results.md
	$(BIN)/python -m keras_gssl.recipes.tables recipes/fast.toml --report --into docs/results.md
	$(BIN)/python -m keras_gssl.recipes.tables recipes/best.toml --report --into docs/results.md
	$(BIN)/python -m keras_gssl.recipes.tables recipes/teachers.toml --report --into docs/results.md
	$(BIN)/python -m keras_gssl.recipes.tables recipes/transfer.toml --report --into docs/results.md
	$(BIN)/python -m keras_gssl.recipes.tables recipes/gates.toml --report --into docs/results.md
	$(BIN)/python -m keras_gssl.recipes.tables recipes/ablation.toml --report --into docs/results.md

# Training, evaluation and input pipeline beside the same method in PyTorch; leave the machine alone meanwhile.
benchmark: $(VENV)/.installed
	$(BIN)/pip install --quiet --editable '.[benchmarks]'
	$(BIN)/python -m benchmarks --into docs/speed.md

# The notebook from the tutorial, and the site, with search and the API from the docstrings, into site/.
docs: $(VENV)/.installed
	$(BIN)/jupytext --quiet --update --to ipynb --output docs/tutorial.ipynb docs/tutorial.md
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) build dist site *.egg-info
