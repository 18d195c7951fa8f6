"""Laws of the receptors, and loops that they close."""

import re

import numpy as np
import pytest
import torch
from bodies import one_muscle
from brian2 import Hz, Network, SpikeMonitor, Synapses, ms, seed

import mirrorneuron as mn
from mirrorneuron.bridge.validate import compare
from mirrorneuron.errors import DomainError, UnknownName
from mirrorneuron.muscle import Receptor, plants, receptors

EVERY = pytest.mark.parametrize(("name", "model"), receptors.items(), ids=receptors)


def rates(name: str, steps: int = 1, **muscle: object) -> np.ndarray:
    """Rates after some steps of a body whose fibres do as they are told [Hz]."""
    body = one_muscle(plants["elbow_pair"], gravity=False)
    group = body.afferents(name, name="afferents", spikes=False)
    for variable, value in muscle.items():
        setattr(body.muscles, variable, value)
    Network(body.muscles, group).run(steps * ms)
    return np.array(group.rate_[:])


@EVERY
def test_rates_are_positive_and_finite_however_the_muscle_moves(name: str, model: Receptor) -> None:
    for rate in (-2.0, -0.5, 0.0, 0.5, 2.0):
        found = rates(name, excursion_rate_=rate, activation=0.5)
        assert np.all(np.isfinite(found))
        assert np.all(found >= 0)


@EVERY
def test_the_source_is_told(name: str, model: Receptor) -> None:
    assert re.search(r"Source: .*\d{4}.*doi:10\.\d+/\S+", model.source, re.DOTALL)
    assert "Differs from it:" in model.source


def test_spindles_rise_with_length_and_primary_endings_with_velocity() -> None:
    for name in ("spindle_ia", "spindle_ii"):
        short, long = rates(name, excursion_=0.005), rates(name, excursion_=-0.005)
        assert np.all(long > short)
    still, stretched = rates("spindle_ia"), rates("spindle_ia", excursion_rate_=-0.05)
    assert np.all(stretched > still + 20)
    assert rates("spindle_ii", excursion_rate_=-0.05) == pytest.approx(rates("spindle_ii"))


def test_a_primary_ending_has_the_rate_of_the_formula() -> None:
    """4 mm beyond optimal, stretched by 50 mm/s: 50 + 8 + 4.3 * 50^0.6 Hz, floored within 0.01."""
    muscles = plants["elbow_pair"].muscles.values()
    slack = np.array([m.L_ref - m.L_slack - m.L0 - 0.004 for m in muscles])
    found = rates("spindle_ia", excursion_=slack, excursion_rate_=-0.05)
    assert found == pytest.approx(50 + 8 + 4.3 * 50**0.6, rel=1e-3)


def test_tendon_organs_follow_force() -> None:
    weak, strong = (rates("tendon_organ", activation=a) for a in (0.1, 0.8))
    assert np.all(strong > 4 * weak)
    assert np.all(rates("tendon_organ_dynamic", activation=0.8) > 100)


def test_the_dynamic_tendon_organ_adapts_to_the_static_rate() -> None:
    first = rates("tendon_organ_dynamic", activation=0.5, excitation=0.5)
    later = rates("tendon_organ_dynamic", 1000, activation=0.5, excitation=0.5)
    assert np.all(later < 0.8 * first)


def test_afferents_spike_at_their_rate() -> None:
    body = one_muscle(plants["elbow_pair"], gravity=False)
    group = body.afferents("spindle_ia", name="Ia", per_muscle=50)
    spikes = SpikeMonitor(group)
    seed(3)
    Network(body.muscles, group, spikes).run(400 * ms)
    expected = float(np.mean(group.rate_[:])) * 100 * 0.4
    assert len(group) == 100
    assert spikes.num_spikes == pytest.approx(expected, abs=5 * np.sqrt(expected))


def test_a_reflex_loop_with_delays_is_one_network_and_mirrors_to_the_last_bit() -> None:
    """Spindles excite motor neurons, and these their own muscle; a tendon organ inhibits it."""
    body = plants["elbow_pair"].build(dt=1 * ms, angle=0.3)
    cells = mn.bio.neurons["lif"].group(
        2, name="cells", receptors={"e": mn.bio.synapses["exponential_current"]}, dt=1 * ms
    )
    sense = body.afferents("spindle_ia", name="Ia", per_muscle=10)
    organ = body.afferents("tendon_organ", name="Ib", per_muscle=10)
    feed = Synapses(sense, cells, "w : amp", on_pre="I_e_post += w", delay=12 * ms, dt=1 * ms)
    drive = Synapses(cells, body.muscles, "w : 1", on_pre="u_post += w", delay=10 * ms, dt=1 * ms)
    inhibit = Synapses(organ, cells, "w : amp", on_pre="I_e_post -= w", delay=15 * ms, dt=1 * ms)
    for synapses in (feed, inhibit):
        synapses.connect(j="i // 10")
        synapses.w_ = 6e-11
    drive.connect(j="i")
    drive.w = 0.15
    network = Network(cells, sense, organ, feed, inhibit, drive, *body.objects)
    model = mn.mirror(network, train=[f"{drive.name}.w"], dtype=torch.float64)
    evidence = compare(network, model, 300 * ms, {})
    assert len(evidence.brian2["Ia"].step) > 100
    assert len(evidence.brian2["cells"].step) > 5
    assert all(worst.error == 0 for worst in evidence.locked.values())
    for name, train in evidence.brian2.items():
        assert np.array_equal(train.step, evidence.mirror[name].step)
        assert np.array_equal(train.index, evidence.mirror[name].index)
    model.run(150 * ms, seed=1).state["joints.angle"].sum().backward()
    gradient = model.parameter(f"{drive.name}.w").grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert (gradient != 0).all()


def test_a_rate_is_in_hertz() -> None:
    body = one_muscle(plants["elbow_pair"])
    group = body.afferents("spindle_ii", name="II", spikes=False)
    group.rest_length = 0.85
    Network(*body.objects, group).run(1 * ms)
    assert np.all(group.rate > 10 * Hz)


def test_an_unknown_receptor_or_number_is_refused() -> None:
    body = one_muscle(plants["elbow_pair"])
    with pytest.raises(UnknownName, match="Did you mean 'spindle_ii' or 'spindle_ia'"):
        body.afferents("spindle_i", name="x")
    with pytest.raises(DomainError, match=r"afferents\('x'\): 0 afferents of each muscle"):
        body.afferents("spindle_ia", name="x", per_muscle=0)
