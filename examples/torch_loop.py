"""A plain torch loop over a mirror, with inputs as tensors: python examples/torch_loop.py."""

import sys

import torch
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms, prefs

import mirrorneuron as mn

prefs.codegen.target, defaultclock.dt = "numpy", 1 * ms
EPOCHS = 2 if "--quick" in sys.argv else 40
torch.manual_seed(0)
inputs = SpikeGeneratorGroup(20, [], [] * ms, name="inputs")
out = NeuronGroup(
    2, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="out"
)
feed = Synapses(inputs, out, "w : 1", on_pre="v_post += w", name="feed")
feed.connect()
feed.w = "0.3 + 0.1*rand()"
model = mn.mirror(Network(inputs, out, feed), train=["feed.w"])

labels = torch.arange(16) % 2
likely = torch.where(torch.arange(20) % 2 == labels[:, None], 0.15, 0.05)  # "batch neuron"
spikes = (torch.rand(50, 16, 20) < likely).float()  # "time batch neuron"
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
for epoch in range(EPOCHS):
    counts = model.run(50 * ms, {"inputs": spikes}).spikes["out"].sum(0)
    loss = torch.nn.functional.cross_entropy(counts, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if epoch in (0, EPOCHS - 1):
        accuracy = (counts.argmax(1) == labels).float().mean()
        print(f"epoch {epoch}: loss {loss.item():.3f}, {accuracy:.0%} right")
