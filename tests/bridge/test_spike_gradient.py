"""The derivative of a spike: what follows from a model's threshold and reset, and what does not."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeGeneratorGroup,
    Synapses,
    defaultclock,
    ms,
    mV,
)

import mirrorneuron as mn
from mirrorneuron.bridge.mirror import Mirror
from mirrorneuron.bridge.spike_gradient import ResetDepth, reach
from mirrorneuron.errors import GradientError, GradientWarning, UnknownName

LIF = "dv/dt = (-60*mV - v)/(20*ms) : volt"


def group(equations: str = LIF, threshold: str = "v > -50*mV", reset: str = "v = -60*mV") -> Any:
    return NeuronGroup(3, equations, threshold=threshold, reset=reset, method="euler", name="cells")


def mirrored(*objects: Any, **arguments: Any) -> Mirror:
    return mn.mirror(Network(*objects), dtype=torch.float64, **arguments)


def depth(model: Mirror) -> ResetDepth:
    found = model.gradients["cells.spike"].reset
    assert found is not None
    return found


RESETS: Mapping[str, tuple[str, str, str, list[float]]] = {
    "hard": (LIF, "v > -50*mV", "v = -60*mV", [10e-3] * 3),
    "soft": (LIF, "v > -50*mV", "v -= 8*mV", [8e-3] * 3),
    "several": (LIF + "\ndw/dt = -w/(50*ms) : volt", "v >= -50*mV", "w += 1*mV; v = -55*mV - w",
                [6e-3] * 3),
    "scaled": (LIF, "v/mV > -50", "v = -60*mV", [10.0] * 3),
    "downwards": (LIF, "v < -70*mV", "v = -60*mV", [10e-3] * 3),
    "sides": (LIF, "-50*mV < v", "v = -60*mV", [10e-3] * 3),
    "adaptive": (LIF + "\ndtheta/dt = (-50*mV - theta)/(9*ms) : volt", "v > theta",
                 "v = -60*mV; theta += 2*mV", [-48e-3 + 60e-3] * 3),
    "own": (LIF + "\nv_r : volt", "v > -50*mV", "v = v_r", [10e-3, 12e-3, 14e-3]),
    "written out": (LIF + "\nu = v + 1*mV : volt", "u > -50*mV", "v = -60*mV", [9e-3] * 3),
    "refractory": (LIF + " (unless refractory)", "v > -50*mV", "v = -60*mV", [10e-3] * 3),
    "random": (LIF, "v > -50*mV", "v = -60*mV + 4*mV*(rand() - 0.5)", [10e-3] * 3),
}  # fmt: skip


@pytest.mark.parametrize("name", RESETS)
def test_the_depth_of_a_reset_is_that_of_a_neuron_at_threshold(name: str) -> None:
    equations, threshold, reset, expected = RESETS[name]
    cells = group(equations, threshold, reset)
    cells.v = [-61, -57, -52] * mV  # where neurons stand does not matter
    if name == "adaptive":
        cells.theta = -50 * mV
    if name == "own":
        cells.v_r = [-60, -62, -64] * mV
    found = depth(mirrored(cells))
    np.testing.assert_allclose(found.depth, expected, rtol=1e-9)


def test_the_leak_is_what_a_step_takes_of_a_shift() -> None:
    assert depth(mirrored(group())).leak.tolist() == pytest.approx([0.1 / 20] * 3)


def test_a_zone_that_runs_away_begins_where_the_equations_turn_round() -> None:
    cells = group("dv/dt = ((v + 60*mV)*(v + 50*mV)/(10*mV))/(10*ms) : volt", "v > 0*mV")
    assert depth(mirrored(cells)).runs_away.tolist() == pytest.approx([55e-3] * 3, abs=1.1e-3)
    assert depth(mirrored(group())).runs_away.tolist() == [0.0] * 3


@pytest.mark.parametrize("name", mn.surrogates)
def test_without_a_width_half_way_to_the_reset_a_surrogate_takes_as_much_as_the_leak(
    name: str,
) -> None:
    model = mirrored(group(), surrogate=mn.surrogates[name]())
    slope = model.gradients["cells.spike"].slope(torch.tensor([[0.0, -5e-3]], dtype=torch.float64))
    taken = (10e-3 * slope[0]).tolist()
    assert taken == pytest.approx([1.0, 0.1 / 20], rel=1e-6)


@pytest.mark.parametrize("name", mn.surrogates)
def test_reach_is_where_a_bell_has_fallen_to_a_level(name: str) -> None:
    surrogate, level = mn.surrogates[name](), torch.tensor([0.5, 0.1, 1e-3], dtype=torch.float64)
    fallen = surrogate(reach(surrogate, level), 1.0) / surrogate.peak
    torch.testing.assert_close(fallen, level, rtol=1e-6, atol=0)


def test_neurons_of_one_group_get_widths_of_their_own() -> None:
    cells = group(LIF + "\nv_r : volt", reset="v = v_r")
    cells.v_r = [-60, -70, -80] * mV
    model = mirrored(cells)
    width = model.gradients["cells.spike"].width
    assert isinstance(width, torch.Tensor)
    torch.testing.assert_close(width / width[0], torch.tensor([1.0, 2.0, 3.0]).double())
    assert "1.54 to 4.61 mV" in str(model.report)


UNKNOWN = {
    "no reset": (LIF + " (unless refractory)", "v > -50*mV", "", "does not take the neuron below"),
    "adaptation only": (LIF + "\nb : volt", "v > -50*mV", "b += 1*mV", "does not take the neuron"),
    "two comparisons": (LIF + "\ndu/dt = -u/ms : volt", "v > -50*mV and u < 1*mV", "v = -60*mV",
                        r"no single variable crosses the threshold, as its condition compares 2"
                        r" \(.*v.* > 0; .*u.* > 0\)"),
    "not linear": (LIF, "v**2 > 1*mV**2", "v = -60*mV", "no single variable crosses"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_where_no_width_follows_one_has_to_be_given_and_the_message_says_why(name: str) -> None:
    equations, threshold, reset, why = UNKNOWN[name]
    more = {"refractory": 2 * ms} if name == "no reset" else {}
    cells = NeuronGroup(
        3, equations, threshold=threshold, reset=reset or "", method="euler", name="cells", **more
    )
    model = mirrored(cells, train=["cells.v"])
    assert "give a surrogate with a width" in str(model.report)
    with pytest.raises(GradientError, match=f"no width of the surrogate follows .*{why}"):
        model.run(1 * ms)


def test_the_report_shows_the_gradient_of_spikes_and_not_of_other_events() -> None:
    cells = NeuronGroup(
        3, LIF + "\nn : 1\nlast : second", threshold="v > -50*mV", reset="v = -60*mV",
        events={"low": "v < -70*mV and t - last > 2*ms"}, method="euler", name="cells",
    )  # fmt: skip
    cells.run_on_event("low", "n += 1; last = t")
    assert "from its reset, which is 10 mV deep" in str(mirrored(cells).report)


def test_a_width_too_narrow_for_the_reset_is_said_and_the_reset_detached() -> None:
    with pytest.warns(GradientWarning, match=r"10 mV deep.*2\.5 mV; the width given is 2 mV"):
        model = mirrored(group(), surrogate=mn.SuperSpike(width=2 * mV))
    assert "width 2 mV (as given); reset detached" in str(model.report)


@pytest.mark.parametrize("mode", ["auto", "surrogate"])
def test_a_width_that_is_wide_enough_is_followed_through_the_reset(mode: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", GradientWarning)
        model = mirrored(group(), surrogate=mn.SuperSpike(width=3 * mV), reset_gradient=mode)
    assert "width 3 mV (as given); through the reset" in str(model.report)


def test_modes_of_the_reset_are_named() -> None:
    with pytest.raises(UnknownName, match=r"reset_gradient='follow'.*auto.*detach.*surrogate"):
        mirrored(group(), reset_gradient="follow")


def test_a_shift_of_an_integrator_is_one_over_the_depth_of_the_reset_in_spikes() -> None:
    """However many steps a neuron takes to its threshold, and by whatever shape."""
    for dt in (0.05, 0.1, 0.5):
        for name, surrogate in mn.surrogates.items():
            defaultclock.dt = dt * ms
            cells = NeuronGroup(
                1, "dv/dt = 1/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="euler",
                name="cells",
            )  # fmt: skip
            model = mirrored(cells, train=["cells.v"], surrogate=surrogate())
            model.run(105 * ms).spikes["cells"].sum().backward()
            assert float(model.parameter("cells.v").grad) == pytest.approx(1, abs=0.03), (dt, name)
    defaultclock.dt = 0.1 * ms


@pytest.mark.parametrize(("tau", "factor"), [(10, 0.8630), (1e12, 1.0)])
def test_a_leak_makes_the_reset_count_less_deep(tau: float, factor: float) -> None:
    model = mirrored(group(f"dv/dt = (-60*mV - v)/({tau}*ms) + 1*mV/ms : volt"))
    at = torch.zeros(1, 3, dtype=torch.float64)
    slope, share = model.gradients["cells.spike"].passage(at, at)
    assert share[0].tolist() == pytest.approx([factor] * 3, abs=1e-4)
    assert (10e-3 * slope * share)[0].tolist() == pytest.approx([1.0] * 3)


HELD = {
    "a time": ("(unless refractory)", 2 * ms, [19] * 3),
    "times of its own": ("(unless refractory)", "rest", [9, 24, 29]),
    "until it falls": ("(unless refractory)", "v > -55*mV", [0] * 3),
    "not the potential": ("", 2 * ms, [0] * 3),
}


@pytest.mark.parametrize("name", HELD)
def test_a_refractory_period_holds_the_potential_for_so_many_steps(name: str) -> None:
    """Of 20 steps from spike to spike at most, the potential moves in the last."""
    flag, refractory, expected = HELD[name]
    cells: Any = NeuronGroup(
        3, f"{LIF} {flag}\nrest : second", threshold="v > -50*mV", reset="v = -60*mV",
        refractory=refractory, method="euler", name="cells",
    )  # fmt: skip
    cells.rest = [1, 2.5, 3] * ms
    assert depth(mirrored(cells)).held.tolist() == expected


def test_a_refractory_period_costs_the_way_that_the_neuron_would_have_gone() -> None:
    """A period of 10 + 5 ms: a shift by the whole way saves 10 of them."""
    cells = NeuronGroup(
        1, "dv/dt = 1/(10*ms) : 1 (unless refractory)", threshold="v > 1", reset="v = 0",
        refractory=5 * ms, method="euler", name="cells",
    )  # fmt: skip
    model = mirrored(cells, train=["cells.v"])
    model.run(150 * ms).spikes["cells"].sum().backward()
    assert float(model.parameter("cells.v").grad) == pytest.approx(10 / 15, abs=0.03)


def through(reset: str) -> list[float]:
    """Gradients of a neuron whose steps meet its threshold exactly."""
    cells = NeuronGroup(
        1, "dv/dt = 1/(16*ms) : 1\nv_r : 1 (constant)\ntheta : 1 (constant)",
        threshold="v >= theta", reset=reset, method="euler", name="cells", dt=1 * ms,
    )  # fmt: skip
    cells.theta, cells.v_r = 1, 0
    keys = ["cells.v", "cells.v_r", "cells.theta"]
    model = mirrored(cells, train=keys)
    recording = model.run(40 * ms, record=["cells.v"])
    (recording.spikes["cells"].sum() + recording["cells.v"].sum()).backward()
    assert recording.spikes["cells"].sum() == 2
    gradients = (model.parameter(key).grad for key in keys)
    return [float(g) for g in gradients if g is not None]


def test_hard_and_soft_resets_that_agree_at_threshold_have_one_gradient() -> None:
    hard, soft = through("v = v_r"), through("v -= theta - v_r")
    assert hard == pytest.approx(soft, rel=1e-12)
    assert len(hard) == 3 and all(hard)


def test_a_neuron_that_stays_far_below_threshold_has_the_gradient_of_its_equations() -> None:
    stimulus = SpikeGeneratorGroup(1, [0, 0], [1, 5] * ms, name="stimulus")
    cells = group()
    cells.v = -60 * mV
    feed = Synapses(stimulus, cells, "w : volt", on_pre="v_post += w", name="feed")
    feed.connect()
    feed.w = 0.2 * mV
    network, found = Network(stimulus, cells, feed), list[torch.Tensor]()
    for mode in ("auto", "detach"):
        model = mn.mirror(network, train=["feed.w"], reset_gradient=mode, dtype=torch.float64)
        model.run(20 * ms, record=["cells.v"])["cells.v"].sum().backward()
        gradient = model.parameter("feed.w").grad
        assert gradient is not None
        found.append(gradient)
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=0)


@pytest.mark.parametrize("kind", ["leaky", "refractory", "exponential"])
def test_batch_and_precision_do_not_change_a_gradient(kind: str) -> None:
    noise = PoissonGroup(20, 100 * Hz, name="noise")
    runs = "dv/dt = (-60*mV - v + 2*mV*exp((v + 50*mV)/(2*mV)))/(20*ms) : volt"
    cells = NeuronGroup(
        3, (runs if kind == "exponential" else LIF) + " (unless refractory)",
        threshold=f"v > {-30 if kind == 'exponential' else -50}*mV", reset="v = -60*mV",
        refractory=False if kind == "leaky" else 2 * ms, method="euler", name="cells",
    )  # fmt: skip
    feed = Synapses(noise, cells, "w : volt", on_pre="v_post += w", name="feed")
    feed.connect()
    feed.w = 1 * mV
    network, inputs = Network(noise, cells, feed), np.random.default_rng(0)
    spikes = (inputs.random((300, 4, 20)) < 0.02).astype(float)

    def gradient(dtype: torch.dtype, batches: list[list[int]]) -> torch.Tensor:
        model = mn.mirror(network, train=["feed.w"], dtype=dtype)
        for trials in batches:
            run = model.run(30 * ms, inputs={"noise": spikes[:, trials]})
            assert run.spikes["cells"].sum() > 0
            run.spikes["cells"].sum().backward()
        found = model.parameter("feed.w").grad
        assert found is not None
        return found.double()

    whole = gradient(torch.float64, [[0, 1, 2, 3]])
    torch.testing.assert_close(
        gradient(torch.float64, [[0, 1], [2], [3]]), whole, rtol=1e-10, atol=0
    )
    torch.testing.assert_close(gradient(torch.float32, [[0, 1, 2, 3]]), whole, rtol=1e-3, atol=1e-2)
