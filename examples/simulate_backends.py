"""One network on several backends, spike for spike: python examples/simulate_backends.py."""

import sys

import numpy as np
from brian2 import Network, NeuronGroup, Synapses, ms, mV, prefs

import mirrorneuron as mn

prefs.codegen.target = "numpy"
BACKENDS = ("runtime", "native") if "--quick" in sys.argv else ("runtime", "native", "cpp")


def build() -> Network:
    """A hundred neurons on a ring; random numbers are numpy's, so that every backend has them."""
    rng = np.random.default_rng(0)
    cells = NeuronGroup(
        100,
        "dv/dt = (-48*mV - v)/(20*ms) : volt (unless refractory)",
        threshold="v > -50*mV",
        reset="v = -60*mV",
        refractory=2 * ms,
        method="exact",
        name="cells",
    )
    cells.v = rng.uniform(-60, -50, 100) * mV
    ring = Synapses(cells, cells, on_pre="v_post -= 2*mV", delay=1.5 * ms, name="ring")
    ring.connect(i=np.arange(100), j=(np.arange(100) + 1) % 100)
    return Network(cells, ring)


found = {}
for backend in BACKENDS:
    result = mn.simulate(build, 300 * ms, backend=backend)
    spikes = result.spikes["cells"]
    found[backend] = sorted(zip(spikes.step.tolist(), spikes.index.tolist(), strict=True))
    print(f"{backend}: {len(found[backend])} spikes, {result.seconds['run']:.3f} s")
print("identical:", all(spikes == found["runtime"] for spikes in found.values()))
