"""Move the first spikes of neurons to chosen times: python examples/shift_spikes.py."""

import sys

import numpy as np
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, ms, prefs

import mirrorneuron as mn

prefs.codegen.target = "numpy"
STEPS = 5 if "--quick" in sys.argv else 150
rng = np.random.default_rng(0)
source = SpikeGeneratorGroup(30, np.arange(30), rng.uniform(1, 40, 30) * ms, name="source")
cells = NeuronGroup(
    3, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="cells"
)
feed = Synapses(source, cells, "w : 1", on_pre="v_post += w", name="feed")
feed.connect()
feed.w = "0.2 + 0.1*rand()"
network = Network(source, cells, feed)

wanted = [15, 20, 30] * ms
model = mn.mirror(network, train={"feed.w": mn.Positive()})
task = mn.Task(45 * ms, mn.losses.first_spike("cells", wanted, scale=5 * ms))
fit = mn.fit(model, task, steps=STEPS, restore_best=True)
trains = model.run(45 * ms).spike_trains("cells")
print(f"loss {fit.losses[0]:.3f} -> {min(fit.losses):.3f}")
for neuron, times in trains.items():
    print(f"neuron {neuron}: wanted {wanted[neuron]}, first spike {times[:1]}")
