"""Laws of the neuron models: each holds for every file in `bio/neurons/`."""

import re

import brian2
import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeMonitor, ms, mV, nA, second
from brian2.stateupdaters.base import UnsupportedEquationsException
from brian2.stateupdaters.exact import get_linear_system

from mirrorneuron.bio import NeuronModel, neurons, synapses
from mirrorneuron.bio._quantity import evaluate, unit_text
from mirrorneuron.errors import DomainError, ShapeError, UnitError, UnknownName

EVERY = pytest.mark.parametrize("model", neurons.values(), ids=neurons)
EVERY_METHOD = pytest.mark.parametrize(
    ("model", "method"),
    [
        pytest.param(m, method, id=f"{n}-{method}")
        for n, m in neurons.items()
        for method in m.methods
    ],
)
EVERY_VARIANT = pytest.mark.parametrize(
    "model",
    [pytest.param(m.variant(v), id=f"{n}-{v}") for n, m in neurons.items() for v in m.variants],
)


def spike_counts(cells: NeuronGroup, duration: brian2.Quantity) -> np.ndarray:
    spikes = SpikeMonitor(cells)
    Network(cells, spikes).run(duration)
    return np.array(spikes.count)


def silent_and_driven(model: NeuronModel, **settings: object) -> NeuronGroup:
    """Two neurons: one without current, one with the drive that the model states."""
    brian2.defaultclock.dt = evaluate(model.step)
    return model.group(2, I=[0, 1] * evaluate(model.drive), **settings)


@EVERY
def test_a_model_fires_in_its_band_under_its_drive_and_is_silent_without(
    model: NeuronModel,
) -> None:
    silent, driven = spike_counts(silent_and_driven(model), 10_000 * evaluate(model.step))
    assert model.spontaneous[0] <= silent <= model.spontaneous[1]
    assert model.rate[0] <= driven <= model.rate[1]


@EVERY_METHOD
def test_every_declared_integrator_solves_the_equations(model: NeuronModel, method: str) -> None:
    duration = 1000 * evaluate(model.step)
    usual = spike_counts(silent_and_driven(model), duration)
    cells = silent_and_driven(model, method=method)
    assert np.all(np.abs(spike_counts(cells, duration) - usual) <= [0, 1])
    assert all(np.all(np.isfinite(getattr(cells, state))) for state in model.initial)


@EVERY
def test_an_integrator_that_is_not_declared_is_one_that_brian2_refuses(model: NeuronModel) -> None:
    for method in {"exact", "exponential_euler"}.difference(model.methods):
        cells = NeuronGroup(
            1, model.text(), threshold=model.threshold, reset=model.reset, method=method
        )
        if method == "exact" and oscillates(cells):
            continue
        with pytest.raises(brian2.BrianObjectException):
            Network(cells).run(0 * ms)


def oscillates(cells: NeuronGroup) -> bool:
    """Whether the equations are linear with complex eigenvalues: no real closed form exists."""
    try:
        names, matrix, _ = get_linear_system(cells.equations, cells.variables)
    except (ValueError, UnsupportedEquationsException):
        return False
    model = next(m for m in neurons.values() if set(m.initial) == set(names))
    values = {n: float(evaluate(text)) for n, text in model.parameters.items()}
    values |= {"int(not_refractory)": 1.0, "not_refractory": 1.0}
    real = matrix.subs({s: values[str(s)] for s in matrix.free_symbols})
    return bool(np.any(np.abs(np.linalg.eigvals(np.array(real, dtype=float)).imag) > 0))


@EVERY_VARIANT
def test_every_variant_fires_under_the_drive(model: NeuronModel) -> None:
    assert spike_counts(silent_and_driven(model), 2000 * evaluate(model.step))[1] > 0


@EVERY
def test_a_variant_sets_parameters_that_exist(model: NeuronModel) -> None:
    for values in model.variants.values():
        assert set(values) <= set(model.parameters)


@EVERY
def test_every_parameter_is_used(model: NeuronModel) -> None:
    text = " ".join(
        [model.equations, model.threshold, model.reset, model.refractory, model.hold, model.before,
         *model.initial.values()]
    )  # fmt: skip
    assert set(model.parameters) <= set(re.findall(r"\w+", text))


@EVERY
def test_every_time_constant_has_to_be_positive(model: NeuronModel) -> None:
    assert {name for name in model.parameters if name.startswith("tau")} <= set(model.positive)
    assert set(model.positive) <= set(model.parameters)


@EVERY
def test_the_source_is_told(model: NeuronModel) -> None:
    assert re.search(r"Source: .*\d{4}.*doi:10\.\d+/\S+", model.source, re.DOTALL)
    assert "Differs from it:" in model.source


@EVERY
def test_a_group_is_a_plain_brian2_group(model: NeuronModel) -> None:
    cells = model.group(3, name="cells")
    assert (type(cells), cells.name, len(cells)) == (NeuronGroup, "cells", 3)
    assert model.group(3).name.startswith("neurongroup")


@EVERY
@pytest.mark.filterwarnings("ignore:.*equations are unstable")
def test_every_parameter_can_differ_from_neuron_to_neuron(model: NeuronModel) -> None:
    values = {
        name: evaluate(text) * np.array([1.0, 1.01, 1.02])
        for name, text in model.parameters.items()
    }
    cells = model.group(3, **values)
    for name, value in values.items():
        assert np.array_equal(np.asarray(getattr(cells, name)), np.asarray(value))
        assert cells.variables[name].constant
        assert not cells.variables[name].scalar


@EVERY
def test_states_and_current_can_be_set(model: NeuronModel) -> None:
    usual, values = model.group(2), {}
    for name in (*model.initial, "I"):
        default = getattr(usual, name)[:]
        one = brian2.Quantity(np.ones(2), dim=brian2.get_dimensions(default))
        values[name] = default + 0.5 * (default if np.any(default) else one)
    cells = model.group(2, **values)
    for name, value in values.items():
        assert np.array_equal(getattr(cells, name)[:], value), name


@EVERY
def test_a_value_in_another_unit_is_refused(model: NeuronModel) -> None:
    for name, text in model.parameters.items():
        wrong = 1 * nA if unit_text(evaluate(text)) != "amp" else 1 * mV
        with pytest.raises(UnitError, match=rf"{name}=1\. \* \w+ is in \w+\.\s+The equations need"):
            model.group(2, **{name: wrong})


@EVERY
def test_a_value_without_meaning_is_refused(model: NeuronModel) -> None:
    for name in model.positive:
        for factor in (0.0, -1.0):
            value = evaluate(model.parameters[name]) * np.array([1.0, factor])
            with pytest.raises(DomainError, match=f"{name} has to be > 0"):
                model.group(2, **{name: value})
    for name, text in model.parameters.items():
        with pytest.raises(DomainError, match=f"{name}=.*is not finite"):
            model.group(2, **{name: evaluate(text) * np.nan})


@EVERY
def test_an_unknown_integrator_is_refused(model: NeuronModel) -> None:
    with pytest.raises(DomainError, match=r"method='gsl' cannot solve .* Write method="):
        model.group(2, method="gsl")


def test_all_faults_of_a_call_are_told_at_once() -> None:
    with pytest.raises(UnknownName) as caught:
        neurons["lif"].group(100, name="cells", tau=10 * ms, R=-1 * mV / nA, V_th=[1, 2] * mV, I=3)
    assert str(caught.value) == (
        "group(100, name='cells'): 4 values cannot be used.\n\n"
        "  'tau' is not known. Did you mean 'tau_m'?"
        " Known are: 'E_L', 'I', 'R', 'V_r', 'V_th', 't_ref', 'tau_m', 'v'.\n\n"
        "  R=-1. * Mohm is out of range.\n"
        "      R has to be > 0: the equations have no meaning below.\n"
        "      Write a quantity, like R=100. * Mohm.\n\n"
        "  V_th is an array of shape (2,).\n"
        "      There is one value of V_th for each of 100, or one for all.\n"
        "      Write an array of shape (100,).\n\n"
        "  I=3 has no unit.\n"
        "      The equations need I in amp.\n"
        "      Write a quantity, like I=0. * amp."
    )


def test_a_wrong_shape_is_a_shape_error() -> None:
    with pytest.raises(ShapeError, match=r"one value of v for each of 3"):
        neurons["lif"].group(3, v=[-60, -61] * mV)


def test_a_text_is_no_value() -> None:
    with pytest.raises(DomainError, match=r"tau_m='fast' is not a number"):
        neurons["lif"].group(3, tau_m="fast")


def test_a_negative_refractory_time_is_refused_and_zero_is_not() -> None:
    assert neurons["lif"].group(1, t_ref=0 * ms).t_ref[0] == 0 * ms
    with pytest.raises(DomainError, match="t_ref has to be >= 0"):
        neurons["lif"].group(1, t_ref=-1 * ms)


def test_an_unknown_model_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'adex'"):
        neurons["adx"]


def test_an_unknown_variant_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'fast_spiking'"):
        neurons["izhikevich"].variant("fast_spikes")


@pytest.mark.parametrize("text", ["__import__('os')", "(20).real", "[20]", "20*parsec", "2**9"])
def test_the_text_of_a_value_is_read_and_not_run(text: str) -> None:
    with pytest.raises(DomainError, match="read, not run"):
        evaluate(text)


@pytest.mark.parametrize("model", [neurons["lif"], neurons["adaptive_lif"]], ids=["lif", "alif"])
def test_the_closed_form_refuses_a_time_constant_equal_to_the_membranes(model: NeuronModel) -> None:
    receptors = {"e": synapses["exponential_current"]}
    with pytest.raises(DomainError, match=r"tau_e is equal to tau_m\.\s+method='exact' divides"):
        model.group(2, receptors=receptors, method="exact", tau_e=[5, 20] * ms)
    cells = model.group(2, receptors=receptors, tau_e=20 * ms, method="exponential_euler")
    assert spike_counts(cells, 1 * ms).sum() == 0
    assert np.all(np.isfinite(cells.v))


def test_a_receptor_label_cannot_take_a_name_of_the_neuron() -> None:
    with pytest.raises(DomainError, match="would make tau_m, which the neuron already has"):
        neurons["lif"].group(1, receptors={"m": synapses["exponential_current"]})
    with pytest.raises(DomainError, match="'2 e' is not a name"):
        neurons["lif"].group(1, receptors={"2 e": synapses["exponential_current"]})


def test_the_leaky_neuron_fires_at_the_rate_of_its_closed_form() -> None:
    """Interval t_ref + tau_m ln(RI / (RI - (V_th - V_r))), with V_r = E_L."""
    current = np.array([0.12, 0.15, 0.3])
    interval = 5e-3 + 20e-3 * np.log(current / (current - 0.1))
    counts = spike_counts(neurons["lif"].group(3, I=current * nA), 1 * second)
    assert np.all(np.abs(counts - 1 / interval) <= 1)


def test_the_theta_neuron_fires_at_the_rate_of_its_closed_form() -> None:
    """Rate sqrt(eta) / (2 pi tau_cell), with eta = I / (37.5 pA) - 1."""
    current = np.array([0.05, 0.1, 0.3])
    rate = np.sqrt(current / 0.0375 - 1) / (2 * np.pi * 10e-3)
    counts = spike_counts(neurons["theta"].group(3, I=current * nA), 1 * second)
    assert np.all(np.abs(counts - rate) <= 1)


def test_quadratic_and_theta_neuron_are_the_same_far_below_their_apex() -> None:
    below_the_rheobase = 30e-3 * nA
    quadratic, theta = (neurons[n].group(1, I=below_the_rheobase) for n in ("quadratic", "theta"))
    Network(quadratic, theta).run(20 * ms)
    assert np.asarray(theta.v) == pytest.approx(np.asarray(quadratic.v), rel=1e-4)
