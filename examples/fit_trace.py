"""Fit a membrane to a recorded subthreshold voltage: python examples/fit_trace.py."""

import sys

import numpy as np
import torch
from brian2 import (
    Network,
    NeuronGroup,
    Quantity,
    StateMonitor,
    TimedArray,
    ms,
    mV,
    nS,
    pA,
    pF,
    prefs,
)

import mirrorneuron as mn

prefs.codegen.target = "numpy"
STEPS = 5 if "--quick" in sys.argv else 60
steps = np.repeat(np.random.default_rng(0).uniform(-100, 100, 20), 50)
current = TimedArray(steps * pA, 0.1 * ms, name="current")


def membrane(capacity: Quantity, leak: Quantity) -> Network:
    """A passive membrane under the current, and its voltage."""
    cell = NeuronGroup(
        1,
        """dv/dt = (leak*(-65*mV - v) + current(t))/capacity : volt
           capacity : farad (constant)
           leak : siemens (constant)""",
        method="euler",
        name="cell",
        namespace={"current": current},
    )
    cell.v, cell.capacity, cell.leak = -65 * mV, capacity, leak
    return Network(cell, StateMonitor(cell, "v", record=True, name="trace"))


recorded = membrane(150 * pF, 8 * nS)
recorded.run(100 * ms)
start = membrane(250 * pF, 12 * nS)
model = mn.mirror(start, train={"cell.capacity": mn.Positive(), "cell.leak": mn.Positive()})
task = mn.Task(100 * ms, mn.losses.voltage("cell.v", recorded["trace"]))
fit = mn.fit(model, task, steps=STEPS, optimizer=lambda values: torch.optim.Adam(values, lr=0.05))
print(f"loss {fit.losses[0]:.4f} -> {fit.losses[-1]:.6f}")
for name, true in (("capacity", 150e-12), ("leak", 8e-9)):
    print(f"{name}: true {true:.3g}, fitted {model.parameter(f'cell.{name}').item():.3g}")
