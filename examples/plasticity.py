"""A plasticity rule of your own in a cerebellar circuit: python examples/plasticity.py."""

import sys

from brian2 import Hz, Network, ms, prefs

import mirrorneuron as mn
from mirrorneuron.bio import PlasticityRule

prefs.codegen.target = "numpy"
SCALE, DURATION = (0.02, 50 * ms) if "--quick" in sys.argv else (0.1, 1000 * ms)
rule = PlasticityRule(
    on_pre="w = clip(w - A_minus, w_min, w_max)",  # each arrival weakens
    on_post="w = clip(w + A_plus, w_min, w_max)",  # each spike of the target strengthens
    parameters={"A_plus": "0.001", "A_minus": "0.01", "w_min": "0", "w_max": "4"},
    weighted=("A_plus", "A_minus", "w_min", "w_max"),
    unit="nS",
    weight="0.07",
    source="An example.",
)
circuit = mn.bio.cerebellum(SCALE, seed=1)


def build() -> Network:
    """The circuit, whose parallel fibres learn."""
    return circuit.network(mossy=4 * Hz, plastic={"parallel_purkinje": rule})


result = mn.simulate(build, DURATION, "native", record={"parallel_purkinje.w": None}, seed=1)
weights = result["parallel_purkinje.w"] * 1e9
print(
    f"{weights.shape[1]} synapses, mean weight {weights[0].mean():.3f} -> "
    f"{weights[-1].mean():.3f} nS; Purkinje cells fire at {result.rates()['purkinje']:.0f} Hz"
)
