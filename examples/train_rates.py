"""Train an E/I network of adaptive exponential neurons to chosen rates, from three starts.

    python examples/train_rates.py           # about 20 minutes
    python examples/train_rates.py --quick   # one start, two steps: shows that it runs

Two weights and two time constants of the script are trained by their bare names, with default
arguments. The targets are the rates of the same network with other values, so that they lie within
reach. After the write-back Brian2 runs the network with eight seeds, and has the last word.
"""

import sys
from typing import Any

import numpy as np
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonInput,
    SpikeMonitor,
    Synapses,
    defaultclock,
    prefs,
    seed,
)
from brian2.units import ms, mV, nS, pA, pF

import mirrorneuron as mn

QUICK = "--quick" in sys.argv
STARTS, STEPS, SEEDS, BATCH = (1, 2, 1, 1) if QUICK else (3, 60, 8, 4)
DURATION = (20 if QUICK else 200) * ms
TRAINED = ["w_e", "w_i", "tau_e", "tau_i"]
CENTRE = {"w_e": 1 * nS, "w_i": 4 * nS, "tau_e": 5 * ms, "tau_i": 8 * ms}
TARGET = (0.8, 1.25, 0.9, 1.2)
START = [(1, 1, 1, 1), (1.4, 0.8, 0.8, 0.9), (0.6, 1.2, 1.2, 1.1)]
CELL = {
    "C": 200 * pF, "gL": 10 * nS, "EL": -65 * mV, "VT": -50 * mV, "DT": 2 * mV, "Vr": -58 * mV,
    "a": 2 * nS, "b": 20 * pA, "tau_w": 120 * ms, "Ee": 0 * mV, "Ei": -80 * mV,
}  # fmt: skip
EQUATIONS = """
dv/dt = (gL*(EL - v) + gL*DT*exp((v - VT)/DT) + ge*(Ee - v) + gi*(Ei - v) - w)/C : volt
        (unless refractory)
dw/dt = (a*(v - EL) - w)/tau_w : amp
dge/dt = -ge/tau_e : siemens
dgi/dt = -gi/tau_i : siemens
"""


def network(values: dict[str, Any]) -> Network:
    """80 excitatory and 20 inhibitory neurons, driven by Poisson input."""
    seed(1)
    names = {**CELL, **values}
    cells = {
        name: NeuronGroup(
            size, EQUATIONS, threshold="v > -40*mV", reset="v = Vr; w += b", refractory=2 * ms,
            method="euler", namespace=names, name=name,
        )
        for name, size in (("E", 80), ("I", 20))
    }  # fmt: skip
    synapses = []
    for source, target in ("EE", "EI", "IE", "II"):
        cells[source].v = "EL + 10*mV*rand()"
        effect = "ge_post += w_e" if source == "E" else "gi_post += w_i"
        made = Synapses(
            cells[source], cells[target], on_pre=effect, namespace=names,
            name=f"{source}_{target}".lower(),
        )  # fmt: skip
        made.connect(p=0.1 if source == "E" else 0.2)
        synapses.append(made)
    drives = [PoissonInput(group, "ge", 100, 10 * Hz, weight=2.5 * nS) for group in cells.values()]
    monitors = [SpikeMonitor(group, name=f"spikes_{name}") for name, group in cells.items()]
    return Network(*cells.values(), *synapses, *drives, *monitors)


def scaled(factors: tuple[float, ...]) -> dict[str, Any]:
    """The four constants, each times a factor."""
    return {name: x * factor for (name, x), factor in zip(CENTRE.items(), factors, strict=True)}


def rates_in_brian2(net: Network) -> dict[str, float]:
    """Mean rates over seeds [Hz]."""
    found: dict[str, list[float]] = {"E": [], "I": []}
    net.store("trained")
    for k in range(SEEDS):
        net.restore("trained")
        seed(k)
        net.run(DURATION, namespace={})
        for name in found:
            spikes = net[f"spikes_{name}"]
            found[name].append(float(spikes.num_spikes / len(spikes.source) / DURATION))
    return {name: float(np.mean(each)) for name, each in found.items()}


prefs.codegen.target, defaultclock.dt = "numpy", 0.1 * ms
wanted = mn.mirror(network(scaled(TARGET))).run(DURATION, batch_size=4 * BATCH, seed=99).rates()
loss = mn.losses.rate({name: rate * Hz for name, rate in wanted.items()})
print(f"targets: E {wanted['E']:.1f} Hz, I {wanted['I']:.1f} Hz")
for start in START[:STARTS]:
    net = network(scaled(start))
    model = mn.mirror(net, train=TRAINED)
    before = model.run(DURATION, batch_size=BATCH, seed=1).rates()
    task = mn.Task(DURATION, loss=loss, trial=lambda _: mn.Trial(batch_size=BATCH))
    fit = mn.fit(model, task, steps=STEPS)
    model.write_back()
    after = rates_in_brian2(net)
    print(
        "  ".join(f"{n}: {before[n]:.1f} -> {after[n]:.1f} Hz in Brian2" for n in wanted),
        f"loss {fit.losses[0]:.3f} -> {fit.losses[-1]:.4f}",
        ", ".join(f"{name} = {model.parameter(name).item():.4g}" for name in TRAINED),
        sep="\n",
    )
