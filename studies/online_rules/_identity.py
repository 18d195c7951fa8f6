"""e-prop three times: written by hand, by autograd with stopped gradients, and from the equations.

Twelve adaptive cells get spikes from fifteen inputs and from each other, and drive three readouts.

Source: Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, equations 13, 21, 24 and 25.
Differs from it: the order of a step is Brian2's (equations, threshold, synapses, reset). With the
reset detached, adaptation does not feel the gradient of a spike either; with it, both do.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, ms
from jaxtyping import Float
from torch import Tensor

import mirrorneuron as mn

INPUTS, CELLS, READOUTS, STEPS = 15, 12, 3, 200
TAU, TAU_A, TAU_O, BETA = 20.0, 200.0, 20.0, 0.15  # [ms], [1]
WIDTH, FACTOR = 1.0, 0.3
KEYS = ("input.w", "recurrent.w", "output.w")


@dataclass(frozen=True)
class Setting:
    """Weights, "from to", and what there is at each step.

    Arguments:
        w_in, w_rec, w_out: Weights.
        spikes: Of the inputs, "time input".
        target: Of the readouts, "time readout".
        adapts: Whether cells adapt.
        through: Whether the gradient passes through resets.
    """

    w_in: Float[np.ndarray, "input cell"]
    w_rec: Float[np.ndarray, "cell cell"]
    w_out: Float[np.ndarray, "cell readout"]
    spikes: Float[np.ndarray, "time input"]
    target: Float[np.ndarray, "time readout"]
    adapts: bool
    through: bool

    @property
    def beta(self) -> float:
        """How much a spike raises the threshold."""
        return BETA if self.adapts else 0.0


def setting(seed: int, adapts: bool, through: bool) -> Setting:
    """Random weights and spikes."""
    rng = np.random.default_rng(seed)
    rec = rng.normal(0, 0.35, (CELLS, CELLS))
    np.fill_diagonal(rec, 0)
    return Setting(
        rng.normal(0.35, 0.4, (INPUTS, CELLS)), rec, rng.normal(0, 0.5, (CELLS, READOUTS)),
        (rng.random((STEPS, INPUTS)) < 0.06).astype(float),
        np.sin(np.arange(STEPS)[:, None] / np.array([12.0, 20.0, 33.0])), adapts, through,
    )  # fmt: skip


def by_hand(of: Setting) -> tuple[dict[str, Float[np.ndarray, "a b"]], int]:
    """Traces of each synapse, step by step, and the number of spikes."""
    alpha, rho, kappa = (np.exp(-1 / tau) for tau in (TAU, TAU_A, TAU_O))
    v, a, y = np.zeros(CELLS), np.zeros(CELLS), np.zeros(READOUTS)
    eps_v = [np.zeros((n, CELLS)) for n in (INPUTS, CELLS)]
    eps_a = [np.zeros_like(e) for e in eps_v]
    low = [np.zeros_like(e) for e in eps_v]
    z_low = np.zeros(CELLS)
    grads = [np.zeros_like(e) for e in eps_v] + [np.zeros_like(of.w_out)]
    count = 0
    for t in range(STEPS):
        error = 2 * (y - of.target[t])  # of what the loss reads: the readout at the start
        grads[2] += np.outer(z_low, error)
        for k in (0, 1):
            grads[k] += low[k] * (of.w_out @ error)
        v, a, y, z_low = alpha * v, rho * a, kappa * y, kappa * z_low
        eps_v, eps_a = [alpha * e for e in eps_v], [rho * e for e in eps_a]
        low = [kappa * e for e in low]
        margin = v - 1 - of.beta * a
        z = (margin > 0).astype(float)
        count += int(z.sum())
        psi = FACTOR * np.maximum(0, 1 - np.abs(margin) / WIDTH) / WIDTH
        e = [psi * (ev - of.beta * ea) for ev, ea in zip(eps_v, eps_a, strict=True)]
        v, y, z_low = v + of.spikes[t] @ of.w_in + z @ of.w_rec, y + z @ of.w_out, z_low + z
        for k, sender in enumerate((of.spikes[t], z)):
            eps_v[k] = eps_v[k] + sender[:, None]
            low[k] = low[k] + e[k]
        v, a = v - z, a + z
        if of.through:
            eps_v = [ev - part for ev, part in zip(eps_v, e, strict=True)]
            eps_a = [ea + part for ea, part in zip(eps_a, e, strict=True)]
    np.fill_diagonal(grads[1], 0)
    return dict(zip(KEYS, grads, strict=True)), count


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: "torch.autograd.function.FunctionCtx", margin: Tensor) -> Tensor:  # pyright: ignore
        ctx.save_for_backward(margin)
        return (margin > 0).to(margin.dtype)

    @staticmethod
    def backward(ctx: "torch.autograd.function.FunctionCtx", *grads: Tensor) -> Tensor:  # pyright: ignore
        (margin,) = ctx.saved_tensors  # pyright: ignore
        return grads[0] * FACTOR * torch.clamp(1 - margin.abs() / WIDTH, min=0) / WIDTH


def by_autograd(of: Setting) -> dict[str, Float[np.ndarray, "a b"]]:
    """Backpropagation in which spikes count as constants where they reach other cells."""
    weights = [torch.tensor(w, requires_grad=True) for w in (of.w_in, of.w_rec, of.w_out)]
    w_in, w_rec, w_out = weights
    alpha, rho, kappa = (float(np.exp(-1 / tau)) for tau in (TAU, TAU_A, TAU_O))
    zero = torch.zeros(CELLS, dtype=torch.float64)
    v, a, y, loss = zero, zero, torch.zeros(READOUTS, dtype=torch.float64), zero.sum()
    spikes, target = torch.from_numpy(of.spikes), torch.from_numpy(of.target)
    for t in range(STEPS):
        loss = loss + (y - target[t]).square().sum()
        v, a, y = alpha * v, rho * a, kappa * y
        z = _Spike.apply(v - 1 - of.beta * a)
        v, y = v + spikes[t] @ w_in + z.detach() @ w_rec, y + z @ w_out
        own = z if of.through else z.detach()
        v, a = v - own, a + own
    loss.backward()
    found: dict[str, Any] = dict(zip(KEYS, (w.grad.numpy() for w in weights), strict=True))  # type: ignore[union-attr]
    np.fill_diagonal(found["recurrent.w"], 0)
    return found


def from_equations(of: Setting) -> dict[str, Float[np.ndarray, "a b"]]:
    """The rule, from the equations of a Brian2 network."""
    step, source = np.nonzero(of.spikes)
    inputs = SpikeGeneratorGroup(INPUTS, source, step * ms, dt=1 * ms, name="inputs")
    cells = NeuronGroup(
        CELLS, "dv/dt = -v/tau : 1\nda/dt = -a/tau_a : 1", threshold="v > 1 + beta*a",
        reset="v -= 1; a += 1", method="exact", dt=1 * ms, name="cells",
        namespace={"tau": TAU * ms, "tau_a": TAU_A * ms, "beta": of.beta},
    )  # fmt: skip
    readout = NeuronGroup(READOUTS, "dy/dt = -y/tau : 1", method="exact", dt=1 * ms, name="readout",
                          namespace={"tau": TAU_O * ms})  # fmt: skip
    ways = [
        _way(inputs, cells, "v", "input", of.w_in),
        _way(cells, cells, "v", "recurrent", of.w_rec),
        _way(cells, readout, "y", "output", of.w_out),
    ]
    model = mn.mirror(
        Network(inputs, cells, readout, *ways), train=list(KEYS), dtype=torch.float64,
        surrogate=mn.Triangle(width=WIDTH, factor=FACTOR),
        reset_gradient="surrogate" if of.through else "detach", namespace={},
    )  # fmt: skip
    target = torch.from_numpy(of.target)[:, None]
    task = mn.Task(STEPS * ms, lambda r, _: (r["readout.y"] - target).square().sum(),
                   record=["readout.y"])  # fmt: skip
    rule = mn.EProp()
    rule.step(rule.init(model), model, task, mn.Trial(), 0, lambda: True)
    found: dict[str, Float[np.ndarray, "a b"]] = {}
    for way in ways:
        slope = model.parameter(f"{way.name}.w").grad
        dense = np.zeros((way.source.N, way.target.N))
        dense[np.array(way.i), np.array(way.j)] = slope.numpy()  # type: ignore[union-attr]
        found[f"{way.name}.w"] = dense
    return found


def _way(
    pre: object, post: object, variable: str, name: str, weights: Float[np.ndarray, "a b"]
) -> Synapses:
    made = Synapses(pre, post, "w : 1", on_pre=f"{variable}_post += w", dt=1 * ms, name=name)
    made.connect("i != j" if pre is post else True)
    made.w = weights[np.array(made.i), np.array(made.j)]
    return made


@dataclass(frozen=True)
class Identity:
    """Largest relative difference of three gradients.

    Arguments:
        hand: Between the rule written by hand and the one from equations.
        autograd: Between stopped autograd and the one from equations.
        spikes: Number of spikes.
    """

    hand: float
    autograd: float
    spikes: int


def identity(seed: int, adapts: bool, through: bool) -> Identity:
    """Compare the three."""
    of = setting(seed, adapts, through)
    hand, spikes = by_hand(of)
    rule, auto = from_equations(of), by_autograd(of)
    return Identity(_apart(hand, rule), _apart(auto, rule), spikes)


def _apart(a: dict[str, Float[np.ndarray, "a b"]], b: dict[str, Float[np.ndarray, "a b"]]) -> float:
    return max(float(np.abs(a[k] - b[k]).max() / np.abs(a[k]).max()) for k in KEYS)
