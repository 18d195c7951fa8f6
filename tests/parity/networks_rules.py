"""Every rule of `bio/plasticity/`, short-term plasticity and gap junctions of `bio/`."""

from collections.abc import Callable

import numpy as np
from brian2 import Network, ms, nS, pA, second
from registry import entry, scattered

from mirrorneuron.bio import PlasticityRule, junctions, neurons, plasticity, synapses

RECEPTOR = synapses["alpha_conductance"]


def learning(name: str, rule: PlasticityRule) -> Callable[[], Network]:
    """Thirty inputs onto four cells whose climbing fibres, or own spikes, change the weights."""

    def build() -> Network:
        rng = np.random.default_rng(81)
        model = rule.taught(neurons["lif"])
        short = {"window_cf": 20 * ms} if "window_cf" in model.parameters else {}
        cells = model.group(4, name="cells", receptors={"pf": RECEPTOR}, I=240 * pA, **short)
        noise = scattered(rng, 30, 5, 120, "noise")
        edges = {"i": np.repeat(np.arange(30), 4), "j": np.tile(np.arange(4), 30)}
        w = rng.uniform(0.2, 1.2, 120) * nS
        plastic = rule.connect(
            noise, cells, RECEPTOR, "pf", w=w, unit=2 * nS, w_max=2 * nS, delay=1 * ms,
            name="plastic", **edges,
        )  # fmt: skip
        network = Network(noise, cells, plastic)
        if rule.teaching:
            teacher = scattered(rng, 4, 5, 120, "teacher")
            fibres = rule.teach(
                teacher, cells, i=np.arange(4), j=np.arange(4), delay=2 * ms, name="fibres"
            )
            network.add(teacher, fibres)
        return network

    build.__name__ = f"rule_{name}"
    build.__doc__ = f"Weights of {name}."
    return build


for name, rule in plasticity.items():
    entry(0.12 * second, 120, seed=81, noise=(25, 60), cells=(3, 150), moves={"plastic.w": 1e-12})(
        learning(name, rule)
    )


@entry(0.12 * second, 80, stimulus=(50, 200), cells=(5, 150))
def release() -> Network:
    """Tsodyks-Markram synapses of two kinds onto cells that gap junctions couple."""
    model, rng = synapses["tsodyks_markram"].variant("golgi_granule"), np.random.default_rng(82)
    stimulus = scattered(rng, 12, 12, 120, "stimulus")
    receptors = {"e": model, "gap": junctions["gap_junction"]}
    cells = neurons["lif"].group(5, name="cells", receptors=receptors, I=230 * pA)
    edges = {"i": np.repeat(np.arange(12), 5), "j": np.tile(np.arange(5), 12)}
    w = rng.uniform(1, 6, 60) * nS
    synaptic = model.connect(stimulus, cells, "e", w=w, delay=1 * ms, name="synaptic", **edges)
    coupled = junctions["gap_junction"].couple(
        cells, "gap", [0, 1, 2], [1, 2, 4], g=[1, 2, 3] * nS, name="coupled"
    )
    return Network(stimulus, cells, synaptic, coupled)
