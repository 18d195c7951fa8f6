"""Train a neuron's drive until it fires at 30 Hz: python examples/first_fit.py."""

import sys

from brian2 import Hz, Network, NeuronGroup, ms, mV, prefs

import mirrorneuron as mn

prefs.codegen.target = "numpy"
STEPS = 5 if "--quick" in sys.argv else 60
cells = NeuronGroup(
    4,
    """dv/dt = (-60*mV + drive - v)/(20*ms) : volt
       drive : volt (constant)""",
    threshold="v > -50*mV",
    reset="v = -60*mV",
    method="exact",
    name="cells",
)
cells.v, cells.drive = -60 * mV, "(11 + i)*mV"
network = Network(cells)

model = mn.mirror(network, train={"cells.drive": mn.Positive()})
task = mn.Task(300 * ms, mn.losses.rate("cells", 30 * Hz, per_neuron=True))
before = model.run(300 * ms).rates()["cells"]
fit = mn.fit(model, task, steps=STEPS)
after = model.run(300 * ms).rates()["cells"]
print(f"loss {fit.losses[0]:.3f} -> {fit.losses[-1]:.3f}, rate {before:.1f} -> {after:.1f} Hz")
model.write_back()
print("drives in Brian2:", cells.drive[:])
print(mn.validate(network, model, 100 * ms).verdict)
