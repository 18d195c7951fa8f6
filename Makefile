# Two commands on a fresh machine with Python 3.11 or later: make demo, make test.
PYTHON ?= python3

.PHONY: demo test
demo:
	PYTHON=$(PYTHON) scripts/install
	.venv/bin/mirrorneuron run grasshopper --out out/grasshopper
	.venv/bin/mirrorneuron run arm_stabilisation --quick --out out/arm_stabilisation
	.venv/bin/mirrorneuron run arm_posture --quick --out out/arm_posture

test:
	PYTHON=$(PYTHON) scripts/install
	scripts/test
