"""Laws of the synapse models: each holds for every file in `bio/synapses/`, on every neuron."""

import re

import brian2
import numpy as np
import pytest
from brian2 import Network, SpikeGeneratorGroup, StateMonitor, Synapses, ms, mV, nS, pA
from brian2.stateupdaters.base import StateUpdateMethod
from brian2.stateupdaters.exact import get_linear_system

from mirrorneuron.bio import NeuronModel, SynapseModel, neurons, synapses
from mirrorneuron.bio._quantity import evaluate, unit_text
from mirrorneuron.errors import DomainError, ShapeError, UnitError, UnknownName

EVERY = pytest.mark.parametrize("synapse", synapses.values(), ids=synapses)
EVERY_CONDUCTANCE = pytest.mark.parametrize(
    "synapse",
    [pytest.param(m, id=name) for name, m in synapses.items() if "E" in m.parameters],
)
ON_EVERY_NEURON = pytest.mark.parametrize("neuron", neurons.values(), ids=neurons)


def one_spike(at: brian2.Quantity = 1 * ms) -> SpikeGeneratorGroup:
    return SpikeGeneratorGroup(1, [0], [at])


def states(synapse: SynapseModel, label: str) -> list[str]:
    """States of the receptor, the one that makes the current first."""
    return re.findall(r"d(\w+)/dt", synapse.equations.format(r=label))


@EVERY
@ON_EVERY_NEURON
def test_a_spike_arrives_after_its_delay_and_moves_the_cell_by_about_a_millivolt(
    synapse: SynapseModel, neuron: NeuronModel
) -> None:
    source = one_spike(at=1 * ms)
    cells = neuron.group(2, receptors={"r": synapse})
    pathway = synapse.connect(source, cells, "r", i=[0], j=[0], delay=2 * ms)
    trace = StateMonitor(cells, "v", record=True)
    Network(source, cells, pathway, trace).run(15 * ms)
    moved = np.asarray(trace.v[0] - trace.v[1])
    onset = np.argmax(moved != 0)
    assert onset in (31, 32, 33)  # the spike of step 10 arrives at the end of step 30
    assert 0.4e-3 < moved.max() < 2.5e-3


@EVERY
@ON_EVERY_NEURON
def test_every_common_integrator_solves_the_equations(
    synapse: SynapseModel, neuron: NeuronModel
) -> None:
    methods = neuron.methods_with({"r": synapse})
    assert methods
    for method in methods:
        cells = neuron.group(1, receptors={"r": synapse, "i": synapse}, method=method)
        if method == "exact":  # the closed form itself takes sympy long, and other laws run it
            assert get_linear_system(cells.equations, cells.variables)
            continue
        code = StateUpdateMethod.apply_stateupdater(cells.equations, cells.variables, method)
        assert all(f"\n{state} = " in f"\n{code}" for state in cells.equations.diff_eq_names)


@EVERY
def test_an_integrator_that_is_not_declared_is_one_that_brian2_refuses(
    synapse: SynapseModel,
) -> None:
    for method in set(neurons["lif"].methods).difference(synapse.methods):
        text = neurons["lif"].text({"e": synapse})
        with pytest.raises(brian2.BrianObjectException):
            Network(brian2.NeuronGroup(1, text, method=method)).run(0 * ms)


@EVERY
def test_the_weight_is_the_peak(synapse: SynapseModel) -> None:
    """At once, or after tau for an alpha function; times U, if not all is released."""
    brian2.defaultclock.dt = 0.01 * ms
    source = one_spike(at=0 * ms)
    cells = neurons["lif"].group(1, receptors={"e": synapse}, method="exponential_euler")
    pathway = synapse.connect(source, cells, "e")
    shape = states(synapse, "e")
    trace = StateMonitor(cells, shape[0], record=True)
    Network(source, cells, pathway, trace).run(2 * cells.tau_e[0])
    course = np.asarray(getattr(trace, shape[0])[0])
    rises = len(shape) > 1
    released = evaluate(synapse.constants.get("U", "1"))
    assert course.max() == pytest.approx(float(evaluate(synapse.weight)) * released, rel=1e-2)
    assert trace.t[course.argmax()] / ms == pytest.approx(cells.tau_e[0] / ms * rises, abs=0.02)


@EVERY_CONDUCTANCE
def test_an_inhibitory_conductance_pulls_the_cell_down(synapse: SynapseModel) -> None:
    source = one_spike()
    cells = neurons["lif"].group(1, receptors={"i": synapse.variant("inhibitory")})
    Network(source, cells, synapse.variant("inhibitory").connect(source, cells, "i")).run(10 * ms)
    assert cells.v[0] < -60.1 * mV


@EVERY
def test_a_variant_sets_parameters_that_exist(synapse: SynapseModel) -> None:
    for values in synapse.variants.values():
        assert set(values) <= {*synapse.parameters, *synapse.constants}


@EVERY
def test_every_parameter_is_used_and_time_constants_are_positive(synapse: SynapseModel) -> None:
    text = synapse.equations + synapse.current
    assert all(name + "_{r}" in text for name in synapse.parameters)
    text = synapse.states + synapse.on_pre
    assert all(re.search(rf"\b{name}\b", text) for name in synapse.constants)
    named = {*synapse.parameters, *synapse.constants}
    assert {name for name in named if name.startswith("tau")} <= set(synapse.positive)
    with pytest.raises(DomainError, match="tau_e has to be > 0"):
        neurons["lif"].group(1, receptors={"e": synapse}, tau_e=0 * ms)


@EVERY
@ON_EVERY_NEURON
def test_a_synapse_and_a_neuron_share_no_name(synapse: SynapseModel, neuron: NeuronModel) -> None:
    own = set(brian2.Equations(synapse.synaptic()))
    assert own.isdisjoint(brian2.Equations(neuron.text({"r": synapse})))


@EVERY
def test_the_source_is_told(synapse: SynapseModel) -> None:
    assert re.search(r"Source: .*\d{4}.*doi:10\.\d+/\S+", synapse.source, re.DOTALL)
    assert "Differs from it:" in synapse.source


@EVERY
def test_synapses_are_plain_brian2_synapses(synapse: SynapseModel) -> None:
    source, cells = one_spike(), neurons["lif"].group(3, receptors={"e": synapse})
    weights = evaluate(synapse.weight) * [1.0, 2.0]
    pathway = synapse.connect(
        source, cells, "e", i=[0, 0], j=[2, 0], w=weights, delay=[1, 2] * ms, name="ee"
    )
    assert (type(pathway), pathway.name) == (Synapses, "ee")
    assert np.array_equal(pathway.j, [2, 0])
    assert np.array_equal(np.asarray(pathway.w), np.asarray(weights))
    assert np.allclose(pathway.delay / ms, [1, 2])
    assert len(synapse.connect(source, cells, "e")) == 3
    assert len(synapse.connect(source, cells[1:], "e", condition="j > 0")) == 1


@EVERY
def test_a_connection_without_meaning_is_refused(synapse: SynapseModel) -> None:
    source, cells = one_spike(), neurons["lif"].group(3, receptors={"e": synapse})
    weight = evaluate(synapse.weight)
    unit = unit_text(weight)
    with pytest.raises(UnitError, match=rf"w=1\. \* mvolt is in volt\.\s+.*need w in {unit}"):
        synapse.connect(source, cells, "e", w=1 * mV)
    with pytest.raises(UnitError, match=r"delay=2 has no unit"):
        synapse.connect(source, cells, "e", delay=2)
    with pytest.raises(DomainError, match=r"delay has to be >= 0"):
        synapse.connect(source, cells, "e", delay=-1 * ms)
    with pytest.raises(DomainError, match=r"w=.* is not finite"):
        synapse.connect(source, cells, "e", w=np.nan * weight)
    with pytest.raises(ShapeError, match=r"one value of w for each of 3"):
        synapse.connect(source, cells, "e", w=[1, 2] * weight)


@EVERY
def test_a_receptor_that_the_target_does_not_have_is_refused(synapse: SynapseModel) -> None:
    other = next(m for m in synapses.values() if m.equations != synapse.equations)
    source, cells = one_spike(), neurons["lif"].group(3, name="cells", receptors={"e": other})
    for label in ("e", "i"):
        with pytest.raises(UnknownName, match=f"'cells' has no receptor '{label}' of this kind"):
            synapse.connect(source, cells, label)
    with pytest.raises(UnknownName, match="has no receptor 'e' of this kind"):
        synapse.connect(cells, source, "e")


def test_a_value_of_a_receptor_is_set_under_its_label() -> None:
    receptors = {"e": synapses["exponential_conductance"], "i": synapses["alpha_conductance"]}
    cells = neurons["adex"].group(2, receptors=receptors, tau_i=[3, 4] * ms, E_i=-75 * mV)
    assert np.allclose(cells.tau_i / ms, [3, 4])
    assert np.allclose(cells.E_i / mV, -75)
    assert np.allclose(cells.tau_e / ms, 5)
    with pytest.raises(UnknownName, match="Did you mean 'tau_i'"):
        neurons["adex"].group(2, receptors=receptors, tau_ii=3 * ms)


def test_a_conductance_takes_a_conductance_and_a_current_a_current() -> None:
    assert unit_text(evaluate(synapses["alpha_conductance"].weight)) == unit_text(1 * nS)
    assert unit_text(evaluate(synapses["alpha_current"].weight)) == unit_text(1 * pA)


def test_release_depresses_and_facilitates_as_the_recursion_says() -> None:
    """Peaks of a train of eight spikes, of which each brings as much as u and x leave."""
    model = synapses["tsodyks_markram"].variant("golgi_granule")
    times = np.array([1, 11, 21, 26, 31, 61, 62, 150])
    source = SpikeGeneratorGroup(1, np.zeros(8, dtype=int), times * ms)
    cells = neurons["lif"].group(1, receptors={"e": model}, tau_e=1 * brian2.second)
    pathway = model.connect(source, cells, "e", w=1 * nS)
    trace = StateMonitor(cells, "h_e", record=True)
    Network(source, cells, pathway, trace).run(160 * ms)
    held = np.asarray(trace.h_e[0] / nS)
    found = np.diff(held[times[:, None] * 10 + np.array([0, 1])])[:, 0]
    found += held[times * 10] * (1 - np.exp(-1e-4))
    u, x, expected = 0.0, 1.0, []
    for gap in np.diff(times, prepend=-10_000) * 1.0:
        u, x = u * np.exp(-gap / 58), 1 - (1 - x) * np.exp(-gap / 36)
        u += 0.35 * (1 - u)
        expected.append(u * x)
        x -= u * x
    assert np.allclose(found, expected, rtol=1e-3)
    assert expected[0] == pytest.approx(0.35)


def test_constants_of_synapses_are_one_for_all_or_one_each() -> None:
    model, source = synapses["tsodyks_markram"], one_spike()
    cells = neurons["lif"].group(3, receptors={"e": model})
    one = model.connect(source, cells, "e", U=0.2)
    each = model.connect(source, cells, "e", U=[0.1, 0.2, 0.3], tau_rec=50 * ms)
    assert one.variables["U"].scalar
    assert np.allclose(each.U, [0.1, 0.2, 0.3])
    assert np.allclose(each.x_rel, 1)
    with pytest.raises(UnknownName, match="'tau_recc' is not known"):
        model.connect(source, cells, "e", tau_recc=1 * ms)
    with pytest.raises(DomainError, match="tau_fac has to be > 0"):
        model.connect(source, cells, "e", tau_fac=0 * ms)
    with pytest.raises(UnknownName, match=r"variant\('nobody'\) is not known"):
        model.variant("nobody")
