"""The distance to threshold as a value that can be recorded, and inputs that pull."""

from typing import Any

import numpy as np
import pytest
import torch
from brian2 import Hz, Network, NeuronGroup, PoissonGroup, ms, mV

import mirrorneuron as mn
from mirrorneuron.errors import DomainError, UnitError, UnknownName


def cells(threshold: str, reset: str = "v = 0*mV", **settings: Any) -> Network:
    group = NeuronGroup(
        2, "dv/dt = (20*mV - v)/(10*ms) : volt\ndh/dt = -h/(30*ms) : volt", threshold=threshold,
        reset=reset, method="exact", name="cells", dt=1 * ms, **settings,
    )  # fmt: skip
    group.v = [0, 5] * mV
    return Network(group)


@pytest.mark.parametrize(
    ("threshold", "reset"),
    [
        ("v > 10*mV + h", "v = 0*mV; h += 2*mV"),
        ("v >= 12*mV", "v = 0*mV"),
        ("10*mV < v", "v -= 10*mV"),
        ("-v < -10*mV and i == 0", "v = 0*mV"),
    ],
)
def test_a_neuron_spikes_where_its_margin_is_positive(threshold: str, reset: str) -> None:
    model = mn.mirror(cells(threshold, reset), dtype=torch.float64)
    seen = model.run(80 * ms, record=["cells.spike.margin", "cells.v"])
    margin = seen["cells.spike.margin"]
    assert torch.equal((margin > 0).double(), seen.spikes["cells"])
    assert seen.spikes["cells"].any()
    assert seen.units["cells.spike.margin"] == seen.units["cells.v"]


def test_a_margin_is_that_of_the_test_and_not_of_the_start_of_the_step() -> None:
    model = mn.mirror(cells("v > 10*mV"), dtype=torch.float64)
    seen = model.run(30 * ms, record=["cells.spike.margin", "cells.v"])
    silent = seen.spikes["cells"][:-1] == 0
    met, after = seen["cells.spike.margin"][:-1][silent], seen["cells.v"][1:][silent]
    assert torch.allclose(met + 10e-3, after, rtol=1e-14, atol=0)


def test_a_refractory_neuron_is_infinitely_far_from_threshold() -> None:
    model = mn.mirror(cells("v > 10*mV", refractory=3 * ms), dtype=torch.float64)
    seen = model.run(40 * ms, record={"cells.spike.margin": [1]})
    far = torch.isinf(seen["cells.spike.margin"][:, 0, 0])
    spiked = torch.nonzero(seen.spikes["cells"][:, 0, 1])[:, 0]
    near = {int(k) + step for k in spiked for step in (1, 2)}
    assert set(torch.nonzero(far)[:, 0].tolist()) == {k for k in near if k < 40}


@pytest.mark.parametrize("threshold", ["v > 10*mV or h > 1*mV", "v > 10*mV and h < 1*mV", "i == 5"])
def test_what_compares_several_things_has_no_margin(threshold: str) -> None:
    model = mn.mirror(cells(threshold))
    with pytest.raises(UnknownName, match=r"'cells.spike.margin'.* is not known"):
        model.run(1 * ms, record=["cells.spike.margin"])


def test_random_spikes_have_no_margin() -> None:
    model = mn.mirror(Network(PoissonGroup(3, 5 * Hz, name="noise")))
    assert "noise.spike.margin" not in model.program.values


def test_the_gradient_of_a_margin_needs_no_surrogate_where_spikes_are_imposed() -> None:
    net = cells("v/mV > 10", "v = 0*mV")
    model = mn.mirror(net, train=["cells.v"], reset_gradient="detach", dtype=torch.float64)
    spikes = torch.zeros(20, 1, 2)
    spikes[8] = 1
    seen = model.run_steps(20, {"cells": spikes}, record=["cells.spike.margin"])
    assert torch.equal(seen.spikes["cells"], spikes)
    seen["cells.spike.margin"][7].sum().backward()
    grad = model.parameter("cells.v").grad
    assert grad is not None
    assert torch.isfinite(grad).all()
    assert grad.abs().min() > 0


# ---- nudging


def test_a_pulled_variable_goes_a_share_of_the_way_in_each_step() -> None:
    group = NeuronGroup(1, "v : volt", name="cells", dt=1 * ms)
    model = mn.mirror(Network(group), dtype=torch.float64)
    seen = model.run(5 * ms, {"cells.v": mn.Nudge(np.ones((5, 1)), 2 * ms)}, record=["cells.v"])
    expected = 1 - np.exp(-np.arange(1, 6) / 2)
    assert np.allclose(seen["cells.v"][:, 0, 0].numpy(), expected, rtol=1e-14, atol=0)


def test_what_cannot_be_pulled_is_refused() -> None:
    model = mn.mirror(cells("v > 10*mV"))
    with pytest.raises(DomainError, match="'cells' is no variable"):
        model.run(2 * ms, {"cells": mn.Nudge(np.zeros((2, 2)), 1 * ms)})
    with pytest.raises(DomainError, match="not positive and finite"):
        mn.Nudge(np.zeros((2, 2)), 0 * ms)
    with pytest.raises(UnitError, match=r"tau is .* has to be in \[s\]"):
        mn.Nudge(np.zeros((2, 2)), 1 * mV)
