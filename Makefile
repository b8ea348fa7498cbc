# The house-keeping of aldente; "make help" lists the targets.
#
# It needs GNU make and one Python that aldente supports, and installs everything else from the package
# index into environments under .venv/: one for each Python found, and one for the worked example as its
# users would have it. An environment is made anew when pyproject.toml has changed.
#
#   make test PYTHONS="python3.12 /opt/python/bin/python3.13"    takes these Pythons, looks for no others
#   make test JOBS=8                                             runs 8 tests at a time

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
# The test runs keep all cores busy by themselves, and their output is to be read in order; only what
# has one process each is done side by side.
ifndef SIDE_BY_SIDE
.NOTPARALLEL:
endif


# Half of the tests' time is waiting, for processes, time limits and the like.
JOBS ?= 4
PYTHONS ?=

EXAMPLE := examples/fetcher
# The second example, a service; its dependencies are tried on the newest Python only.
SERVICE := examples/tickets
# -qq leaves pip's errors, and only these.
PIP_INSTALL := -m pip install -qq --disable-pip-version-check
# The first that knows the groups of pyproject.toml; a Python brings an older one.
PIP_WITH_GROUPS := "pip>=25.1"
UV := .venv/uv/bin/uv
COMMA := ,
# Each process of the tests would compile all of them again.
export PYTHONDONTWRITEBYTECODE :=
COVERAGE := build/coverage
# By file, because the code blocks of a page build on one another, and so that one worker builds the
# wheel for all that test it.
# In the order of conftest.py, in which the last files are short ones: pytest-xdist would begin with those
# that have many tests, and end with one that builds the wheel, while a core is idle.
# A worker that crashes ends the run, with the name of its test: pytest-xdist would wait for the rest of
# its file for ever.
BY_FILE := --dist loadfile --no-loadscope-reorder --max-worker-restart 0
IN_PARALLEL := -n $(JOBS) $(BY_FILE)
# Each worker collects all tests, so that two runs at a time with half of the workers take less.
IN_HALF := -n $(shell expr \( $(JOBS) + 1 \) / 2) $(BY_FILE)

# Which tests "make test" runs on which Python; "make whole-3.12" runs all on one.
#
#                            newest   oldest   between
#   tests/unit                  x      most     a part   what follows Python's own code, and all that takes no time
#   tests/plugin                x      most     a part   what follows asyncio's and CPython's own code
#   tests/conformance           x      a part              the interpreter's own tests, correct and random programs:
#                                                          on the newest, and on all by "make compat"
#   tests/plugin/coexistence    x                          other tools are tried on one Python
#   tests/packaging             x      most                the wheel is built and installed on the newest, and the
#                                                          structure of the sources is the same on all
#   tests/known_bugs            x                          how soon bugs are found does not depend on it
#   docs, README.md             x
#   tests/browser               x                          by "make test-browser"
#   examples/fetcher            x
#   examples/tickets            x
# On the newest the few async tests of its own are explored as well, and so are the example's, for a while.
ON_NEWEST := --aldente-explore=20
EXPLORING := --aldente-explore=10 --aldente-explore-seconds=6 --aldente-rule=schedule-dependent=error \
    --aldente-rule=race=error
WITHOUT = $(addprefix --ignore=tests/unit/test_,$(addsuffix .py,$(1)))
WITHOUT_LONG := $(call WITHOUT,anyio_in_runs check_class command_line crashes_under_way disk faults faults_found \
    histories histories_serializable histories_timeline links pairs searching serializable serializable_unjudged \
    shards shrinking)
# What is said of a run, and of many, is the same on all; the oldest has no sys.monitoring, so it keeps the strategies.
WITHOUT_WORDS := $(call WITHOUT,hypothesis_notes network_cuts network_programs no_progress page_lanes page_parts \
    page_pictures settings story story_details story_picture time_limit virtual_time_model) \
    $(addprefix --ignore=tests/plugin/test_exploring_,$(addsuffix .py,all examples faults hangs histories hostile \
    kept names serializable shards story terminal wall)) \
    $(addprefix --ignore=tests/plugin/test_,$(addsuffix .py,errors_while_watching failure_page given_marks \
    page_panels reporting sync_suites)) \
    $(addprefix --ignore=tests/plugin/rules/test_,$(addsuffix .py,charging explored_tests files findings late_warnings \
    leaked_thread no_progress other_runs race slow_step))
# Scopes of fixtures and whose a finding is follow pytest, which is the same on all.
WITHOUT_SCOPES := $(addprefix --ignore=tests/plugin/test_,$(addsuffix .py,coexistence drop_in \
    interrupts_of_servers loop_before_fixtures loop_scopes outcomes)) \
    $(addprefix --ignore=tests/plugin/rules/test_,$(addsuffix .py,bystanders consequences leaked_resources marks))
ON_OLDEST := tests --ignore=tests/plugin/coexistence --ignore=tests/known_bugs -m "not packaging" \
    $(WITHOUT_WORDS) $(WITHOUT_SCOPES) $(WITHOUT_LONG) $(addprefix --ignore=tests/conformance/test_,$(addsuffix .py, \
    correct_programs generated_programs interpreters_own interpreters_own_simulated)) \
    $(call WITHOUT,found_in_run hosts network network_kernel) --ignore=tests/plugin/test_exploring.py \
    --ignore=tests/plugin/test_virtual_time.py --ignore=tests/plugin/rules/test_inner_deadlocks.py \
    $(addprefix --ignore=tests/packaging/test_,$(addsuffix .py,documentation examples messages project_files \
    projects shown_files structure walk))
ON_MIDDLE := tests/unit $(WITHOUT_LONG) $(WITHOUT_WORDS) $(call WITHOUT,cancelling_anywhere clocks found_in_run hosts \
    network network_kernel shared_uses stale_uses strategies stuck_beside_timers values_of_runs watchdog) \
    $(addprefix tests/plugin/test_,$(addsuffix .py,running_tests context_variables \
    task_factories cancelled_groups doubles)) \
    $(addprefix tests/plugin/rules/test_,$(addsuffix .py,kept_tasks background_error))

# Looking for Pythons takes a second, which help and clean need not wait for.
ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),help)),)
STARTER := $(shell for name in $(PYTHONS) python3 python python3.15 python3.14 python3.13 python3.12 python3.11; do \
    if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
    then echo $$name; break; fi; done)
ifeq ($(STARTER),)
$(error No Python of 3.11 or newer was found on PATH; name one with PYTHONS=...)
endif
# One word for each supported version: 3.13=/usr/bin/python3.13, or 3.14= when there is none.
FOUND := $(shell $(STARTER) tools/find_pythons.py $(PYTHONS))
VERSIONS := $(foreach pair,$(filter-out %=,$(FOUND)),$(firstword $(subst =, ,$(pair))))
MISSING := $(patsubst %=,%,$(filter %=,$(FOUND)))
ifeq ($(VERSIONS),)
$(error No Python to work with)
endif
NEWEST := $(lastword $(VERSIONS))
OLDEST := $(firstword $(VERSIONS))
MIDDLE := $(filter-out $(NEWEST) $(OLDEST),$(VERSIONS))
OLDER := $(filter-out $(NEWEST),$(VERSIONS))
endif

# The interpreter of a version, and the one inside its environment.
interpreter = $(patsubst $(1)=%,%,$(filter $(1)=%,$(FOUND)))
python = .venv/$(1)/bin/python
TOOLS := .venv/$(NEWEST)/bin
SIDE_BY_SIDE_OF = --no-print-directory --jobs=$(1) SIDE_BY_SIDE=yes
AT_ONCE = $(call SIDE_BY_SIDE_OF,$(JOBS))


##   make help          list the targets
.PHONY: help
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

##   make demo          install aldente and the worked examples; run their tests and the programs; make pages and
##                      traces of tests that fail
.PHONY: demo
demo: .venv/demo/.installed
	cd $(EXAMPLE) && ../../.venv/demo/bin/python -m pytest -v
	.venv/demo/bin/python tools/run_demo.py
	cd $(SERVICE) && ../../.venv/demo/bin/python -m pytest -v -n 2
	.venv/demo/bin/python tools/run_service_demo.py
	.venv/demo/bin/python tools/make_pages.py

##   make test          lint; run all tests on the newest Python found, most on the oldest, a part on those between,
##                      try the example, and the page of failures in a browser; replay the tokens that each makes on all
##                      others
.PHONY: test
test: environments lint older-tests test-$(NEWEST) last-tests
	@echo "Tested on Python $(VERSIONS).$(if $(MISSING), No Python $(MISSING) was found here.)"

.PHONY: environments
environments:
	@$(MAKE) $(AT_ONCE) $(VERSIONS:%=.venv/%/.installed) .venv/$(NEWEST)/.service-installed \
	    .venv/$(NEWEST)/.browser-installed

# Two at a time. What each prints is shown when it has ended.
.PHONY: older-tests
older-tests: environments
	$(if $(OLDER),@$(MAKE) $(call SIDE_BY_SIDE_OF,2) --output-sync $(OLDER:%=test-%))

##   make test-3.12     run on one Python what "make test" runs on it
.PHONY: $(VERSIONS:%=test-%)
$(VERSIONS:%=test-%): test-%: .venv/%/.installed
	$(call python,$*) -m compileall -q src
	$(call python,$*) -m pytest $(if $(SIDE_BY_SIDE),$(IN_HALF),$(IN_PARALLEL)) \
	    $(if $(filter $(NEWEST),$*),$(ON_NEWEST),$(if $(filter $(OLDEST),$*),$(ON_OLDEST),$(ON_MIDDLE)))

##   make whole-3.12    run all tests on one Python
.PHONY: $(VERSIONS:%=whole-%)
$(VERSIONS:%=whole-%): whole-%: .venv/%/.installed
	$(call python,$*) -m compileall -q src
	$(call python,$*) -m pytest $(IN_PARALLEL)

##   make example-3.12  run the worked example's tests on one Python
.PHONY: $(VERSIONS:%=example-%)
$(VERSIONS:%=example-%): example-%: .venv/%/.installed
	cd $(EXAMPLE) && ../../$(call python,$*) -m pytest -q \
	    $(if $(filter $(NEWEST),$*),$(EXPLORING),--ignore=tests/test_planted_races.py)

# What is planted in copies of the service is tried by "make demo".
.PHONY: examples
examples: example-$(NEWEST) example-service

.PHONY: example-service
example-service: .venv/$(NEWEST)/.service-installed
	cd $(SERVICE) && ../../$(call python,$(NEWEST)) -m pytest -q -n 2 --ignore=tests/test_planted_bugs.py

# Each of them leaves a core idle for a part of its time.
.PHONY: last-tests
last-tests: environments
	@$(MAKE) $(AT_ONCE) --output-sync test-browser examples tokens

##   make test-browser  try the page of failures in a browser, Chromium; installs what that needs
.PHONY: test-browser
test-browser: .venv/$(NEWEST)/.browser-installed
	$(call python,$(NEWEST)) -m pytest -n 2 --dist loadfile --max-worker-restart 0 tests/browser

##   make screenshots   take the pictures of docs/images anew, of what "make demo" has made
.PHONY: screenshots
screenshots: .venv/$(NEWEST)/.browser-installed demo
	$(call python,$(NEWEST)) tools/take_screenshots.py

##   make tokens        replay the tokens that each Python found makes of some programs on all others
.PHONY: tokens
tokens: $(VERSIONS:%=.venv/%/.installed)
	$(STARTER) tests/compat/tokens.py $(foreach version,$(VERSIONS),$(call python,$(version)))

##   make coverage      run all tests on the newest Python, and report what they cover; takes twice as long
.PHONY: coverage
coverage: .venv/$(NEWEST)/.installed
	rm -rf $(COVERAGE)
	mkdir -p $(COVERAGE)
	COVERAGE_FILE="$(CURDIR)/$(COVERAGE)/data" $(TOOLS)/python -m coverage run -m pytest $(IN_PARALLEL)
	COVERAGE_FILE=$(COVERAGE)/data $(TOOLS)/coverage combine --quiet
	COVERAGE_FILE=$(COVERAGE)/data $(TOOLS)/coverage report

##   make lint          check format, style, types and the direction of imports; build the site
.PHONY: lint
lint: .venv/$(NEWEST)/.tools-installed
	$(TOOLS)/ruff format --check .
	$(TOOLS)/ruff check .
	@$(MAKE) $(AT_ONCE) --output-sync lint-types lint-pyright docs-site
	$(TOOLS)/lint-imports --no-logo

AS_PROJECT := --cache-dir ../../.mypy_cache --python-version 3.11 \
    $(addprefix --enable-error-code ,ignore-without-code redundant-expr truthy-bool)
.PHONY: lint-types lint-pyright
lint-types: .venv/$(NEWEST)/.service-installed
	$(TOOLS)/mypy
	@# With the options of the project, what they import is in its cache, which saves two thirds of the time.
	cd $(EXAMPLE) && ../../$(TOOLS)/mypy $(AS_PROJECT)
	cd $(SERVICE) && ../../$(TOOLS)/mypy $(AS_PROJECT)
lint-pyright: .venv/$(NEWEST)/.tools-installed
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(TOOLS)/pyright --pythonpath $(TOOLS)/python
	@# Its stubs of the standard library differ between versions; users have any of them.
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(TOOLS)/pyright --pythonpath $(TOOLS)/python \
	  --pythonversion $(NEWEST) tests/typing

##   make format        rewrite the code in its format, and fix what ruff can fix
.PHONY: format
format: .venv/$(NEWEST)/.tools-installed
	$(TOOLS)/ruff format .
	$(TOOLS)/ruff check --fix .

##   make compat        what "make test" has no time for: the oldest pytest on every Python found, plugins that
##                      require pytest-asyncio, dask, tokens of more programs, and test suites of public packages
##                      (tests/compat/README.md)
.PHONY: compat
compat: $(VERSIONS:%=oldest-%) with-pytest-asyncio $(VERSIONS:%=.venv/%/.installed)
	$(STARTER) tests/compat/tokens.py --whole $(foreach version,$(VERSIONS),$(call python,$(version)))
	$(call interpreter,$(NEWEST)) tests/compat/compare.py

##   make oldest-3.12   run the tests with the oldest pytest that aldente supports, on one Python
.PHONY: $(VERSIONS:%=oldest-%)
$(VERSIONS:%=oldest-%): oldest-%: .venv/oldest-%/.installed
	.venv/oldest-$*/bin/python -m pytest $(IN_PARALLEL) tests/unit tests/plugin tests/conformance

##   make pairs         run the tests beside the oldest and the newest of what users pair aldente with, on the newest Python
.PHONY: pairs
pairs:
	$(call interpreter,$(NEWEST)) tests/compat/pairings.py

.PHONY: with-pytest-asyncio
with-pytest-asyncio: .venv/with-pytest-asyncio/.installed
	.venv/with-pytest-asyncio/bin/python -m pytest $(IN_PARALLEL) tests/plugin/coexistence/test_aiohttp_plugin.py \
	    tests/unit/test_shards_on_dask.py

##   make docs-site     build the site of the documentation in build/site; a warning is an error
.PHONY: docs-site
docs-site: .venv/$(NEWEST)/.tools-installed
	$(TOOLS)/sphinx-build -q -W --keep-going -c docs/site -d build/site-cache docs build/site

##   make docs-links    look whether the pages of others to which the documentation links are there; needs the network
.PHONY: docs-links
docs-links: .venv/$(NEWEST)/.tools-installed
	$(TOOLS)/sphinx-build -q -b linkcheck -c docs/site -d build/site-cache docs build/links

##   make docs          execute the code blocks of the documentation
.PHONY: docs
docs: .venv/$(NEWEST)/.installed
	$(call python,$(NEWEST)) -m pytest docs README.md

##   make bench         measure what aldente costs, beside its peers (benchmarks/README.md)
.PHONY: bench
bench:
	set -e; for script in $(filter-out benchmarks/measuring.py,$(wildcard benchmarks/*.py)); do \
	    $(call interpreter,$(NEWEST)) $$script; done

##   make clean         remove environments, caches and reports
.PHONY: clean
clean:
	rm -rf .venv build dist benchmarks/.environments tests/compat/.environments tests/compat/.downloads
	rm -rf .coverage .coverage.*
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf $(foreach example,$(EXAMPLE) $(SERVICE), \
	    $(addprefix $(example)/,.pytest_cache .mypy_cache .ruff_cache .hypothesis))
	find . -name __pycache__ -type d -prune -exec rm -rf {} +


# uv installs in a third of pip's time. Where it can't, as it knows nothing of pip's configuration, pip does.
.venv/uv/.installed:
	rm -rf $(@D)
	$(STARTER) -m venv $(@D)
	-$(@D)/bin/python $(PIP_INSTALL) uv
	touch $@

# $(call environment,PYTHON,WHAT) makes a new one in the folder of the target.
define environment
	rm -rf $(@D)
	$(UV) venv -q --seed --python $(1) $(@D) || { \
	    $(1) -m venv --clear $(@D) && $(@D)/bin/python $(PIP_INSTALL) $(PIP_WITH_GROUPS); }
	$(call install,$(2))
	touch $@
endef
install = $(UV) pip install -q --compile-bytecode --python $(@D)/bin/python $(1) || \
    $(@D)/bin/python $(PIP_INSTALL) $(1)

$(VERSIONS:%=.venv/%/.installed): .venv/%/.installed: pyproject.toml $(EXAMPLE)/pyproject.toml | .venv/uv/.installed
	$(call environment,$(call interpreter,$*),--editable . --group test --editable "$(EXAMPLE)[postgres$(COMMA)test]")

# There is a browser already, or the system brings one, or else Playwright.
.venv/.system-browser: | .venv/uv/.installed
	-$(STARTER) tools/find_browser.py
	touch $@

.venv/$(NEWEST)/.browser-installed: .venv/$(NEWEST)/.tools-installed .venv/.system-browser
	$(STARTER) tools/find_browser.py || $(call python,$(NEWEST)) -m playwright install chromium
	touch $@

# After the tools, as both go into the same environment.
.venv/$(NEWEST)/.service-installed: .venv/$(NEWEST)/.tools-installed $(SERVICE)/pyproject.toml
	$(call install,--editable . --editable "$(SERVICE)[test]")
	touch $@

# What only "make lint" needs goes into one environment, as most of the time is spent installing it.
.venv/$(NEWEST)/.tools-installed: .venv/$(NEWEST)/.installed
	$(call install,--editable ".[uvloop$(COMMA)wall]" --group dev)
	touch $@

$(VERSIONS:%=.venv/oldest-%/.installed): .venv/oldest-%/.installed: pyproject.toml | .venv/uv/.installed
	$(call environment,$(call interpreter,$*),--editable . --group test "pytest==8.4.0")

.venv/with-pytest-asyncio/.installed: pyproject.toml | .venv/uv/.installed
	$(call environment,$(call interpreter,$(NEWEST)),--editable . --group compat)

.venv/demo/.installed: pyproject.toml $(EXAMPLE)/pyproject.toml $(SERVICE)/pyproject.toml | .venv/uv/.installed
	$(call environment,$(call interpreter,$(NEWEST)),--editable . --editable "$(EXAMPLE)[test]" \
	    --editable "$(SERVICE)[test]")
