# One door for people, laptops and CI. `make run` talks to a simulated rover, `make test` runs the tests.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
LOCK   := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links
FOLDERS = gateway modules hil firmware boards conf

# Tests start hundreds of processes: each would compile all that it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup tools run test soak contract lint bench picture screens reference curves lock clean help

help:            ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

# Installed twice over: pinned libraries by hash, then the project without its dependencies
# (pip takes no hashes for a local folder). `strict` links each file, so that type checker and
# import linter see the import name `boardtalk`; a new file or folder installs again.
$(VENV)/libraries: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "boardtalk needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/project: $(VENV)/libraries pyproject.toml $(shell find $(FOLDERS) -type d -not -name __pycache__)
	@rm -rf build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--config-settings editable_mode=strict --editable .
	@touch $@

$(VENV)/tools: requirements-dev.lock $(VENV)/project
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

# MicroPython's stubs take the place of the standard library's, so they have a folder of their own.
$(VENV)/typings: requirements-dev.lock $(VENV)/project
	@rm -rf $@ && awk '/^[^ ]/ { wanted = /^micropython-.*-stubs==/ } wanted' $< > $(VENV)/stubs.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		--target $@ --requirement $(VENV)/stubs.lock
	@touch $@

setup: $(VENV)/project   ## make .venv with what `boardtalk` needs
tools: $(VENV)/tools     ## … and what its developers need

run: setup       ## chat with a simulated rover
	@$(BIN)/boardtalk demo

# Most tests wait for something most of the time. Those of a file stay together: they share a gateway.
# Files come in the order of tests/conftest.py; xdist's own would put those of few, but long tests last.
# The campaigns measure, and load the machine as they like: they have it for themselves.
test: tools      ## the tests
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m 'not soak and not contract and not alone' $(ARGS)
	$(BIN)/python -m pytest -m 'alone and not contract and not soak' $(ARGS) || [ $$? -eq 5 ]

soak: tools      ## the long fault campaigns, and a report of what they measured
	@rm -rf build/soak && mkdir -p build/soak
	BOARDTALK_FIGURES=$$PWD/build/soak $(BIN)/python -m pytest -m soak -s $(ARGS); failed=$$?; \
		$(BIN)/python docs/contract.py build/soak build/soak/report.md && exit $$failed

contract: tools  ## run the short fault campaigns, and put what they measured into docs/contract.md
	@rm -rf build/figures
	BOARDTALK_FIGURES=$$PWD/build/figures $(BIN)/python -m pytest tests/campaigns tests/web/test_page_figures.py $(ARGS)
	$(BIN)/python docs/contract.py build/figures docs/contract.md
	$(BIN)/python docs/plots.py stops build/figures docs/stop.svg

lint: tools $(VENV)/typings      ## format, style, types, import rules, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	MYPYPATH=$$(echo build/__editable__.*) $(BIN)/mypy -p boardtalk
	VENV=$(VENV) $(BIN)/mypy --config-file firmware/mypy.ini --custom-typeshed-dir $(VENV)/typings
	$(BIN)/lint-imports
	$(BIN)/python -m boardtalk.modules.iot_bridge.codegen --check

bench: tools     ## all benchmarks, as tables
	@for name in chain isolated conversations codec command broker link startup villains native boards flashing ota page; do $(BIN)/boardtalk bench $$name || exit 1; done

picture: tools   ## take the picture of the README anew
	$(BIN)/python docs/picture.py docs/chat.svg

screens: tools   ## take the pictures of the web page anew
	$(BIN)/python -m docs.screens docs/screens

curves: tools    ## draw the curves of docs/benchmarks.md anew: what the link makes of a line
	$(BIN)/python docs/plots.py link docs/link.svg

reference: setup ## make the tables of keys and the module API in docs/ anew
	$(BIN)/python -m boardtalk.reference docs/*.md docs/modules/*.md

# uv, because one run of it is for all processors and Python versions; pip-compile locks for the running one.
lock: setup      ## pin the newest versions that pyproject.toml allows
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(LOCK) --extra hil --extra build --output-file requirements.lock pyproject.toml
	$(LOCK) --extra hil --extra build --extra dev --constraint requirements.lock \
		--output-file requirements-dev.lock pyproject.toml

clean:           ## remove what was built
	rm -rf $(VENV) build dist
