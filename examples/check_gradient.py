"""Can the gradient of a network be trusted? python examples/check_gradient.py."""

import sys

from brian2 import Hz, Network, NeuronGroup, PoissonInput, Synapses, defaultclock, ms, mV, prefs
from brian2 import seed as set_seed

import mirrorneuron as mn

prefs.codegen.target, defaultclock.dt = "numpy", 0.5 * ms
BATCH = 2 if "--quick" in sys.argv else 16
set_seed(1)
cells = NeuronGroup(
    40,
    """dv/dt = (-60*mV - v + g)/(20*ms) : volt
       dg/dt = -g/tau : volt
       tau : second (shared, constant)""",
    threshold="v > -50*mV",
    reset="v = -60*mV",
    method="exact",
    name="cells",
)
cells.v, cells.tau = "-60*mV + 10*mV*rand()", 5 * ms
lateral = Synapses(cells, cells, "w : volt (shared)", on_pre="g_post += w", name="lateral")
lateral.connect(p=0.1)
lateral.w = 0.5 * mV
drive = PoissonInput(cells, "g", 100, 15 * Hz, weight=1.5 * mV)

model = mn.mirror(Network(cells, lateral, drive), train=["cells.tau", "lateral.w"])
task = mn.Task(
    100 * ms, mn.losses.rate("cells", 20 * Hz), trial=lambda _: mn.Trial(batch_size=BATCH)
)
print(mn.check_gradient(model, task))
