"""Training with `torchrun`: two processes with half a batch each give the gradient of the whole."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, mV, second

import mirrorneuron as mn

SCRIPT = """
import sys
import torch
import torch.distributed as dist
import mirrorneuron as mn

torch.set_num_threads(1)
dist.init_process_group("gloo")
rank, count = dist.get_rank(), dist.get_world_size()
model = mn.load(sys.argv[1])
x = torch.load(sys.argv[2])
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
half = x.chunk(count, dim=1)[rank]
for _ in range(3):
    optimizer.zero_grad()
    loss = (model(half).spikes["cells"].sum((0, 2)) - 20).square().sum() / x.shape[1]
    loss.backward()
    for parameter in model.parameters():
        dist.all_reduce(parameter.grad)  # the sum over processes
    optimizer.step()
    if rank == 0:
        print(float(parameter.grad.abs().sum()))
torch.save([model.state_dict(), [p.grad for p in model.parameters()]], f"{sys.argv[3]}{rank}")
dist.destroy_process_group()
"""


def network() -> Network:
    source = SpikeGeneratorGroup(4, [], [] * second, name="stimulus")
    cells = NeuronGroup(3, "dv/dt = -v/(10*ms) : volt", threshold="v > 10*mV", reset="v = 0*mV",
                        method="exact", name="cells")  # fmt: skip
    synapses = Synapses(source, cells, "w : volt", on_pre="v += w", name="s")
    synapses.connect()
    synapses.w = np.linspace(2, 6, 12) * mV
    return Network(source, cells, synapses)


@pytest.mark.slow
def test_two_processes_give_the_gradients_and_weights_of_one(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    model = mn.mirror(network(), train=["s.w"], dtype=torch.float64)
    saved = mn.save(model, tmp_path / "model.mirror")
    x = torch.from_numpy((rng.random((80, 6, 4)) < 0.15).astype(float))
    torch.save(x, tmp_path / "x.pt")
    (tmp_path / "train.py").write_text(SCRIPT)
    found = {n: run(n, saved, tmp_path) for n in (1, 2)}
    (alone, gradients), (first, halves) = found[1][0], found[2][0]
    assert torch.equal(first["s.w"], found[2][1][0]["s.w"])  # both processes go the same way
    assert not torch.equal(alone["s.w"], model.state_dict()["s.w"])
    torch.testing.assert_close(first["s.w"], alone["s.w"], rtol=1e-12, atol=0)
    torch.testing.assert_close(halves[0], gradients[0], rtol=1e-12, atol=1e-15)


def run(processes: int, saved: Path, folder: Path) -> list[list]:
    """What each process has at the end."""
    out = folder / f"of{processes}-"
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        f"--nproc-per-node={processes}", str(folder / "train.py"), str(saved),
        str(folder / "x.pt"), str(out),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(f"{out}{rank}") for rank in range(processes)]
