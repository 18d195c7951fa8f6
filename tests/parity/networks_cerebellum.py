"""The circuit of `bio/circuits/` as a patch of a few hundred cells, whole: with every pathway."""

from typing import Any

import numpy as np
from brian2 import Network, ms, mV, nA
from registry import entry

from mirrorneuron.bio import cerebellum, plasticity
from mirrorneuron.bio.circuits import Plastic
from mirrorneuron.bio.circuits.stimuli import Trains, poisson

LEARNING = {
    "parallel_purkinje": "pf_pc_sinexp",
    "ascending_purkinje": "pf_pc_sinexp",
    "parallel_basket": "pf_mli",
    "parallel_stellate": "pf_mli",
    "mossy_dcn_p": "mf_dcn",
    "purkinje_dcn_p": "pc_dcn",
}


def patch(**settings: Any) -> Network:
    """A patch whose spikes depend on no random number of a run, and which is excited."""
    circuit = cerebellum(scale=0.006, seed=7)
    rng = np.random.default_rng(1)
    fibres = np.arange(circuit.counts["mossy"])
    mossy = poisson(fibres, 250.0, (0.0, 0.06), circuit.dt, rng)
    olive = Trains(np.zeros(5, int), 3e-3 + 2e-3 * np.arange(5))
    net: Any = circuit.network(mossy=mossy, olive=olive, threshold="deterministic", **settings)
    for name in ("granule", "golgi", "purkinje", "basket", "stellate", "dcn_p", "dcn_i"):
        net[name].v = rng.uniform(-60, -35, len(net[name])) * mV
    net["dcn_i"].v = -36 * mV  # fires at once: its spikes reach the olive after 25 ms
    return net


MOVES = {f"{name}.v": 1e-4 for name in ("golgi", "basket", "stellate", "dcn_p", "dcn_i", "olive")}


@entry(
    60 * ms, 100, mossy=(150, 350), granule=(1, 100), purkinje=(20, 500), olive=(10, 400),
    moves=MOVES,
)  # fmt: skip
def cerebellum_patch() -> Network:
    """With short-term plasticity."""
    return patch(short_term=True)


@entry(
    60 * ms, 100, mossy=(150, 350), granule=(1, 100), purkinje=(20, 500), olive=(10, 400),
    moves=MOVES | {"parallel_purkinje.w": 1e-12},
)  # fmt: skip
def cerebellum_learning() -> Network:
    """With a rule of plasticity wherever one is known, and complex spikes."""
    rules = {path: Plastic(rule=plasticity[rule]) for path, rule in LEARNING.items()}
    rules["parallel_purkinje"] = Plastic(
        rule=plasticity["pf_pc_sinexp"], values={"window": 20 * ms}
    )
    return patch(plastic=rules, complex_spike=0.22 * nA)
