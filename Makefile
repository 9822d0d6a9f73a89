# Everything from nothing: `make demo` and `make test` create .venv, install the pinned dependencies and the package,
# and run. What is up to date is not done again. Needs Python 3.11 or newer, a C++17 compiler and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Progress bars are for terminals; a log gets lines.
PIP_INSTALL := $(PIP) install --progress-bar off
PYTEST_ARGS ?=
# Threads of torch that wait sleep: spinning, they wait longest for a core that another process has (benchmarks/threads.py).
export OMP_WAIT_POLICY ?= passive
# A process a core. Each takes tests as they stand, so that fixtures of a module are made once, and steals at the end.
PYTEST_PARALLEL ?= --numprocesses=logical --maxprocesses=8 --dist=worksteal
MUTATE_ARGS ?=
RTL_ARGS ?=
FUZZ_CXX ?= clang++
FUZZ_RUNS ?= 2000000
FUZZ_TARGETS := fuzz_program fuzz_artifact fuzz_tensor
PACKAGE_ROOTS := $(wildcard python/tvm_vsq tvm_vsq target_configs schedules rtl cmake)
SOURCES := $(shell find $(PACKAGE_ROOTS) -type f -not -name '*.py[co]' -not -path '*/.*') \
	CMakeLists.txt pyproject.toml $(wildcard README.md)
CXX_SOURCES = $(shell find tvm_vsq tests/cpp -name '*.h' -o -name '*.cc')

say = @printf '\033[1m==> %s\033[0m\n' $(1)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-cpp test-python test-sanitize fuzz lint format isa bench schedules clean FORCE

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 19

setup: $(VENV)/package.stamp ## create .venv with everything installed

demo: setup ## run ResNet-8 on MNIST digits, EfficientNet-Lite0 on photos and MiniLM on sentences, on simulated accelerators
	$(call say,'demo: examples/resnet8_mnist/demo.py')
	@$(BIN)/python examples/resnet8_mnist/demo.py
	$(call say,'demo: examples/efficientnet_photos/demo.py (about a minute)')
	@$(BIN)/python examples/efficientnet_photos/demo.py
	$(call say,'demo: examples/minilm_similarity/demo.py (about a minute)')
	@$(BIN)/python examples/minilm_similarity/demo.py

test: test-cpp test-python ## run the C++ and the Python tests

test-cpp: setup
	$(call say,'C++ tests')
	@$(BIN)/cmake -S . -B build/package -G Ninja --log-level=WARNING -DTVM_VSQ_BUILD_TESTS=ON \
		-DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja -DPython_EXECUTABLE=$(abspath $(BIN))/python
	@$(BIN)/cmake --build build/package
	@$(BIN)/ctest --test-dir build/package --parallel 2 --output-on-failure --no-tests=error

test-python: setup
	$(call say,'Python tests')
	@$(BIN)/python -m pytest $(PYTEST_PARALLEL) $(PYTEST_ARGS)

.PHONY: test-large
test-large: setup ## the Python tests that `make test` leaves out because of their size
	$(call say,'large Python tests')
	@$(BIN)/python -m pytest $(PYTEST_PARALLEL) -m large $(PYTEST_ARGS)

.PHONY: freeze
freeze: setup ## write tests/frozen/hashes.json anew: only for a commit that means to change what is computed
	@$(BIN)/python -m tests.frozen.freeze

.PHONY: mutate
mutate: setup ## break a copy of the code, a patch at a time, and see tests fail (tests/mutations)
	$(call say,'mutations')
	@$(BIN)/python tests/mutations/run.py $(MUTATE_ARGS)

test-sanitize: setup ## the C++ tests, fuzzing for seconds included, under the address and undefined-behaviour sanitizers
	$(call say,'C++ tests under sanitizers')
	@$(BIN)/cmake -S tests/cpp -B build/sanitize -G Ninja --log-level=WARNING -DTVM_VSQ_SANITIZE=ON \
		-DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja
	@$(BIN)/cmake --build build/sanitize
	@$(BIN)/ctest --test-dir build/sanitize --output-on-failure --no-tests=error

fuzz: setup ## libFuzzer on each target, FUZZ_RUNS executions (docs/robustness.md); needs clang
	@command -v $(FUZZ_CXX) >/dev/null || { echo 'no $(FUZZ_CXX): install clang and its compiler-rt, or set FUZZ_CXX' >&2; exit 1; }
	@$(BIN)/cmake -S tests/cpp -B build/fuzz -G Ninja --log-level=WARNING -DTVM_VSQ_LIBFUZZER=ON \
		-DCMAKE_CXX_COMPILER=$(FUZZ_CXX) -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja
	@$(BIN)/cmake --build build/fuzz --target $(FUZZ_TARGETS)
	@tests/cpp/fuzz/run build/fuzz $(FUZZ_RUNS) $(FUZZ_TARGETS)

lint: setup ## every linter, and that generated files are fresh
	$(call say,'ruff')
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	$(call say,'mypy --strict')
	@$(BIN)/mypy --strict python/
	$(call say,'import-linter')
	@$(BIN)/lint-imports
	$(call say,'clang-format')
	@$(BIN)/clang-format --dry-run -Werror $(CXX_SOURCES)
	$(call say,'generated files')
	@$(BIN)/python -m tvm_vsq.isa.generate --check

format: setup ## format Python and C++ in place
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/clang-format -i $(CXX_SOURCES)

isa: setup ## regenerate the C++ header and docs/isa.md from the instruction table
	@$(BIN)/python -m tvm_vsq.isa.generate

bench: setup ## run every benchmark; each prints a table
	@for script in $(filter-out benchmarks/tune_shipped.py,$(sort $(wildcard benchmarks/*.py))); do \
		printf '\033[1m==> %s\033[0m\n' "$$script"; $(BIN)/python "$$script" || exit 1; done

.PHONY: bench-simulator
bench-simulator: setup ## the simulator beside ONNX Runtime, a scalar simulator, ZigZag and SCALE-Sim (about 10 minutes)
	@for name in check_scalar speed compare_zigzag compare_scalesim; do \
		printf '\033[1m==> %s\033[0m\n' "$$name"; $(BIN)/python "benchmarks/simulator/$$name.py" || exit 1; done

.PHONY: bench-accuracy
bench-accuracy: $(VENV)/accuracy.stamp ## accuracy of real networks by format, into docs/accuracy.md (about 50 minutes)
	@$(BIN)/python benchmarks/accuracy/run.py

.PHONY: bench-models
bench-models: setup ## whole networks on all targets and on the host, into docs/models.md (about 20 minutes)
	@$(BIN)/python benchmarks/models/run.py

.PHONY: bench-networks
bench-networks: setup ## convolutional networks, whole on the chip, into docs/networks.md (about 20 minutes)
	@$(BIN)/python benchmarks/convolutional/run.py

.PHONY: bench-area
bench-area: rtl-tools ## synthesise the datapath, fit the area model, write docs/area.md (about 20 minutes)
	@$(BIN)/python benchmarks/rtl/areas.py
	@$(BIN)/python benchmarks/rtl/fit.py --write
	@$(BIN)/python benchmarks/rtl/area_report.py

.PHONY: bench-gate-energy
bench-gate-energy: rtl-tools ## what the synthesised gates switch, into docs/gate-energy.md (about 40 minutes)
	@mkdir -p build/rtl/streams
	@$(BIN)/python benchmarks/rtl/streams.py --save build/rtl/streams
	@$(BIN)/python benchmarks/rtl/energies.py --only arrays others units streams --streams build/rtl/streams
	@$(BIN)/python benchmarks/rtl/energy_report.py build/rtl/streams

.PHONY: bench-paper
bench-paper: rtl-tools ## the paper's formats in area and energy beside what it says, into docs/paper.md (about an hour)
	@$(BIN)/python benchmarks/paper/arrays.py
	@$(BIN)/python benchmarks/paper/profiles.py
	@$(BIN)/python benchmarks/paper/report.py

.PHONY: rtl rtl-tools
rtl: rtl-tools ## the RTL against NumPy: all blocks of 26 configurations, 100,000 transactions each (about 5 minutes)
	@$(BIN)/python benchmarks/rtl/verify.py $(RTL_ARGS)

rtl-tools: $(VENV)/rtl.stamp ## install what RTL's tests and benchmarks need: cocotb; simulators, yosys, OpenSTA where apt-get may, or say which
	@.ci/rtl-tools

.PHONY: browser
browser: ## install what opens pages and timelines in tests: Debian's Chromium, where apt-get may; Perfetto's trace processor
	@.ci/browser

.PHONY: docs
docs: setup ## the site of docs/, into build/site: example pages and notebooks are made anew (about a minute)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -W ignore::DeprecationWarning -m mkdocs build --quiet
	@echo build/site/index.html

schedules: setup ## tune the databases in schedules/ again (about 40 minutes)
	@$(BIN)/python benchmarks/tune_shipped.py

clean: ## remove .venv, builds and caches
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: an environment, then its dependencies, then the package; each only when what it is made from changed.
$(VENV)/venv.stamp:
	$(call say,'creating $(VENV)')
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, \
	$(PYTHON) is {sys.version.split()[0]}; name another one: make PYTHON=/path/to/python3")'
	@command -v $${CXX:-c++} >/dev/null || { echo 'a C++17 compiler is needed: install g++ or set CXX' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/dependencies.stamp: $(VENV)/venv.stamp pyproject.toml .ci/requirements.py
	$(call say,'installing the pinned dependencies (a few minutes the first time)')
	@$(BIN)/python .ci/requirements.py dev models sweep report docs > $(VENV)/requirements.txt
	@$(PIP_INSTALL) --upgrade-strategy only-if-needed -r $(VENV)/requirements.txt
	@touch $@

$(VENV)/accuracy.stamp: $(VENV)/package.stamp
	@$(BIN)/python .ci/requirements.py models accuracy > $(VENV)/accuracy.txt
	@$(PIP_INSTALL) -q --upgrade-strategy only-if-needed -r $(VENV)/accuracy.txt
	@touch $@

$(VENV)/rtl.stamp: $(VENV)/package.stamp
	@$(BIN)/python .ci/requirements.py rtl > $(VENV)/rtl.txt
	@$(PIP_INSTALL) -q --upgrade-strategy only-if-needed -r $(VENV)/rtl.txt
	@touch $@

# A file that was removed leaves no newer file behind, so the list of names is a source too.
$(VENV)/sources.txt: FORCE | $(VENV)/venv.stamp
	@printf '%s\n' $(sort $(SOURCES)) > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# Without build isolation pip uses the environment's CMake and Ninja, and build/ stays warm between installs.
$(VENV)/package.stamp: $(VENV)/dependencies.stamp $(VENV)/sources.txt $(SOURCES)
	$(call say,'building and installing tvm-vsq')
	@PATH="$(abspath $(BIN)):$$PATH" $(PIP_INSTALL) --no-deps --no-build-isolation --force-reinstall .
	@touch $@
