"""Fit an adaptive exponential neuron to 2 s of voltage and spikes, from five wrong starts.

    python examples/fit_adex.py           # about 20 minutes
    python examples/fit_adex.py --quick   # one start, half a second, few steps: shows that it runs

Eight parameters start 20 to 50 % off, the two potentials by as much of the 15 mV between them.
Each fit is written back and judged in Brian2, by the coincidence factor at 4 ms with a current that
the fit did not see. Differential evolution of the coincidence factor gets the same data and as many
simulated seconds.
"""

import sys
from typing import Any

import numpy as np
import torch
from brian2 import Network, NeuronGroup, SpikeMonitor, StateMonitor, TimedArray, defaultclock, prefs
from brian2.units import ms, mV, nS, pA, pF, second
from scipy.optimize import differential_evolution

import mirrorneuron as mn
from mirrorneuron.analysis import coincidence_factor

QUICK = "--quick" in sys.argv
DURATION = 0.5 if QUICK else 2.0
STARTS, STEPS = (1, 2) if QUICK else (5, 16)
TRUTH = {
    "C": 200 * pF, "gL": 10 * nS, "EL": -65 * mV, "VT": -50 * mV, "DT": 2 * mV, "a": 2 * nS,
    "b": 60 * pA, "tau_w": 100 * ms,
}  # fmt: skip
# The upswing is cut at 6 DT above VT, so that one that starts too early in the fit stays finite.
EQUATIONS = """
dv/dt = (gL*(EL - v) + gL*DT*exp(clip((v - VT)/DT, -50, 6)) - w + current(t))/C : volt
dw/dt = (a*(v - EL) - w)/tau_w : amp
C : farad (constant)
gL : siemens (constant)
EL : volt (constant)
VT : volt (constant)
DT : volt (constant)
a : siemens (constant)
b : amp (constant)
tau_w : second (constant)
"""


def noise(seed: int) -> Any:
    """A current that forgets itself within 5 ms."""
    rng, decay = np.random.default_rng(seed), np.exp(-0.1 / 5)
    x = rng.normal(size=round(DURATION / 1e-4))
    for k in range(1, len(x)):
        x[k] = decay * x[k - 1] + np.sqrt(1 - decay**2) * x[k]
    return (300 + 250 * x[:, None]) * pA


def neurons(current: Any, values: dict[str, Any], n: int = 1) -> Network:
    """Neurons with these values, and what is recorded of them."""
    cells = NeuronGroup(
        n, EQUATIONS, threshold="v > -30*mV", reset="v = -58*mV; w += b",
        method="exponential_euler", namespace={"current": TimedArray(current[:, 0], 0.1 * ms,
        name="current")}, name="cells",
    )  # fmt: skip
    for name, value in values.items():
        setattr(cells, name, value)
    cells.v = -65 * mV
    trace = StateMonitor(cells, "v", record=n == 1, name="trace")
    return Network(cells, SpikeMonitor(cells, name="spikes"), trace)


def run(network: Network) -> list[Any]:
    """Spike times of each neuron [s]."""
    network.run(DURATION * second, namespace={})
    return [np.array(t / second) for t in network["spikes"].spike_trains().values()]


def away(share: Any) -> dict[str, Any]:
    """The truth, each parameter off by a share; potentials by a share of the 15 mV between them."""
    return {
        name: value + x * 15 * mV if name in ("EL", "VT") else value * (1 + x)
        for (name, value), x in zip(TRUTH.items(), share, strict=True)
    }


def gamma(data: Any, model: Any) -> float:
    """Coincidence factor at 4 ms; that of unrelated trains where it is not defined."""
    return coincidence_factor(data, model, DURATION) if len(model) < 120 * DURATION else 0.0


def evolve(current: Any, spikes: Any, simulated: float, seed: int) -> dict[str, Any]:
    """Values found by differential evolution within 50 % of the truth."""
    size = 2 * len(TRUTH)

    def losses(shares: Any) -> Any:
        found = run(neurons(current, away(shares), shares.shape[1]))
        return np.array([-gamma(spikes, train) for train in found])

    generations = max(1, round(simulated / DURATION / size))
    best = differential_evolution(
        losses, [(-0.5, 0.5)] * len(TRUTH), popsize=2, maxiter=generations - 1, rng=seed, tol=0,
        polish=False, vectorized=True, updating="deferred",
    )  # fmt: skip
    return away(best.x)


prefs.codegen.target, defaultclock.dt = "numpy", 0.1 * ms
seen, unseen = noise(0), noise(1)
recorded = neurons(seen, TRUTH)
(spikes,), (held_out,) = run(recorded), run(neurons(unseen, TRUTH))

rng = np.random.default_rng(0)
shares = rng.choice([-1, 1], (STARTS, 8)) * rng.uniform(0.2, 0.5, (STARTS, 8))
starts = [{f"cells.{name}": x for name, x in away(share).items()} for share in shares]

model = mn.mirror(
    neurons(seen, away(shares[0])),
    train={f"cells.{n}": mn.Sign() if n in ("EL", "VT") else mn.Positive() for n in TRUTH},
    dtype=torch.float64,
)
found = mn.fit_recording(
    model, {"current": seen}, recorded["spikes"], recorded["trace"].v.T, window=50 * ms,
    starts=starts, steps=STEPS,
)  # fmt: skip
print(found)

print("\nCoincidence factor at 4 ms with the current that no fit saw, all in Brian2:")
print("start   before   fitted  evolved  simulated [s]")
for k, (share, restart) in enumerate(zip(shares, found.restarts, strict=True)):
    before = neurons(unseen, away(share))
    found.use(k)
    after = neurons(unseen, TRUTH)
    model.write_back(after)
    rival = neurons(unseen, evolve(seen, spikes, restart.simulated, seed=k))
    scores = [gamma(held_out, run(network)[0]) for network in (before, after, rival)]
    print(
        f"{k:>5} {scores[0]:>8.3f} {scores[1]:>8.3f} {scores[2]:>8.3f} {restart.simulated:>14.0f}"
    )
