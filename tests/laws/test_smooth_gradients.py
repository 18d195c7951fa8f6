r"""Networks whose synapses are smooth have exact gradients, equal to differences of Brian2's runs.

Source: Huh & Sejnowski 2018, arXiv:1706.04698.
"""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Network, NeuronGroup, StateMonitor, Synapses, ms, second

import mirrorneuron as mn
from mirrorneuron.bio.synapses import DifferentiableSynapse
from mirrorneuron.errors import DomainError

DURATION = 60 * ms
SIZE = 4
SYNAPSE = DifferentiableSynapse({"s": "20*ms", "fast": "5*ms"})
EQUATIONS = f"""
dv/dt = ((1 + cos(2*pi*v))/(25*ms) + (1 - cos(2*pi*v))*(drive + I/ms)) : 1
I : 1
drive : Hz (constant)
{SYNAPSE.equations}
"""


def network(dt: Any) -> Network:
    """Four theta neurons that excite and inhibit each other."""
    cells = NeuronGroup(SIZE, EQUATIONS, threshold="v > 1", reset=SYNAPSE.on_reset, method="rk2",
                        dt=dt, name="cells", namespace={})  # fmt: skip
    cells.v = [0.1, 0.3, 0.0, 0.2]
    cells.drive = np.linspace(60, 150, SIZE) / (1000 * ms)
    loop = Synapses(cells, cells, "w : 1\nI_post = w*fast_pre : 1 (summed)", dt=dt, name="loop")
    loop.connect()
    loop.w = np.random.default_rng(5).normal(0, 0.03, SIZE**2)
    return Network(cells, loop)


@cache
def brian2(dt: float, key: str, change: tuple[float, ...]) -> tuple[float, int]:
    """The loss, and the number of spikes, of a run of Brian2 with a changed parameter."""
    made = network(dt * ms)
    owner, _, name = key.partition(".")
    value = np.array(getattr(made[owner], f"{name}_"))
    setattr(made[owner], f"{name}_", value + np.array(change))
    seen = StateMonitor(made["cells"], "s", record=True)
    made.add(seen)
    made.run(DURATION, namespace={})
    weight = np.arange(1, SIZE + 1)[:, None]
    s = np.asarray(seen.s)
    return float((weight * s).mean() + (s**2).mean()), int(np.asarray(made["cells"].passages).sum())


@pytest.mark.parametrize("key", ["loop.w", "cells.drive", "cells.v"])
@pytest.mark.parametrize("dt", [0.5, 0.1])
def test_the_gradient_is_that_of_differences_of_brian2(dt: float, key: str):
    made = mn.mirror(network(dt * ms), train=[key], dtype=torch.float64, reset_gradient="detach")
    recording = made.run(DURATION, record=["cells.s"])
    assert recording.spikes["cells"].detach().sum() >= 8
    s, weight = recording["cells.s"], torch.arange(1, SIZE + 1)
    loss = (weight * s).mean() + s.square().mean()
    loss.backward()
    gradient = made.parameter(key).grad
    assert gradient is not None
    plain = gradient.numpy().ravel()
    size = np.abs(made.program.initial(key)).mean()
    way = np.random.default_rng(2).normal(size=plain.size) * size
    h = 2e-4
    found = {k: brian2(dt, key, tuple((k * h * way).tolist())) for k in (-2, -1, 1, 2)}
    assert len({spikes for _, spikes in found.values()}) == 1
    first, second = (found[k][0] - found[-k][0] for k in (1, 2))
    truth = (8 * first - second) / (12 * h)
    assert brian2(dt, key, (0.0,) * plain.size)[0] == pytest.approx(float(loss.detach()), rel=1e-13)
    assert float(plain @ way) == pytest.approx(truth, rel=1e-6)


def test_a_passage_leaves_a_charge_of_one_at_any_speed():
    for speed in (20, 200):
        cells = NeuronGroup(
            1, f"dv/dt = {speed}*Hz : 1\n{SYNAPSE.equations}", threshold="v > 1",
            reset=SYNAPSE.on_reset, method="euler", dt=0.1 * ms, namespace={},
        )  # fmt: skip
        made = Network(cells)
        made.run(0.9 / speed * second, namespace={})
        assert float(cells.charge[0]) == 1
        made.run(0.2 / speed * second, namespace={})
        assert float(cells.charge[0]) == 1 and cells.passages[0] == 1


def test_a_zone_lies_between_reset_and_threshold():
    with pytest.raises(DomainError, match="the zone lies between reset and threshold"):
        DifferentiableSynapse({"s": "20*ms"}, low=0.8, high=0.2)
    with pytest.raises(DomainError, match="no trace that others could read"):
        DifferentiableSynapse({})
