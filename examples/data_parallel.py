"""Data-parallel training: torchrun --nproc-per-node 2 examples/data_parallel.py.

Each process takes its part of the batch; the sum of the gradients is that of the whole. Without
torchrun it is one process.
"""

import os
import sys

import torch
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, ms, prefs
from torch import distributed

import mirrorneuron as mn

prefs.codegen.target = "numpy"
STEPS = 2 if "--quick" in sys.argv else 30
many = "RANK" in os.environ  # set by torchrun
if many:
    distributed.init_process_group("gloo")
rank, count = (distributed.get_rank(), distributed.get_world_size()) if many else (0, 1)
torch.set_num_threads(1)

inputs = SpikeGeneratorGroup(20, [], [] * ms, name="inputs")
cells = NeuronGroup(
    5, "dv/dt = -v/(10*ms) : volt", threshold="v > 10*mV", reset="v = 0*mV", method="exact",
    name="cells",
)  # fmt: skip
feed = Synapses(inputs, cells, "w : volt", on_pre="v_post += w", name="feed")
feed.connect()
feed.w = "(0.5 + 0.05*i)*mV"
model = mn.mirror(Network(inputs, cells, feed), train={"feed.w": mn.Positive()})

torch.manual_seed(0)  # the same data everywhere, of which each process takes its part
spikes = (torch.rand(1000, 16, 20) < 0.01).float()
own = spikes.chunk(count, dim=1)[rank]
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
for step in range(STEPS):
    counts = model(own).spikes["cells"].sum(0)  # "batch neuron", in 100 ms
    loss = (counts - 8).square().sum() / spikes.shape[1]
    optimizer.zero_grad()
    loss.backward()
    for parameter in model.parameters():
        if many:
            distributed.all_reduce(parameter.grad)  # the sum over processes
    optimizer.step()
    model.project_()
    if rank == 0 and step in (0, STEPS - 1):
        print(f"step {step}: {counts.mean().item() * 10:.1f} spikes per second")
if many:
    distributed.destroy_process_group()
