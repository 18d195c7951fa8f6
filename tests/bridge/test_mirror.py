"""The border of a mirror: names, shapes and limits that are easy to get wrong without a word."""

from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, ms, mV, nA

import mirrorneuron as mn
from mirrorneuron.errors import DomainError, ShapeError, UnitError, UnknownName


def build(parameter: str = "tau", size: int = 2) -> Network:
    """Cells driven by given spikes; `parameter` is the name of their time constant."""
    stimulus = SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms, name="stimulus")
    cells = NeuronGroup(
        size,
        f"""dv/dt = (I - v) / {parameter} : 1
            I : 1
            {parameter} : second (constant)""",
        threshold="v > 1",
        reset="v = 0",
        method="euler",
        name="cells",
    )
    setattr(cells, parameter, 10 * ms)
    synapses = Synapses(stimulus, cells, "w : 1", on_pre="v_post += w", name="syn")
    synapses.connect()
    synapses.w = 0.3
    return Network(stimulus, cells, synapses)


def mirrored(network: Network, **arguments: Any) -> mn.Mirror:
    return mn.mirror(
        network, surrogate=mn.Arctan(1.0), reset_gradient="detach", dtype=torch.float64, **arguments
    )


@pytest.mark.parametrize("name", ["type", "half", "training", "forward", "T_destination"])
def test_a_variable_may_have_the_name_of_a_part_of_the_module(name: str):
    network = build(name)
    model = mirrored(network, train=[f"cells.{name}"])
    assert list(model.state_dict()) == [f"cells.{name}"]
    assert [n for n, _ in model.named_parameters()] == [f"cells.{name}"]
    model.run(3 * ms, record=["cells.v"])["cells.v"].sum().backward()
    assert model.parameter(f"cells.{name}").grad.abs().min() > 0
    model.float()
    assert model.parameter(f"cells.{name}").dtype == torch.float32
    model.write_back()
    again = mn.mirror(network, train=[f"cells.{name}"])
    assert torch.equal(again.parameter(f"cells.{name}"), model.parameter(f"cells.{name}"))


def test_a_run_of_no_steps_has_empty_traces_and_leaves_the_state():
    model = mn.mirror(build(), dtype=torch.float64)
    start = model.run(3 * ms, batch_size=2)
    nothing = model.run(0 * ms, state=start.state, record=["cells.v", "cells.tau"])
    assert nothing["cells.v"].shape == nothing["cells.tau"].shape == (0, 2, 2)
    assert nothing.spikes["cells"].shape == (0, 2, 2)
    assert len(nothing.t) == 0 and nothing.rates()["cells"] == 0
    assert torch.equal(nothing.state["cells.v"], start.state["cells.v"])
    assert [len(t) for t in nothing.spike_trains("cells").values()] == [0, 0]


def test_one_axis_for_all_trials_means_the_same_with_and_without_batch_first():
    """As many steps as neurons: a swap of the two would not be seen in the shape."""
    model = mn.mirror(build(size=10), dtype=torch.float64)
    x = torch.rand(10, 10)
    one = model.run(1 * ms, inputs={"cells.I": x}).state["cells.v"]
    two = model.run(1 * ms, inputs={"cells.I": x}, batch_first=True).state["cells.v"]
    assert torch.equal(one, two)


@pytest.mark.parametrize("kind", ["numpy", "torch", "quantity"])
def test_batch_first_swaps_the_first_two_axes(kind: str):
    model = mn.mirror(build(), dtype=torch.float64)
    x = np.random.default_rng(0).random((30, 3, 2))
    given = {"numpy": x, "torch": torch.from_numpy(x), "quantity": x * nA / nA}[kind]
    swapped = given.transpose(0, 1) if kind == "torch" else np.swapaxes(given, 0, 1)
    one = model.run(3 * ms, inputs={"cells.I": given}, record=["cells.v"])["cells.v"]
    two = model.run(3 * ms, inputs={"cells.I": swapped}, record=["cells.v"], batch_first=True)
    assert torch.equal(one, two["cells.v"])


@pytest.mark.parametrize("bad", [0.5, 2.0, -1.0])
def test_spikes_that_are_neither_zero_nor_one_are_refused(bad: float):
    model = mn.mirror(build())
    spikes = torch.zeros(10, 1, 2)
    spikes[3, 0, 1] = bad
    with pytest.raises(DomainError, match=rf"'stimulus': \.\.\.\}}\) is {bad:g} at index 3, 0, 1"):
        model.run(1 * ms, inputs={"stimulus": spikes})


@pytest.mark.parametrize("kind", [bool, int, np.float32])
def test_spikes_may_be_truth_values_or_whole_numbers(kind: type):
    model = mn.mirror(build(), dtype=torch.float64)
    spikes = np.zeros((10, 2), kind)
    spikes[3, 1] = 1
    for given in (spikes, torch.from_numpy(spikes)):
        assert model.run(1 * ms, inputs={"stimulus": given}).spikes["stimulus"].sum() == 1


def test_gradients_reach_given_spikes():
    model = mirrored(build())
    spikes = torch.zeros(20, 1, 2).requires_grad_()
    model.run(2 * ms, inputs={"stimulus": spikes}, record=["cells.v"])["cells.v"].sum().backward()
    weight = 0.3 * sum(0.99**k for k in range(19))
    assert spikes.grad[0, 0, 0] == pytest.approx(2 * weight)


@pytest.mark.parametrize(
    ("limit", "error", "match"),
    [
        (mn.Bounded(1 * mV, 2 * mV), UnitError, r"lower bound of mn\.Bounded"),
        (mn.Bounded(1 * ms, 2), UnitError, r"upper bound of mn\.Bounded.*plain number"),
        (mn.Bounded(2 * ms, 1 * ms), DomainError, "the lower bound is not below the upper"),
        (mn.Bounded(1 * ms, np.nan * ms), DomainError, "the lower bound is not below the upper"),
    ],
    ids=["unit", "plain", "order", "nan"],
)
def test_a_limit_that_cannot_be_kept_is_refused_before_training(
    limit: mn.Bounded, error: type[Exception], match: str
):
    with pytest.raises(error, match=match):
        mn.mirror(build(), train={"cells.tau": limit})


@pytest.mark.parametrize("width", [np.inf, np.nan, -1.0])
def test_a_width_that_is_no_positive_number_is_refused(width: float):
    with pytest.raises(DomainError, match="width of the surrogate of 'cells' is not positive"):
        mn.mirror(build(), surrogate=mn.Arctan(width))


def test_a_state_of_another_batch_is_refused():
    model = mn.mirror(build())
    state = model.run(1 * ms, batch_size=3).state
    with pytest.raises(ShapeError, match=r"numbers of trials differ \(state: 3, batch_size: 2\)"):
        model.run(1 * ms, state=state, batch_size=2)


def test_a_parameter_that_is_not_trained_is_unknown():
    model = mn.mirror(build(), train=["syn.w"])
    with pytest.raises(UnknownName, match=r"parameter\('cells.tau'\) is not known"):
        model.parameter("cells.tau")


def test_a_trained_value_and_a_driven_variable_exclude_no_other():
    """What is driven from outside has no influence as a parameter: its gradient is none or zero."""
    network = build()
    network["cells"].I = 0.5
    model = mirrored(network, train=["cells.I", "syn.w"])
    x = torch.ones(30, 1, 2)
    model.run(3 * ms, inputs={"cells.I": x}, record=["cells.v"])["cells.v"].sum().backward()
    assert model.parameter("cells.I").grad is None
    assert model.parameter("syn.w").grad.abs().sum() > 0
