"""Law: the gradient by a spike, present or absent, is what the spike changes.

The loss of each network is linear in every single spike, so that its derivative is the difference
between the run with the spike and the run without.
"""

import numpy as np
import pytest
import torch
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, ms

import mirrorneuron as mn

STEPS = 300
GIVEN = {"pre": ([0, 1, 0, 2, 1], [5, 10, 15, 20, 24]), "post": ([0, 1, 1, 0], [3, 8, 17, 22])}
DEPRESSING = ("dx/dt = (1 - x)/(20*ms) : 1 ({})", "r = 0.3*x; x -= r; drive_post += w*r", "")
SYNAPSES = {
    "depressing": DEPRESSING,
    "facilitating": (
        "du/dt = (0.2 - u)/(15*ms) : 1 ({})", "u += 0.2*(1 - u); drive_post += w*u", "",
    ),
    "used_first": ("dx/dt = (1 - x)/(20*ms) : 1 ({})", "drive_post += w*x; x *= 0.6", ""),
    "filtered": ("da/dt = -a/(7*ms) : 1 ({})", "a += w; a *= 0.9; drive_post += a", ""),
    "pair_plasticity": (
        "da/dt = -a/(12*ms) : 1 ({0})\ndb/dt = -b/(25*ms) : 1 ({0})",
        "a += 0.01; w -= b", "b += 0.012; w += a",
    ),
    "decay_by_hand": (
        "x : 1\nlastupdate : second",
        "x = 1 - (1 - x)*exp(-(t - lastupdate)/(20*ms)); r = 0.4*x; x -= r; drive_post += w*r;"
        " lastupdate = t", "",
    ),
}  # fmt: skip


def network(name: str, solved: str) -> Network:
    """Given spikes on both sides of six synapses."""
    equations, on_pre, on_post = SYNAPSES[name]
    pre, post = (
        SpikeGeneratorGroup(3 if side == "pre" else 2, index, time * ms, name=side)
        for side, (index, time) in GIVEN.items()
    )
    cells = NeuronGroup(2, "ddrive/dt = -drive/(10*ms) : 1", method="exact", name="cells")
    synapses = Synapses(
        pre, post if on_post else cells, f"{equations.format(solved)}\nw : 1", on_pre=on_pre,
        on_post=on_post or None, method="exact", name="synapses",
    )  # fmt: skip
    synapses.connect()
    synapses.w = "0.2 + 0.1*i + 0.05*j"
    if "x" in synapses.variables:
        synapses.x = 1
    return Network(pre, post, cells, synapses)


@pytest.mark.parametrize("backend", ["eager", "native", "sequence"])
@pytest.mark.parametrize("solved", ["event-driven", "clock-driven"])
@pytest.mark.parametrize("name", SYNAPSES)
def test_the_gradient_by_a_spike_is_what_it_changes(name: str, solved: str, backend: str) -> None:
    model = mn.mirror(
        network(name, solved), train=["synapses.w"], dtype=torch.float64, backend=backend
    )
    given = {
        side: torch.zeros(STEPS, 1, 3 if side == "pre" else 2, dtype=torch.float64)
        for side in GIVEN
    }
    for side, (index, time) in GIVEN.items():
        given[side][[10 * t for t in time], 0, index] = 1

    def loss(spikes: dict[str, torch.Tensor]) -> torch.Tensor:
        end = model.run_steps(STEPS, inputs=spikes).state
        each = torch.arange(1.0, 7, dtype=torch.float64)
        weights = end.get("synapses.w", torch.zeros(6, dtype=torch.float64))
        return end["cells.drive"].sum() + (each * weights).sum()

    open_ = {side: x.clone().requires_grad_() for side, x in given.items()}
    whole = loss(open_)
    grads = torch.autograd.grad(whole, list(open_.values()), materialize_grads=True)
    slopes = dict(zip(open_, grads, strict=True))
    random = np.random.default_rng(0)
    for side, spikes in given.items():
        for _ in range(6):
            step, source = random.integers(5, STEPS - 5), random.integers(spikes.shape[2])
            changed = {**given, side: spikes.clone()}
            changed[side][step, 0, source] = 1 - spikes[step, 0, source]
            sign = 1 - 2 * spikes[step, 0, source]
            difference = float((loss(changed) - whole).detach() * sign)
            slope = slopes[side][step, 0, source]
            np.testing.assert_allclose(float(slope), difference, rtol=1e-9, atol=1e-12)
