"""Train on a long trial in windows: python examples/long_trial.py."""

import sys

from brian2 import Hz, Network, NeuronGroup, PoissonInput, ms, mV, prefs

import mirrorneuron as mn

prefs.codegen.target = "numpy"
DURATION, STEPS = (100 * ms, 2) if "--quick" in sys.argv else (1000 * ms, 30)
cells = NeuronGroup(
    20,
    """dv/dt = (-60*mV - v)/(20*ms) : volt
       dthreshold/dt = (-50*mV - threshold)/tau : volt
       tau : second (shared, constant)
       step : volt (shared, constant)""",
    threshold="v > threshold",
    reset="v = -60*mV; threshold += step",
    method="exact",
    name="cells",
)
cells.v, cells.threshold, cells.tau, cells.step = -60 * mV, -50 * mV, 100 * ms, 1 * mV
drive = PoissonInput(cells, "v", 60, 30 * Hz, weight=0.5 * mV)
network = Network(cells, drive)

model = mn.mirror(network, train={"cells.tau": mn.Positive(), "cells.step": mn.Positive()})
task = mn.Task(DURATION, mn.losses.rate("cells", 12 * Hz))
fit = mn.fit(model, task, rule=mn.BPTT(window=50 * ms), steps=STEPS)
print(f"loss {fit.losses[0]:.4f} -> {fit.losses[-1]:.4f}")
print(model)
