"""Law: the model strings for GeNN mean what Brian2 means, on every network inside of the subset.

The stepper runs everywhere; PyGeNN where it can be imported, else those tests are skipped.
"""

from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import brian2
import numpy as np
import pytest
import test_models
from brian2 import Network, SpikeMonitor, ms
from networks import networks
from test_models import cases, recurrent

import mirrorneuron as mn
from mirrorneuron.bio.simulation._genn import checked
from mirrorneuron.bridge.genn.emit import emit
from mirrorneuron.bridge.genn.layout import SOURCES
from mirrorneuron.bridge.genn.run import Plan, Ran, run
from mirrorneuron.bridge.program import Program

LONGEST = 100 * ms
LIBRARIES = [
    "stepper",
    pytest.param(
        "pygenn",
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(
                find_spec("pygenn") is None, reason="GeNN is not installed: tier (c) did not run"
            ),
        ],
    ),
]
QUICK = (  # one of each kind; the others are slow tests
    "timed_array_in_synapses", "refractory_in_equations", "compound_threshold", "spike_response",
    "stdp_clock_driven", "voltage_based", "reward_modulated", "short_term", "kinetic_synapses",
    "subgroups", "multisynaptic", "named_pathways", "rule_pf_pc_sinexp", "eglif",
)  # fmt: skip


def kinds(names: Iterable[str]) -> list[Any]:
    """Names, those of slow tests marked."""
    return [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in names]


OUTSIDE = {
    "two_clocks": "dt = 0.5 ms beside 0.1 ms",
    "half_step": "dt = 0.1 ms beside 0.05 ms",
    "slow_synapses": "the sum reads synapses.g: spikes change it",
    "regular_code": "dt = 2 ms beside 0.1 ms",
    "slow_sources": "dt = 1 ms beside 0.1 ms",
    "time_of_the_group": "dt = 0.1 ms beside 0.05 ms",
    "custom_event": "the event 'high'",
    "crossing_events": "the event 'fall'",
    "shared_parameters": "slow -= slow*dt/tau_s",
    "sliding_threshold": "it reads cells.rate, to which 'mark_pre' adds before",
    "homeostasis": "plastic_run_regularly: when='end'",
    "normalised_weights": "it delivers into cells.total, cells.v",
    "hebbian_rates": "it reads output.y, which changes later in a step",
    "noisy": "rand() * w",
    "stochastic_release": "int(rand() < p)",
    "quantal_release": "quanta := poisson(m)",
    "linked_variables": "lead is leader.x of another object, which changes",
    "parts_of_groups": "back_post: v_pre += 0.02",
    "already_advanced": "it was run for 333 steps before",
    "restored": "117 spikes under way",
    "other_order": "when='after_synapses', order=1",
    "other_schedule": "when='thresholds', order=0",
    "single_precision_variables": "cells.I in single precision",
    "gap_junctions": "the sum reads cells.v: code before the sum changes it",
    "synaptic_equations": "source is cells.v of another object, which changes",
    "general_statements": "x_pre -= 0.01 * released",
    "nmda": "it delivers into cells.s_A, cells.s_N",
    "two_stage_synapses": "rise = (1/8.0)**(1/7.0)",
    "rectifying_junctions": "a sum over the presynaptic neuron",
    "several_sums": "the sum reads cells.v: code before the sum changes it",
    "towards_reversal": "it reads cells.v, to which it adds",
    "divisive_synapses": "g_post *= w",
    "synapses_as_targets": "synapses onto synapses",
}


def test_networks_outside_are_known() -> None:
    assert set(OUTSIDE) < set(networks)


@pytest.mark.parametrize("name", kinds(OUTSIDE))
def test_what_lies_outside_is_listed(name: str) -> None:
    found = mn.genn_findings(networks[name].build())
    assert any(OUTSIDE[name] in finding.line for finding in found), [f.line for f in found]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", kinds(name for name in networks if name not in OUTSIDE))
def test_the_strings_mean_what_brian2_means(name: str, library: str, tmp_path: Path) -> None:
    entry = networks[name]
    duration = min(entry.duration, LONGEST)
    brian2.seed(entry.seed)
    network = entry.build()
    require_same(network, duration, entry.seed, library, tmp_path)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("neuron", kinds(mn.bio.neurons))
def test_every_neuron_with_every_receptor_means_the_same(
    neuron: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = [case[1:] for case in cases() if case[0] == neuron]
    method, held = max(choices, key=lambda choice: len(choice[1]))
    monkeypatch.setattr(test_models, "VALUES", {"eglif": test_models.VALUES["eglif"]})  # no noise
    network = recurrent(neuron, method, held)
    spikes = require_same(network, 50 * ms, 1, library, tmp_path, neuron == "inferior_olive")
    assert spikes > 5


def require_same(
    network: Network, duration: Any, seed: int, library: str, place: Path, silent: bool = False
) -> int:
    """Run both; returns the number of spikes. `silent`: what is drawn has no effect."""
    program, outside = checked(network, {}, "genn")
    assert outside == ()
    spiking = program.spiking() + tuple(program.generators)
    steps = round(float(duration) / program.dt)
    model = emit(program, steps, (), np.random.RandomState(seed))
    plan = Plan(steps=steps, every=1, rows={}, spikes=list(dict.fromkeys(spiking)), seed=seed + 1)
    module = import_module("pygenn" if library == "pygenn" else "mirrorneuron.bridge.genn.stepper")
    ran = run(module, model, plan, place / "build")
    monitors = {name: SpikeMonitor(network[name]) for name in plan.spikes}
    network.add(*monitors.values())
    brian2.seed(seed)
    network.run(duration, namespace={})
    if draws(program) and not silent:
        require_alike(ran, monitors)
    else:
        require_equal(network, ran, monitors)
    return sum(len(m.i) for m in monitors.values())


def require_equal(network: Network, ran: Ran, monitors: dict[str, Any]) -> None:
    """Every spike at its step and neuron; every variable at the end, weights too."""
    for name, monitor in monitors.items():
        step = np.rint(np.asarray(monitor.t_) / float(monitor.clock.dt_)).astype(int)
        np.testing.assert_array_equal(ran.step[name], step, err_msg=name)
        np.testing.assert_array_equal(ran.index[name], np.asarray(monitor.i), err_msg=name)
    assert ran.final
    for key, value in ran.final.items():
        owner, variable = key.split(".", 1)
        expected = np.asarray(network[owner].variables[variable].get_value(), dtype=float)
        scale = float(np.abs(expected).max()) if expected.size else 0.0
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9 * scale, err_msg=key)


def require_alike(ran: Ran, monitors: dict[str, Any]) -> None:
    """About as many spikes: random numbers are others."""
    for name, monitor in monitors.items():
        expected, found = len(monitor.i), len(ran.step[name])
        assert abs(found - expected) <= max(0.1 * expected, 4 * np.sqrt(expected + 1)), name
    assert all(np.isfinite(value).all() for value in ran.final.values())


def draws(program: Program) -> bool:
    """Whether a network draws random numbers elsewhere than in its sources."""
    return any(
        slot.samplers or {"rand", "randn"} & set(slot.functions)
        for slot in program.slots
        if program.groups[slot.owner].kind not in SOURCES
    )
