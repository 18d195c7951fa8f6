"""Bounds on spike counts: what they are worth, and that silent neurons get a gradient."""

from typing import Any

import pytest
import torch
from brian2 import Hz, Network, NeuronGroup, ms, mV

import mirrorneuron as mn
from mirrorneuron.errors import DomainError, UnitError, UnknownName

TRIAL = mn.Trial()


@pytest.fixture(scope="module")
def silent() -> mn.Mirror:
    cells = NeuronGroup(3, "dv/dt = (drive - v)/(10*ms) : volt\ndrive : volt", name="cells",
                        threshold="v > 10*mV", reset="v = 0*mV", method="euler")  # fmt: skip
    cells.drive = [5, 9, 30] * mV
    return mn.mirror(Network(cells), train=["cells.drive"], dtype=torch.float64)


def test_bounds_are_squared_distances_of_counts(silent: mn.Mirror) -> None:
    look = silent.run(50 * ms)
    count = look.spikes["cells"].detach().sum(0)[0]
    assert count[:2].tolist() == [0, 0]
    n = float(count[2])
    assert n > 2
    for loss, value in {
        mn.losses.at_least("cells", 2): (4 + 4) / 3,
        mn.losses.at_least("cells", n / 3, over="neurons"): 0.0,
        mn.losses.at_most("cells", 1): (n - 1) ** 2 / 3,
        mn.losses.at_most("cells", 1, over="trials"): (n - 1) ** 2 / 3,
        mn.losses.at_most("cells", n / 3 - 0.5, over="neurons"): 0.25,
    }.items():
        assert loss(look, TRIAL).detach().item() == pytest.approx(value, abs=1e-12)


def test_a_silent_neuron_is_driven_by_the_lower_bound(silent: mn.Mirror) -> None:
    loss = mn.losses.at_least("cells", 1)(silent.run(50 * ms), TRIAL)
    (grad,) = torch.autograd.grad(loss, list(silent.parameters()))
    assert grad[1] < 0
    assert grad[2] == 0


@pytest.mark.parametrize("make", [mn.losses.at_least, mn.losses.at_most])
@pytest.mark.parametrize(
    ("count", "over", "error", "says"),
    [
        (-1, "", DomainError, "from 0 on.*mn.losses.rate"),
        ([1, 2], "", DomainError, "from 0 on"),
        (4 * Hz, "", UnitError, "the count"),
        (4, "time", UnknownName, "trials"),
    ],
)
def test_bounds_that_are_none_are_refused(
    make: Any, count: Any, over: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        make("cells", count, over)
